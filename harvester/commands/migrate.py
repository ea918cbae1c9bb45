"""`poe-migrate` and `poe-ledger --headless migrate`: the status of the schema, and applying what is pending.

Data (tables, SQL, JSON) goes to `out`, talk to `err`. Exit codes: 0 done, 1 failed, 2 the files or the
configuration are at fault, 3 (only where asked for) migrations pending, drifted or failed.
"""

from __future__ import annotations

import json as json_format
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO

from harvester.commands.output import print_table, say
from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.migrations import (
    DryRun,
    Migration,
    MigrationEntry,
    MigrationError,
    MigrationFilesError,
    MigrationProgress,
    MigrationState,
    MigrationStatus,
    ProgressPhase,
)
from harvester.store.schema_files import SchemaFilesMissingError, migrations_directory

DONE, FAILED, MISUSED, NOT_CLEAN = 0, 1, 2, 3
APPLY = "poe-migrate --apply"

_STYLES = {
    MigrationState.APPLIED.value: "green",
    MigrationState.PENDING.value: "yellow",
    MigrationState.EDITED.value: "green",
    MigrationState.CHANGED.value: "bold red",
    MigrationState.MISSING.value: "bold red",
    MigrationState.OUT_OF_ORDER.value: "bold red",
    MigrationState.HALFWAY.value: "bold red",
}


class MigrateAction(StrEnum):
    """What to do."""

    STATUS = "status"
    APPLY = "apply"


def run_migrate(
    engine: Engine,
    action: MigrateAction,
    *,
    out: TextIO,
    err: TextIO,
    dry_run: bool = False,
    json: bool = False,
    exit_code: bool = False,
    allow_drift: bool = False,
    directory: Path | None = None,
    apply_command: str = APPLY,
) -> int:
    """Do it and return the exit code. `exit_code` makes a status that is not clean exit with 3.

    `dry_run` prints every statement that `apply` would run, has the engine parse it, and writes nothing.
    `directory` holds the migrations; default is the schema of this release. `apply_command` is named in hints.
    """
    try:
        files = migrations.load_migrations(directory or migrations_directory())
    except (MigrationFilesError, SchemaFilesMissingError) as error:
        say(err, str(error))
        return MISUSED
    try:
        if action is MigrateAction.STATUS:
            return _status(
                engine, files, out, err, dry_run=dry_run, json=json, exit_code=exit_code, apply_command=apply_command
            )
        if dry_run:
            return _dry_run(engine, files, out, err, json=json, allow_drift=allow_drift)
        return _apply(engine, files, out, err, json=json, allow_drift=allow_drift)
    except MigrationError as error:
        say(err, str(error))
        return FAILED
    except StoreError as error:
        say(err, f"{error} {error.hint}".strip())
        return FAILED


def _status(
    engine: Engine,
    files: Sequence[Migration],
    out: TextIO,
    err: TextIO,
    *,
    dry_run: bool,
    json: bool,
    exit_code: bool,
    apply_command: str,
) -> int:
    current = migrations.status(engine, files)
    # A status is never a refusal: the dry run shows what would be run if it were allowed.
    rehearsal = migrations.dry_run(engine, files, allow_drift=True) if dry_run else None
    if json:
        answer = status_as_json(current)
        if rehearsal is not None:
            answer["statements"] = _statements_as_json(rehearsal)
        _print_json(out, answer)
    else:
        _print_status(out, current)
        say(err, summary(current, apply_command))
        if rehearsal is not None:
            _print_sql(out, rehearsal)
    if rehearsal is not None and not rehearsal.parsed:
        _name_unparsed(err, rehearsal)
        return FAILED
    return NOT_CLEAN if exit_code and not current.clean else DONE


def _dry_run(
    engine: Engine, files: Sequence[Migration], out: TextIO, err: TextIO, *, json: bool, allow_drift: bool
) -> int:
    rehearsal = migrations.dry_run(engine, files, allow_drift=allow_drift)
    if json:
        refusals = list(rehearsal.plan.refusals)
        _print_json(out, {"statements": _statements_as_json(rehearsal), "refusals": refusals})
    else:
        _print_sql(out, rehearsal)
    for refusal in rehearsal.plan.refusals:
        say(err, f"Applying would be refused. {refusal}")
    _name_unparsed(err, rehearsal)
    if rehearsal.plan.refusals or not rehearsal.parsed:
        return FAILED
    count = len(rehearsal.statements)
    say(
        err,
        f"{_count(count, 'statement')} would be run; the engine can parse all of them. Nothing was changed.",
    )
    return DONE


