"""Golden files of screens: their text as it is read, then every run of cells with its colours and marks.

A changed word shows as a changed line, a changed colour as a changed run; both can be reviewed in a diff. To accept
what has changed: `LEDGER_GOLDEN=write pytest tests/tui/test_golden.py`.
"""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path

import pytest
from rich.color import Color
from rich.style import Style

from poe_ledger_tui.app import LedgerApp

DIRECTORY = Path(__file__).parent / "golden"
FRAMEWORK = "8.2.8"
"""The version of Textual, pinned in `constraints.txt`, that the files were made with."""


def compare(name: str, app: LedgerApp) -> None:
    """Fail unless the screen is as in the golden file."""
    if version("textual") != FRAMEWORK:
        pytest.skip(f"golden files are of textual {FRAMEWORK}, this is {version('textual')}")
    file, now = DIRECTORY / f"{name}.txt", drawn(app)
    if os.environ.get("LEDGER_GOLDEN") == "write":
        file.write_text(now, encoding="utf-8")
        return
    assert file.exists(), f"no golden file {file.name}: LEDGER_GOLDEN=write makes it"
    assert now == file.read_text(encoding="utf-8")


def drawn(app: LedgerApp) -> str:
    """The screen as text."""
    rows: list[str] = []
    styles: dict[str, list[str]] = {}
    for number, strip in enumerate(app.screen._compositor.render_strips(app.size)):
        rows.append("|" + "".join(segment.text for segment in strip) + "|")
        column = 0
        last = ""
        for segment in strip:
            words = _words(segment.style)
            width = segment.cell_length
            if words == last and styles[words]:
                begin = styles[words][-1].partition("-")[0]
                styles[words][-1] = f"{begin}-{column + width}"
            else:
                styles.setdefault(words, []).append(f"{number}:{column}-{column + width}")
            last, column = words, column + width
    told = [f"{words}\n  {' '.join(places)}" for words, places in sorted(styles.items())]
    return "\n".join([*rows, "", *told, ""])


def _words(style: Style | None) -> str:
    if style is None:
        return "plain"
    marks = [mark for mark in ("bold", "dim", "italic", "underline", "reverse", "strike") if getattr(style, mark)]
    return " ".join([_colour(style.color), "on", _colour(style.bgcolor), *marks])


def _colour(colour: Color | None) -> str:
    if colour is None:
        return "default"
    return colour.triplet.hex if colour.triplet is not None else colour.name
