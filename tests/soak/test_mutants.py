"""Each promise broken in a copy of the project is noticed by the test that is named for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.mutant_list import MUTANTS
from tests.soak.mutants import judge, table
from tests.soak.preload import CannotPreload, build


@pytest.mark.soak
def test_every_broken_promise_is_noticed(tmp_path: Path) -> None:
    try:
        build(tmp_path)
    except CannotPreload as error:
        pytest.skip(f"some of the tests in question need it: {error}")
    verdicts = list(judge(MUTANTS))
    print(table(verdicts))

    assert [verdict.mutant.name for verdict in verdicts if not verdict.caught] == []
