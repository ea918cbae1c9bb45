"""The pictures of the screens do not depend on what was drawn before: twenty times, each in an order of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ("tests/tui/test_golden.py", "tests/tui/test_store_screens.py")


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(20))
def test_every_screen_is_drawn_the_same(seed: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--shuffle", str(seed), *GOLDENS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
