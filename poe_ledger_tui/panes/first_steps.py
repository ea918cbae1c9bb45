"""What works, what is missing and where to put it: until the first harvest runs, and never again."""

from __future__ import annotations

from rich.text import Text
from textual.theme import Theme

from poe_ledger_tui.messages import RoomState, Stage
from poe_ledger_tui.panes.base import Pane
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.theme import style

CLIENT_STEPS = (
    "1. Register a confidential OAuth client with Grinding Gear Games, scope service:psapi.",
    "2. cp .env.example .env && chmod 600 .env",
    "3. Put POE_OAUTH_CLIENT_ID, POE_OAUTH_CLIENT_SECRET and POE_CONTACT into it.",
    "4. Start again.",
)


class FirstSteps(Pane):
    """Shown while nothing runs and nothing ever ran here."""

    TITLE = "First steps"

    def draw(self, picture: Picture) -> None:
        self.display = wanted(picture)
        super().draw(picture)

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:  # noqa: ARG002 - it wraps
        return steps_text(picture.room, theme, has_queues=bool(picture.queues))


def wanted(picture: Picture) -> bool:
    """Whether there is a first step to take."""
    room = picture.room
    if room.stage is not Stage.READY or room.monitor:
        return False
    if not picture.queues:
        return True
    if any(queue.trouble for queue in picture.queues):
        return False
    return not picture.harvesting and not any(queue.seq or queue.pages or queue.cursor for queue in picture.queues)


def steps_text(room: RoomState, theme: Theme, *, has_queues: bool) -> Text:
    """The steps, in the order in which they help."""
    strong, quiet = style(theme, "strong"), style(theme, "muted")
    text = Text()
    if has_queues:
        text.append("Press ")
        text.append("space", strong)
        text.append(" to start the harvest. It goes on as you leave it: started or stopped.\n")
    if room.queues_left_out:
        text.append(f"\n{', '.join(room.queues_left_out)}", strong)
        text.append(" needs an OAuth client of your own:\n")
        for step in CLIENT_STEPS:
            text.append(f"  {step}\n")
        if has_queues:
            text.append("The currency exchange needs none of this.\n", quiet)
    text.append("\nNo account? The demo shows everything against a simulated API: ")
    text.append("poe-ledger --demo", strong)
    return text
