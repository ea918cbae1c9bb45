"""The newest lines of the log."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.theme import Theme

from harvester.events import Event, Level
from poe_ledger_tui.panes.base import Pane, lines
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import clock_time

ROLES = {Level.INFO: "", Level.WARNING: "amber", Level.ERROR: "red"}
SIGNS = {Level.INFO: "", Level.WARNING: "! ", Level.ERROR: "!! "}


class EventsTail(Pane):
    """As many lines as there is room for, the newest last. A click opens the log."""

    TITLE = "Events"

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        newest = picture.snapshot.events[-max(1, self.content_size.height) :] if picture.snapshot is not None else ()
        if not newest:
            return Text("nothing has happened yet", style=style(theme, "muted"))
        return lines(*(event_text(event, theme, width) for event in newest))

    async def on_click(self, event: events.Click) -> None:
        event.stop()
        await self.app.run_action("app.go('events')")


def event_text(event: Event, theme: Theme, width: int) -> Text:
    """An event as headless prints it, in one line."""
    row = Text(no_wrap=True, overflow="ellipsis", end="")
    row.append(f"{clock_time(event.at)} ", style(theme, "muted"))
    row.append(SIGNS[event.level] + clean(event.line(), limit=max(20, width)), style(theme, ROLES[event.level]))
    return row
