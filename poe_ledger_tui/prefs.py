"""How the app was left: whether the harvest ran, and the theme. A small file beside the cursors' data folder.

Losing it loses nothing that matters, so what cannot be read counts as not there, and what cannot be written is told
once by whoever asked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class AsLeft:
    """What is remembered from one start to the next."""

    harvesting: bool = False
    theme: str = ""


def prefs_path() -> Path:
    """Where it is remembered."""
    import platformdirs

    return platformdirs.user_state_path("poe-ledger") / "app.json"


def load_prefs(path: Path) -> AsLeft:
    """What was remembered; the defaults where nothing (readable) was."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        return AsLeft(harvesting=given["harvesting"] is True, theme=str(given["theme"]))
    except (OSError, ValueError, KeyError, TypeError):
        return AsLeft()


def save_prefs(path: Path, prefs: AsLeft) -> None:
    """Remember it. Raises `OSError` where the disk refuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(asdict(prefs)), encoding="utf-8")
    beside.replace(path)
