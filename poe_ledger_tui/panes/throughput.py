"""What comes into the store: stashes, items and bytes a second."""

from __future__ import annotations

from rich.text import Text
from textual.theme import Theme

from poe_ledger_tui.panes.base import Pane, lines, sparkline, waiting
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import count, counted, rate, size

ROOMY = 40
"""Cells from which words stand beside the figures."""


class ThroughputPane(Pane):
    """Means over the last minute, the last five minutes as a line, and the sums since the start."""

    TITLE = "Throughput"

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        if picture.snapshot is None:
            return waiting(theme)
        flow = picture.snapshot.throughput
        head = Text.assemble((f"{rate(flow.stashes_per_second)} stashes/s", style(theme, "strong")), end="")
        room = width - head.cell_len - 1
        if room >= 4:
            head.append(f" {sparkline(flow.stashes.values, min(room, 60))}", style(theme, "bar"))
        gap = "  " if width >= ROOMY else " "
        items = Text(f"{rate(flow.items_per_second)} items/s{gap}{size(flow.bytes_per_second)}/s", end="")
        pages = sum(queue.pages for queue in picture.queues)
        total = sum(queue.items for queue in picture.queues)
        begin = "since start: " if width >= ROOMY else ""
        since = Text(f"{begin}{counted(pages, 'page')}, {counted(total, 'item')}", style=style(theme, "muted"), end="")
        aside = sum(queue.set_aside for queue in picture.queues)
        if not aside:
            return lines(head, items, since)
        told = Text(f"! {count(aside)} set aside", style=style(theme, "amber"), end="")
        if since.cell_len + 2 + told.cell_len > width:
            return lines(head, items, since, told)
        return lines(head, items, since.append(", ").append_text(told))
