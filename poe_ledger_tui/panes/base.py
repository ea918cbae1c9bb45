"""What every pane is: a frame with a title, drawn from a Picture, that says when its figures are old."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.theme import Theme
from textual.widget import Widget
from textual.widgets import Static

from poe_ledger_tui.look import look
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import clock_time

_BLOCKS = "▁▂▃▄▅▆▇█"
WAITING = "waiting for the first figures"


class Pane(Static):
    """A pane of text. Write `text`, which is given the Picture, the width in cells and the theme."""

    TITLE = ""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__("", id=id, markup=False, classes="pane")
        self.border_title = self.TITLE
        self._picture: Picture | None = None
        self._shown: Text | None = None

    def draw(self, picture: Picture) -> None:
        """Show a Picture; what has not changed is not painted again."""
        self._picture = picture
        say_age(self, picture)
        width = self.content_size.width
        if width <= 0:
            return
        text = self.text(picture, width, self.app.current_theme)
        if self._shown is None or look(text) != look(self._shown):
            # Laying the screen out anew costs most of a redraw: only where the pane needs another height.
            layout = self._shown is None or self._shown.plain.count("\n") != text.plain.count("\n")
            self._shown = text
            self.update(text, layout=layout)

    def on_resize(self) -> None:
        if self._picture is not None:
            self.draw(self._picture)

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        """What the pane says about a Picture."""
        raise NotImplementedError


def say_age(widget: Widget, picture: Picture) -> None:
    """A frame whose figures are old says of when they are, and fades."""
    old = picture.stale or bool(picture.source_trouble)
    widget.set_class(old, "-stale")
    as_of = ""
    if picture.snapshot is not None and picture.dated:
        as_of = f"as of {clock_time(picture.snapshot.taken_at)}"
    if widget.border_subtitle != as_of:
        widget.border_subtitle = as_of


def waiting(theme: Theme) -> Text:
    """What a pane says before there is anything to say."""
    return Text(WAITING, style=style(theme, "muted"))


def lines(*rows: Text) -> Text:
    """Rows put under each other; each is cut at the pane's width, none wraps."""
    return Text("\n", no_wrap=True, overflow="ellipsis", end="").join(rows)


def sparkline(values: Sequence[float | None], width: int) -> str:
    """The newest `width` values as blocks, from zero to the largest; what is not known is a gap."""
    newest = list(values[-width:]) if width > 0 else []
    top = max((value for value in newest if value is not None), default=0.0)
    drawn = (" " if value is None else _BLOCKS[_step(value, top)] for value in newest)
    return "".join(drawn).rjust(max(0, width))


def _step(value: float, top: float) -> int:
    if top <= 0 or value <= 0:
        return 0
    return min(len(_BLOCKS) - 1, max(1, round(value / top * (len(_BLOCKS) - 1))))


def bar(share: float, width: int, theme: Theme, role: str = "bar") -> Text:
    """A bar of `width` cells, filled by `share` (0 to 1). Anything above nothing shows, and only full is full."""
    width = max(1, width)
    share = min(1.0, max(0.0, share))
    filled = round(share * width)
    if share > 0:
        filled = max(1, filled)
    if share < 1:
        filled = min(width - 1, filled) if width > 1 else filled
    return Text.assemble(("█" * filled, style(theme, role)), ("░" * (width - filled), style(theme, "track")), end="")
