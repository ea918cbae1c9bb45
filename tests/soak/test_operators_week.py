"""The operator's week as a test of `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.operators_week.__main__ import DAYS
from tests.soak.proving import assert_nothing_lost, prove

NEEDS_MOUNTING = {"disk-full"}
"""Days that are left out where a small disk cannot be mounted."""


@pytest.mark.soak
def test_every_failure_is_recognised_and_cured_by_the_runbook_alone(tmp_path: Path) -> None:
    figures = prove("operators_week", tmp_path, "--json")

    assert_nothing_lost(figures)
    assert figures["days"] == len(DAYS)
    assert set(figures["left_out"]) <= NEEDS_MOUNTING
    played = [failure for failure in figures["failures"] if failure["day"] not in figures["left_out"]]
    assert len(played) >= 20
    assert all(failure["words"] and failure["cure"] for failure in played)
