"""The requests of all queues: how many a second, how fast they are answered, and how they ended."""

from __future__ import annotations

from rich.text import Text
from textual.theme import Theme

from poe_ledger_tui.panes.base import Pane, lines, sparkline, waiting
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import count, milliseconds, rate

ROOMY = 44
"""Cells from which the classes stand apart."""


class RequestsPane(Pane):
    """Rate with its last five minutes, p50 and p95, and the classes of answers since the start."""

    TITLE = "Requests"

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        if picture.snapshot is None:
            return waiting(theme)
        requests = picture.snapshot.requests
        head = Text.assemble((f"{rate(requests.per_second)} /s", style(theme, "strong")), end="")
        room = width - head.cell_len - 2 - len(" 5 min")
        if room >= 5:
            head.append(f"  {sparkline(requests.rate.values, min(room, 60))}", style(theme, "bar"))
            head.append(" 5 min", style(theme, "muted"))
        times = Text(f"p50 {milliseconds(requests.p50_ms)}   p95 {milliseconds(requests.p95_ms)}", end="")
        classes = Text(f"2xx {count(requests.ok)}", end="")
        gap = "  " if width >= ROOMY else " "
        for name, number, role in (
            ("429", requests.rate_limited, "amber"),
            ("4xx", requests.refused, "red"),
            ("5xx", requests.server_errors, "amber"),
            ("net", requests.network_errors, "amber"),
        ):
            classes.append(gap)
            classes.append(f"{name} {count(number)}", style(theme, role if number else "muted"))
        return lines(head, times, classes)
