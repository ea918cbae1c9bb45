"""The proof by fire as tests: a slice in every run, the whole of it in `make soak`.

Each runs `python -m tests.soak.kill9` as a process of its own, for an embedded store serves one directory per process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def prove(directory: Path, *options: str) -> dict[str, Any]:
    """Run the proof in `directory`; returns its figures and fails where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.kill9", "--directory", str(directory), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    print(figures)
    return figures


def assert_nothing_lost(figures: dict[str, Any]) -> None:
    assert (figures["lost"], figures["doubled"], figures["wrong"]) == (0, 0, 0)


@pytest.mark.slow
@pytest.mark.soak
def test_a_harvest_killed_a_few_times_has_every_page_once(tmp_path: Path) -> None:
    figures = prove(tmp_path, "--kills", "3", "--seed", "1")

    assert figures["kills"] == 3
    assert figures["pages"] > 6
    assert_nothing_lost(figures)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [11, 12, 13, 14, 15])
def test_a_harvest_killed_a_hundred_times_has_every_page_once(tmp_path: Path, seed: int) -> None:
    figures = prove(tmp_path, "--kills", "100", "--seed", str(seed))

    assert figures["kills"] == 100
    assert figures["kills_in_recovery"] >= 33
    assert_nothing_lost(figures)


@pytest.mark.soak
def test_a_harvest_that_ends_at_every_step_of_a_commit_has_every_page_once(tmp_path: Path) -> None:
    figures = prove(tmp_path, "--crash-points", "--seed", "3")

    assert figures["crash_points"] >= 10
    assert_nothing_lost(figures)
