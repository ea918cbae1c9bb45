"""The enumeration as a test: every point of one commit, and of each state a point of the recovery."""

from __future__ import annotations

import pytest

from tests.soak.file_operations import prove
from tests.soak.preload import CannotPreload


@pytest.mark.soak
def test_every_change_of_files_of_a_commit_can_be_the_last() -> None:
    try:
        figures = prove(1)
    except CannotPreload as error:
        pytest.skip(str(error))
    print(figures)

    assert figures.good, figures
    assert figures.commit_kills == figures.commit_points > 200
    assert figures.recovery_kills > 0.9 * figures.commit_kills


@pytest.mark.soak
def test_every_change_of_files_of_a_recovery_can_be_the_last() -> None:
    try:
        figures = prove(2, sample=0, full_recoveries=3)
    except CannotPreload as error:
        pytest.skip(str(error))
    print(figures)

    assert figures.good, figures
    assert figures.recovery_kills == figures.recovery_points > 100
