"""Real pages of the API, through the real command over HTTP, against an independent reading."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "league", [None, *(pytest.param(league, marks=pytest.mark.soak) for league in ("Standard", "Harbinger"))]
)
def test_real_pages_are_stored_and_read_as_they_are(shared_data: Path, league: str | None) -> None:
    # A process of its own, for an embedded engine is one directory a process.
    command = [sys.executable, "-m", "tests.replay", str(shared_data / "psapi")]
    run = subprocess.run(
        [*command, *(["--league", league] if league else [])],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        check=False,
        timeout=200,
    )
    assert run.returncode == 0, run.stdout + run.stderr
