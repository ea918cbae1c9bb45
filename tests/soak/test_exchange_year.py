"""Exchange hours filled by the command itself, killed and resumed: each is there once, as it was published.

Runs as a process of its own, for an embedded store serves one directory per process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.soak
def test_hours_are_filled_once_whatever_is_killed(tmp_path: Path) -> None:
    options = ["--hours", "600", "--kills", "5", "--seed", "7", "--directory", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.exchange_year", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(done.stdout)
    print(figures)
    assert figures["kills"] == 5
    assert figures["hours"] >= 600
