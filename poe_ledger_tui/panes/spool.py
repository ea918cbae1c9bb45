"""What waits on disk for the store. Not there while nothing waits."""

from __future__ import annotations

from rich.text import Text
from textual.theme import Theme

from poe_ledger_tui.panes.base import Pane, bar, lines
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import count, size


class SpoolPane(Pane):
    """Pages and bytes against the budget at which asking stops."""

    TITLE = "Spool"

    def draw(self, picture: Picture) -> None:
        spool = picture.snapshot.spool if picture.snapshot is not None else None
        self.display = spool is not None and spool.pages > 0
        super().draw(picture)

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        if picture.snapshot is None:
            return Text("")
        spool = picture.snapshot.spool
        share = spool.bytes / spool.budget_bytes if spool.budget_bytes else 0.0
        role = "red" if share >= 0.95 else "amber" if share >= 0.5 else "bar"
        sign = {"red": "!! ", "amber": "! "}.get(role, "")
        pages = "1 page" if spool.pages == 1 else f"{count(spool.pages)} pages"
        head = Text.assemble(
            (f"{sign}{pages}", style(theme, "" if role == "bar" else role)), " wait for the store", end=""
        )
        limit = Text(f"{size(spool.bytes)} of {size(spool.budget_bytes)}  ", end="")
        limit.append_text(bar(share, min(24, max(4, width - limit.cell_len)), theme, role))
        return lines(head, limit)
