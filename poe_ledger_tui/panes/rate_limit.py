"""What the API allows and how much of it is used: every policy, every triplet of its rules."""

from __future__ import annotations

from rich.text import Text
from textual.theme import Theme

from harvester.api.pacer import PacerSnapshot
from harvester.model import Triplet
from poe_ledger_tui.panes.base import Pane, bar, lines, waiting
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean, one_line
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import UNKNOWN, duration, short_duration

LONGEST_BAR = 24


class RateLimitPane(Pane):
    """A bar for every triplet; pace, next slot, and a restriction with its countdown."""

    TITLE = "Rate limit"

    def text(self, picture: Picture, width: int, theme: Theme) -> Text:
        if picture.snapshot is None:
            return waiting(theme)
        if not picture.snapshot.pacers:
            return Text("no limits known yet: nothing was asked", style=style(theme, "muted"))
        rows: list[Text] = []
        for pacer in picture.snapshot.pacers:
            rows.append(one_line(pacer.name, style(theme, "accent"), limit=width))
            rows += _triplets(pacer, width, theme)
            rows.append(_pace(pacer, picture, width, theme))
        return lines(*rows)


def _triplets(pacer: PacerSnapshot, width: int, theme: Theme) -> list[Text]:
    named = [
        (f"{clean(rule.name, limit=10)} {t.hits}:{t.period}:{t.restriction}", t)
        for rule in pacer.rules
        for t in rule.triplets
    ]
    if not named:
        return [Text("no limits in the headers: one request a second", style=style(theme, "muted"))]
    widest = max(len(name) for name, _ in named)
    rows = []
    for name, triplet in named:
        words = _used(triplet)
        row = Text(f"{name:<{widest}}  ", end="")
        room = width - widest - 2 - 2 - max(len(_used(t)) for _, t in named)
        if room >= 4:
            share = 0.0 if triplet.used is None else triplet.used / max(1, triplet.hits)
            full = triplet.used is not None and triplet.used > triplet.hits
            row.append_text(bar(share, min(LONGEST_BAR, room), theme, "red" if full else "bar"))
            row.append("  ")
        row.append(words)
        rows.append(row)
    return rows


def _used(triplet: Triplet) -> str:
    used = UNKNOWN if triplet.used is None else str(triplet.used)
    return f"{used} of {triplet.hits} in {duration(triplet.period)}"


def _pace(pacer: PacerSnapshot, picture: Picture, width: int, theme: Theme) -> Text:
    row = Text(f"pace {pacer.pace_seconds:.2f} s", end="")
    now = picture.at
    if pacer.restricted_until is not None and pacer.restricted_until > now:
        left = duration(pacer.restricted_until - now + 0.999)
        row.append("   ")
        row.append(f"!! RESTRICTED, {left} more", style(theme, "red"))
        return row
    if pacer.next_slot_seconds is None:
        row.append("   next with the answer" if pacer.in_flight else f"   next in {UNKNOWN}")
    else:
        row.append(f"   next in {short_duration(pacer.next_slot_seconds)}")
    free = "   no restriction"
    if row.cell_len + len(free) <= width:
        row.append(free, style(theme, "muted"))
    return row
