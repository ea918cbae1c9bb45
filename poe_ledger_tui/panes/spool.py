"""What waits on disk for the store. Not there while only the pages in hand do."""

from __future__ import annotations

from rich.text import Text
from textual.theme import Theme

from harvester.snapshot import QueueState
from poe_ledger_tui.panes.base import Pane, bar, lines
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import count, size

IN_HAND = 3
"""Pages of a queue that are on their way into the store on a good day."""


class SpoolPane(Pane):
    """Pages and bytes against the budget at which asking stops."""

    TITLE = "Spool"

    def draw(self, picture: Picture) -> None:
        self.display = _worth_showing(picture)
        super().draw(picture)

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        if picture.snapshot is None:
            return Text("")
        spool = picture.snapshot.spool
        share = spool.bytes / spool.budget_bytes if spool.budget_bytes else 0.0
        role = "red" if share >= 0.95 else "amber" if share >= 0.5 else "bar"
        sign = {"red": "!! ", "amber": "! "}.get(role, "")
        pages = "1 page waits" if spool.pages == 1 else f"{count(spool.pages)} pages wait"
        head = Text.assemble((f"{sign}{pages}", style(theme, "" if role == "bar" else role)), " for the store", end="")
        limit = Text(f"{size(spool.bytes)} of {size(spool.budget_bytes)}  ", end="")
        limit.append_text(bar(share, min(24, max(4, width - limit.cell_len)), theme, role))
        return lines(head, limit)


def _worth_showing(picture: Picture) -> bool:
    """Every page is in the spool for a moment; a pane that came and went with each would make the screen jump."""
    if picture.snapshot is None or not picture.snapshot.spool.pages:
        return False
    spool = picture.snapshot.spool
    waits = any(queue.state in (QueueState.STORE_LOST, QueueState.SPOOL_FULL) for queue in picture.queues)
    return waits or spool.pages > IN_HAND * len(picture.queues) or spool.bytes * 2 >= spool.budget_bytes > 0
