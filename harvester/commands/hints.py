"""How commands are named in hints, so that they can be typed as they stand."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

NAME = "poe-ledger"
HEADLESS = f"{NAME} --headless"
"""The command of hints where nobody says otherwise."""


def program() -> str:
    """`poe-ledger` as it can be typed here: its path where the shell would not find it by name."""
    started = Path(sys.argv[0])
    if started.name != NAME or shutil.which(NAME):
        return NAME
    path = os.path.relpath(started)
    return shlex.quote(str(started) if path.startswith("..") else path)


def nothing_yet(command: str) -> str:
    """What is said where there is nothing to look at."""
    return f"nothing was ever harvested here. Begin: {command} harvest"
