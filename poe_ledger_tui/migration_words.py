"""Migrations in words and colours: the list, the SQL with how each statement stands, questions and outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text
from textual.theme import Theme

from harvester.store.migrations import (
    MigrationEntry,
    MigrationPlan,
    MigrationProgress,
    MigrationState,
    MigrationStatus,
    ProgressPhase,
)
from poe_ledger_tui.migration_work import destructive, names
from poe_ledger_tui.safe_text import clean, many_lines, one_line
from poe_ledger_tui.sql_colours import coloured
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import milliseconds

STATES = {
    MigrationState.APPLIED: ("✓", "ok"),
    MigrationState.EDITED: ("✓", "ok"),
    MigrationState.PENDING: ("!", "amber"),
    MigrationState.CHANGED: ("!!", "red"),
    MigrationState.MISSING: ("!!", "red"),
    MigrationState.OUT_OF_ORDER: ("!!", "red"),
    MigrationState.HALFWAY: ("!!", "red"),
}
"""The sign beside each state's word, and its style."""


@dataclass(frozen=True, slots=True)
class StatementMark:
    """How one statement stands, in one line above it."""

    words: str
    role: str


PARSED = StatementMark("the engine can parse it", "ok")


def row_of(entry: MigrationEntry, theme: Theme) -> list[Text]:
    """An entry as cells: name, state, statements, last change, remark."""
    sign, role = STATES[entry.state]
    changed = "–" if entry.applied_at is None else f"{entry.applied_at:%Y-%m-%d %H:%M:%S}Z"
    return [
        one_line(entry.name),
        one_line(f"{sign} {entry.state.value}", style(theme, role)),
        one_line(f"{entry.finished_statements}/{entry.statement_total}"),
        one_line(changed, style(theme, "muted")),
        one_line(entry.remark),
    ]


def refusal_words(refusal: str) -> str:
    """A refusal as it helps on a screen."""
    return refusal.replace("allow it with --allow-drift", "apply all the same with A")


def summary(status: MigrationStatus, plan: MigrationPlan, theme: Theme) -> Text:
    """Where the schema stands and what to do next, in two lines at most."""
    applied = status.count(MigrationState.APPLIED, MigrationState.EDITED)
    text = Text(f"Database {clean(status.database)}: {applied} applied, ")
    text.append(f"{status.pending} pending", style(theme, "amber" if status.pending else "ok"))
    text.append(", ")
    text.append(f"{status.drifted} drifted", style(theme, "red" if status.drifted else "ok"))
    text.append(". ")
    if status.holder is not None:
        text.append(f"{clean(status.holder.owner)} is applying migrations right now.", style(theme, "amber"))
    elif plan.refusals:
        text.append(clean(refusal_words(plan.refusals[0]), limit=600), style(theme, "red"))
    elif status.count(MigrationState.HALFWAY):
        text.append("Mend the cause, then a resumes where it stopped.", style(theme, "red"))
    elif status.pending:
        text.append("d rehearses, a applies.", style(theme, "accent"))
    else:
        text.append("Nothing to do.", style(theme, "muted"))
    return text


def sql_of(entry: MigrationEntry, marks: Mapping[int, StatementMark], theme: Theme) -> Text:
    """The statements of a migration, in colours, each below the line that says how it stands."""
    text = Text()
    if entry.remark:
        text.append(f"{clean(entry.remark, limit=2000)}\n\n", style(theme, STATES[entry.state][1]))
    if entry.migration is None:
        text.append("The file is gone; what it held is not known.", style(theme, "muted"))
        return text
    total = len(entry.migration.statements)
    for statement in entry.migration.statements:
        mark = marks.get(statement.number) or _mark_of(entry, statement.number)
        place = f"-- statement {statement.number} of {total}, line {statement.line} of {entry.migration.file.name}"
        text.append(clean(place), style(theme, "muted"))
        text.append(f"  {clean(mark.words, limit=2000)}\n", style(theme, mark.role))
        text.append_text(coloured(many_lines(statement.sql), theme)).append(";\n\n")
    return text


def _mark_of(entry: MigrationEntry, number: int) -> StatementMark:
    if entry.state is MigrationState.CHANGED:
        return StatementMark("as the file has it now; what was applied is another", "red")
    if number <= entry.finished_statements:
        return StatementMark("applied", "ok")
    if entry.row is not None and entry.row.error and entry.row.statement_no == number:
        return StatementMark(f"failed: {entry.row.error}", "red")
    return StatementMark("pending", "amber")


def mark_of_progress(step: MigrationProgress) -> StatementMark:
    """How a statement stands while it is applied."""
    if step.phase is ProgressPhase.RUNNING:
        return StatementMark("running …", "accent")
    if step.phase is ProgressPhase.FAILED:
        return StatementMark(f"failed after {milliseconds(step.took_ms)}: {step.error}", "red")
    return StatementMark(f"applied in {milliseconds(step.took_ms)}", "ok")


def progress_line(step: MigrationProgress) -> str:
    """One step of applying, in one line."""
    number, total = step.statement.number, len(step.migration.statements)
    place = f"{step.migration.name}, statement {number} of {total}: {step.statement.headline}"
    return f"[{step.done}/{step.total}] {place} — {mark_of_progress(step).words}"


def question(plan: MigrationPlan, database: str, place: str, *, harvesting: bool, drift: bool) -> Text:
    """What is asked before anything is applied: what, how much, where, and what happens to the harvest."""
    files, statements = len(plan.steps), plan.statement_count
    text = f"Apply {_count(files, 'migration')} ({_count(statements, 'statement')})\n"
    text += f"to the database {database}\nof {place}?\n\n{names(plan.steps)}\n"
    if harvesting:
        text += "\nThe harvest is paused meanwhile and goes on afterwards. Nothing is lost.\n"
    if drift:
        text += "\nStore and files disagree. What is changed or missing stays as it is.\n"
    if gone := destructive(plan):
        text += "\nThese statements throw data away:\n" + "\n".join(f"  {headline}" for headline in gone) + "\n"
    return many_lines(text)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
