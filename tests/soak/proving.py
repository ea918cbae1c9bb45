"""Runs a proof of `tests.soak` from a test, as a process of its own: an embedded store serves one each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def prove(proof: str, directory: Path, *options: str) -> dict[str, Any]:
    """Run `python -m tests.soak.PROOF` in `directory`; returns its figures and fails where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.soak.{proof}", "--directory", str(directory), *options],
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
    """The figures of a proof whose verdict has them: none of it is bad."""
    assert (figures["lost"], figures["doubled"], figures["wrong"]) == (0, 0, 0)
