"""When the API slowed us down, for how long, and what it did to the pace."""

from __future__ import annotations

from rich.text import Text
from textual.theme import Theme

from harvester.api.throttle import Throttle
from poe_ledger_tui.panes.base import Pane, lines, waiting
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import clock_time, duration, short_time

SHOWN = 20
ROOMY = 38
"""Cells from which words stand beside the figures."""


class ThrottlesPane(Pane):
    """The 429s and restrictions since the start, the newest first."""

    TITLE = "429s"

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        if picture.snapshot is None:
            return waiting(theme)
        throttles = picture.snapshot.throttles
        if not throttles:
            since = duration(picture.at - picture.snapshot.started_at)
            words = f"none since the start ({since})"
            return Text(words if len(words) <= width else f"none in {since}", style=style(theme, "ok"))
        return lines(*(_row(throttle, picture.at, width, theme) for throttle in reversed(throttles[-SHOWN:])))


def _row(throttle: Throttle, now: float, width: int, theme: Theme) -> Text:
    young = now - throttle.at < 600
    roomy = width >= ROOMY
    row = Text(end="")
    row.append(clock_time(throttle.at) if roomy else short_time(throttle.at), style(theme, "muted"))
    row.append(f" {'429' if throttle.http_status == 429 else 'held'}", style(theme, "amber" if young else ""))
    wait = throttle.retry_after if throttle.retry_after is not None else throttle.restricted_seconds
    row.append(f"  Retry-After {duration(wait)}" if width >= 60 else f" {duration(wait)}")
    row.append("  pace " if roomy else " ")
    row.append(f"{throttle.pace_before:.2f}→{throttle.pace_after:.2f} s")
    if width >= 60:
        row.append(f"  {clean(throttle.policy, limit=40)}", style(theme, "muted"))
    return row
