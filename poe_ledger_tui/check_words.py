"""Sanity checks in words: verdicts with a sign beside the colour, figures, and the whole of one check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text
from textual.theme import Theme

from poe_ledger_tui.safe_text import clean, many_lines, one_line
from poe_ledger_tui.short_value import short_text
from poe_ledger_tui.sql_colours import coloured
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import duration

if TYPE_CHECKING:
    from harvester.store.sanity import Check, CheckResult
    from harvester.store.verdict import Level

_LEVELS = {
    "green": ("✓ green", "ok"),
    "amber": ("! amber", "amber"),
    "red": ("!! red", "red"),
    "error": ("!! error", "red"),
}
_ROWS = 50


def level_text(level: Level | None, theme: Theme) -> Text:
    """A verdict as a cell."""
    words, role = _LEVELS[level.value] if level is not None else ("– not run", "muted")
    return one_line(words, style(theme, role))


def figures(result: CheckResult) -> str:
    """Why a check is not green; else the figures of its first row."""
    if result.said or not result.rows:
        return result.said
    named = zip(result.columns, result.rows[0], strict=True)
    return ", ".join(f"{name} = {short_text(value, limit=80)}" for name, value in named)


def overview(results: Sequence[CheckResult | None], oldest: float | None, theme: Theme) -> Text:
    """How many checks stand how, and how old the oldest verdict is."""
    text = Text(f"{len(results)} checks", style(theme, "strong"))
    for name, (_, role) in _LEVELS.items():
        number = sum(result is not None and result.level.value == name for result in results)
        if number:
            sign = {"amber": "! ", "red": "!! ", "error": "!! "}.get(name, "")
            text.append(f"   {sign}{number} {name}", style(theme, role))
    missing = sum(result is None for result in results)
    if missing:
        text.append(f"   {missing} not run: a runs all", style(theme, "accent"))
    if oldest is not None:
        text.append(f"   oldest verdict {duration(oldest)} ago", style(theme, "muted"))
    return text


def detail(check: Check, result: CheckResult | None, theme: Theme) -> Text:
    """The whole of a check: rule, verdict, result and query."""
    text = Text(f"{clean(check.file.name)}, line {check.line}\n", style(theme, "muted"))
    text.append(f"{clean(check.verdict)}\n\n")
    if result is None:
        text.append("Not run yet.\n", style(theme, "muted"))
    else:
        text.append_text(level_text(result.level, theme))
        text.append(f"  {clean(result.said, limit=2000)}\n" if result.said else "\n")
        if result.level.value in ("amber", "red"):
            text.append("What it means and what to do: the runbook, 'A sanity check is red'.\n", style(theme, "accent"))
        for row in result.rows[:_ROWS]:
            named = zip(result.columns, row, strict=True)
            text.append(
                clean(", ".join(f"{name} = {short_text(value, limit=400)}" for name, value in named), limit=4000)
            )
            text.append("\n")
        if len(result.rows) > _ROWS:
            text.append(f"… and {len(result.rows) - _ROWS} more rows\n", style(theme, "muted"))
    text.append("\n")
    return text.append_text(coloured(many_lines(check.sql), theme))
