"""What commands print: tables and strangers' text, on a terminal or elsewhere.

Names and error texts come from files, servers and strangers: no markup of theirs is interpreted and no
control character of theirs reaches the terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text


def printable(text: str, *, keep_lines: bool = False) -> str:
    """The text with what has no shape of its own (controls, bidi marks, surrogates …) shown as `·`.

    Line ends stay with `keep_lines`, else become spaces.
    """
    if text.isprintable():
        return text
    shown: list[str] = []
    for character in text.replace("\r\n", "\n"):
        if character.isprintable():
            shown.append(character)
        elif character in "\n\t":
            shown.append(character if keep_lines else " ")
        else:
            shown.append(" " if unicodedata.category(character) == "Zs" else "·")
    return "".join(shown)


def print_table(
    out: TextIO,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    styles: Mapping[str, str] | None = None,
) -> None:
    """A table: boxed by rich on a terminal, aligned text elsewhere. `styles` colours cells by their text."""
    cleaned = [[printable(cell) for cell in row] for row in rows]
    if out.isatty():
        table = Table(*columns)
        for row in cleaned:
            table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
        Console(file=out, markup=False, highlight=False, emoji=False).print(table)
        return
    lines = [list(columns), *cleaned]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(padded).rstrip(), file=out)


def say_warnings(err: TextIO, warnings: Sequence[str]) -> None:
    """The remarks on the settings, in the one form that every command uses."""
    for warning in warnings:
        say(err, f"Warning: {warning}")


def say(stream: TextIO, text: str) -> None:
    """Lines of plain text."""
    print(printable(text, keep_lines=True), file=stream, flush=True)


def duration(seconds: float) -> str:
    """A time span for people: `2 h 5 min`, `3 min 20 s`, `7 s`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
