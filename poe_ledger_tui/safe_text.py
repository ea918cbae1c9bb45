"""The one door through which strangers' text reaches the screen.

Item names, notes, errors and results hold markup, escape sequences, bidi marks, NUL or ten thousand characters.
What leaves here is a `rich.text.Text`: never parsed as markup, without control characters, and bounded in length.
A plain `str` must not be given to a widget, a table cell or a toast where a stranger had a hand in it.
"""

from __future__ import annotations

from rich.text import Text
from textual.content import Content

from harvester.commands.output import printable

ONE_LINE = 400
"""Characters of a one-line text that are kept; no pane is wider."""
MANY_LINES = 20_000
"""Characters of a text in a detail view that are kept."""
_COMBINING_RUN = 4
"""Marks on one letter that are drawn; a tower of hundreds would draw over its neighbours."""


def one_line(text: object, style: str = "", *, limit: int = ONE_LINE) -> Text:
    """The text in one line, cut at `limit` characters with an ellipsis."""
    return Text(clean(text, limit=limit), style=style, no_wrap=True, overflow="ellipsis", end="")


def many_lines(text: object, style: str = "", *, limit: int = MANY_LINES) -> Text:
    """The text with its line ends, for a detail view or a dialog."""
    return Text(clean(text, limit=limit, keep_lines=True), style=style)


def frame_title(text: object) -> Content:
    """The text for a frame, which reads markup in a `str`."""
    return Content(clean(text, limit=60))


def clean(text: object, *, limit: int = ONE_LINE, keep_lines: bool = False) -> str:
    """The text without what could harm a terminal; still a `str`, so never give it to something that reads markup."""
    given = str(text)
    # Cut before cleaning: ten megabytes of a stranger must not cost a frame.
    short = given if len(given) <= limit else given[: limit - 1] + "…"
    return _without_towers(printable(short, keep_lines=keep_lines))


def _without_towers(text: str) -> str:
    if text.isascii():
        return text
    import unicodedata

    kept: list[str] = []
    run = 0
    for character in text:
        run = run + 1 if unicodedata.combining(character) else 0
        if run <= _COMBINING_RUN:
            kept.append(character)
    return "".join(kept)