def _apply(
    engine: Engine, files: Sequence[Migration], out: TextIO, err: TextIO, *, json: bool, allow_drift: bool
) -> int:
    say(err, f"Applying migrations to database {engine.database} at {engine.url}.")

    def report(step: MigrationProgress) -> None:
        if step.phase in {ProgressPhase.DONE, ProgressPhase.APPLIED}:
            place = f"{step.statement.number}/{len(step.migration.statements)}"
            say(
                err,
                f"[{step.done}/{step.total}] {step.migration.name} {place} "
                f"{step.statement.headline} ({step.took_ms} ms)",
            )

    result = migrations.apply(engine, files, report, allow_drift=allow_drift)
    names = [migration.name for migration in result.applied]
    if json:
        answer = {"applied": names, "statements": result.statements, "took_ms": result.took_ms}
        _print_json(out, answer | {"database_created": result.database_created})
        return DONE
    for name in names:
        say(out, f"applied {name}")
    if names:
        say(err, f"{_count(len(names), 'migration')} applied in {result.took_ms / 1000:.1f} s.")
    else:
        say(err, "Nothing to apply: the schema is up to date.")
    return DONE


def summary(current: MigrationStatus, apply_command: str = APPLY) -> str:
    """The status in one or two sentences, with what to do next."""
    count = current.count
    parts = [
        f"{count(MigrationState.APPLIED, MigrationState.EDITED)} applied",
        f"{current.pending} pending",
        f"{current.drifted} drifted",
    ]
    text = f"Database {current.database}: {', '.join(parts)}."
    if current.holder is not None:
        return f"{text} {current.holder.owner} is applying migrations right now."
    if current.drifted or count(MigrationState.OUT_OF_ORDER):
        return f"{text} Store and files disagree: see the remarks."
    if current.pending:
        return f"{text} Run: {apply_command}"
    return text


def status_as_json(current: MigrationStatus) -> dict[str, Any]:
    """The status as an object for programs."""
    return {
        "database": current.database,
        "database_exists": current.database_exists,
        "clean": current.clean,
        "pending": current.pending,
        "drifted": current.drifted,
        "running": current.holder.owner if current.holder is not None else None,
        "migrations": [_entry_as_json(entry) for entry in current.entries],
    }


def _entry_as_json(entry: MigrationEntry) -> dict[str, Any]:
    return {
        "version": entry.version,
        "name": entry.name,
        "state": entry.state.value,
        "statements": entry.statement_total,
        "finished_statements": entry.finished_statements,
        "applied_at": entry.applied_at.isoformat() if entry.applied_at is not None else None,
        "checksum": entry.migration.checksum if entry.migration is not None else None,
        "applied_checksum": entry.row.checksum if entry.row is not None else None,
        "error": entry.row.error if entry.row is not None and entry.row.error else None,
        "remark": entry.remark,
    }


def _statements_as_json(rehearsal: DryRun) -> list[dict[str, Any]]:
    return [
        {
            "version": item.migration.version,
            "name": item.migration.name,
            "statement": item.statement.number,
            "line": item.statement.line,
            "sql": item.statement.sql,
            "error": item.error or None,
        }
        for item in rehearsal.statements
    ]


def _print_status(out: TextIO, current: MigrationStatus) -> None:
    rows = [
        [
            entry.name,
            entry.state.value,
            f"{entry.finished_statements}/{entry.statement_total}",
            f"{entry.applied_at:%Y-%m-%d %H:%M:%S}Z" if entry.applied_at is not None else "-",
            entry.remark,
        ]
        for entry in current.entries
    ]
    print_table(out, ["migration", "state", "statements", "last change", "remark"], rows, _STYLES)


def _print_sql(out: TextIO, rehearsal: DryRun) -> None:
    """The statements as a script that could be run as it is."""
    for item in rehearsal.statements:
        total = len(item.migration.statements)
        say(out, f"-- {item.migration.name}: statement {item.statement.number} of {total}")
        say(out, f"{item.statement.sql};\n")


def _name_unparsed(err: TextIO, rehearsal: DryRun) -> None:
    for item in rehearsal.statements:
        if item.error:
            place = f"{item.migration.file.name}, line {item.statement.line}"
            say(err, f"{place}: the engine cannot parse this statement: {item.error}")


def _print_json(out: TextIO, answer: dict[str, Any]) -> None:
    say(out, json_format.dumps(answer, indent=2))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
