"""The proof by fire as tests of `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.proving import assert_nothing_lost, prove


@pytest.mark.slow
@pytest.mark.soak
def test_a_harvest_killed_a_few_times_has_every_page_once(tmp_path: Path) -> None:
    figures = prove("kill9", tmp_path, "--kills", "3", "--seed", "1")

    assert figures["kills"] == 3
    assert figures["pages"] > 6
    assert_nothing_lost(figures)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [11, 12, 13, 14, 15])
def test_a_harvest_killed_a_hundred_times_has_every_page_once(tmp_path: Path, seed: int) -> None:
    figures = prove("kill9", tmp_path, "--kills", "100", "--seed", str(seed))

    assert figures["kills"] == 100
    assert figures["kills_in_recovery"] >= 33
    assert_nothing_lost(figures)


@pytest.mark.soak
def test_a_harvest_that_ends_at_every_step_of_a_commit_has_every_page_once(tmp_path: Path) -> None:
    figures = prove("kill9", tmp_path, "--crash-points", "--seed", "3")

    assert figures["crash_points"] >= 10
    assert_nothing_lost(figures)
