"""How the files and the store compare, and what applying would do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.migration_files import Migration, MigrationError
from harvester.store.migration_history import HistoryRow, read_history
from harvester.store.migration_lock import LOCK_TABLE
from harvester.store.row_lease import LeaseHolder, read_holder


class MigrationState(StrEnum):
    """How one migration stands."""

    APPLIED = "applied"
    PENDING = "pending"
    EDITED = "edited"
    """Applied; comments or layout of the file were changed since, its statements were not."""
    CHANGED = "changed"
    """Applied; the statements of the file are no longer the same (drift)."""
    MISSING = "missing"
    """Applied; the file is gone."""
    OUT_OF_ORDER = "out of order"
    """Pending, with a version below the newest applied one."""
    HALFWAY = "halfway"
    """Failed or interrupted: some of its statements are applied."""


@dataclass(frozen=True, slots=True)
class MigrationEntry:
    """One line of the status: a file, a record in the store, or both."""

    version: str
    name: str
    state: MigrationState
    migration: Migration | None
    """None where the file is gone."""
    row: HistoryRow | None
    """The last record in the store; None where there is none."""

    @property
    def number(self) -> int:
        """What versions are ordered by."""
        return int(self.version)

    @property
    def statement_total(self) -> int:
        """Statements of the file, or of the file as it was when it is gone."""
        if self.migration is not None:
            return len(self.migration.statements)
        return self.row.statement_total if self.row is not None else 0

    @property
    def finished_statements(self) -> int:
        """Statements that are applied."""
        return self.row.finished_statements if self.row is not None else 0

    @property
    def applied_at(self) -> datetime | None:
        """When the last record was written; None where there is none."""
        return self.row.applied_at if self.row is not None else None

    @property
    def changed_halfway(self) -> bool:
        """Halfway, and the statements of the file are no longer those that were begun with."""
        return (
            self.state is MigrationState.HALFWAY
            and self.migration is not None
            and self.row is not None
            and self.migration.token_checksum != self.row.token_checksum
        )

    @property
    def remark(self) -> str:
        """What there is to say beyond the state; empty for most."""
        row, total = self.row, self.statement_total
        if self.state is MigrationState.MISSING and row is not None and not row.complete:
            return f"{row.finished_statements} of {total} statements applied, and the file is gone"
        if self.state is MigrationState.HALFWAY and row is not None:
            if self.changed_halfway:
                return f"{row.finished_statements} of {row.statement_total} applied, then the file was changed"
            if row.error:
                return f"failed at statement {row.statement_no} of {total}: {row.error}"
            return f"interrupted after statement {row.finished_statements} of {total}"
        return {
            MigrationState.CHANGED: "the file's statements changed after it was applied",
            MigrationState.EDITED: "comments or layout changed after it was applied",
            MigrationState.MISSING: "applied, but the file is gone",
            MigrationState.OUT_OF_ORDER: "a newer migration is already applied",
        }.get(self.state, "")


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """All migrations of the files and of the store, by version."""

    database: str
    entries: tuple[MigrationEntry, ...]
    database_exists: bool = True
    holder: LeaseHolder | None = None
    """Who is applying migrations right now."""

    def count(self, *states: MigrationState) -> int:
        """How many migrations are in one of these states."""
        return sum(entry.state in states for entry in self.entries)

    @property
    def pending(self) -> int:
        """Migrations still to be run or finished."""
        return self.count(MigrationState.PENDING, MigrationState.OUT_OF_ORDER, MigrationState.HALFWAY)

    @property
    def drifted(self) -> int:
        """Migrations of which store and files disagree."""
        return self.count(MigrationState.CHANGED, MigrationState.MISSING)

    @property
    def clean(self) -> bool:
        """Nothing pending, drifted or failed."""
        return not self.pending and not self.drifted

    @property
    def untouched(self) -> bool:
        """Whether nothing was ever applied here."""
        return all(entry.row is None for entry in self.entries)


@dataclass(frozen=True, slots=True)
class PlannedMigration:
    """A migration to run, from statement `first_statement` (from 1) on."""

    migration: Migration
    first_statement: int


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What applying would run, and why it would refuse to."""

    steps: tuple[PlannedMigration, ...]
    refusals: tuple[str, ...]
    """Each says what is wrong and what to do; empty where the plan may be run."""

    @property
    def statement_count(self) -> int:
        """Statements that would be run."""
        return sum(len(step.migration.statements) - step.first_statement + 1 for step in self.steps)


class MigrationRefusedError(MigrationError):
    """Drift, a missing file or an out-of-order migration that was not allowed."""

    def __init__(self, refusals: Sequence[str]) -> None:
        super().__init__("\n".join(refusals))
        self.refusals = tuple(refusals)


def status(engine: Engine, migrations: Sequence[Migration]) -> MigrationStatus:
    """How the store stands to `migrations`. Writes nothing; a store without database has nothing applied.

    Raises:
        StoreError: the store cannot be asked (never taken for "nothing applied").
    """
    if is_unborn(engine):
        return compare(engine.database, migrations, {}, database_exists=False)
    try:
        handle = engine.open_read_only()
    except StoreError as error:
        if error.fault is not StoreFault.NO_DATABASE:
            raise
        return compare(engine.database, migrations, {}, database_exists=False)
    with handle:
        return read_status(handle, engine, migrations)


def read_status(handle: Handle, engine: Engine, migrations: Sequence[Migration]) -> MigrationStatus:
    """As `status`, on an open handle of `engine` with the database in force."""
    holder = read_holder(handle, LOCK_TABLE, foreign_is_dead=engine.embedded_directory is not None)
    return compare(engine.database, migrations, read_history(handle), holder=holder)


def is_unborn(engine: Engine) -> bool:
    """Whether the embedded store does not exist at all: opening it would create it."""
    directory = engine.embedded_directory
    return directory is not None and not (directory.is_dir() and any(directory.iterdir()))


def compare(
    database: str,
    migrations: Sequence[Migration],
    history: dict[str, HistoryRow],
    *,
    database_exists: bool = True,
    holder: LeaseHolder | None = None,
) -> MigrationStatus:
    """The files against the records of a store."""
    rows = {int(row.version): row for row in history.values()}
    newest = max((number for number, row in rows.items() if row.complete), default=-1)
    entries = [
        MigrationEntry(m.version, m.name, _state(m, rows.get(m.number), newest), m, rows.get(m.number))
        for m in migrations
    ]
    known = {m.number for m in migrations}
    for number, row in rows.items():
        if number not in known:
            name = f"{row.version}_{row.description.replace(' ', '_')}"
            entries.append(MigrationEntry(row.version, name, MigrationState.MISSING, None, row))
    entries.sort(key=lambda entry: entry.number)
    return MigrationStatus(database, tuple(entries), database_exists, holder)


def _state(migration: Migration, row: HistoryRow | None, newest: int) -> MigrationState:
    if row is None:
        return MigrationState.OUT_OF_ORDER if migration.number < newest else MigrationState.PENDING
    if not row.complete:
        return MigrationState.HALFWAY
    if row.token_checksum != migration.token_checksum:
        return MigrationState.CHANGED
    return MigrationState.EDITED if row.checksum != migration.checksum else MigrationState.APPLIED


def plan(current: MigrationStatus, *, allow_drift: bool = False, up_to: str | int | None = None) -> MigrationPlan:
    """What applying would do from here. `up_to` is the last version to run; None means all.

    `allow_drift` leaves changed and missing migrations as they are, runs out-of-order ones, and begins a
    halfway migration whose file was changed again from its first statement.
    """
    last = None if up_to is None else int(up_to)
    steps: list[PlannedMigration] = []
    refusals: list[str] = []
    for entry in current.entries:
        refusal = _refusal(entry)
        wanted = last is None or entry.number <= last
        if refusal and (wanted or entry.migration is None):
            refusals.append(refusal)
        if not wanted or entry.migration is None:
            continue
        if entry.state in {MigrationState.PENDING, MigrationState.OUT_OF_ORDER}:
            steps.append(PlannedMigration(entry.migration, 1))
        elif entry.state is MigrationState.HALFWAY:
            first = 1 if entry.changed_halfway else entry.finished_statements + 1
            steps.append(PlannedMigration(entry.migration, first))
    return MigrationPlan(tuple(steps), () if allow_drift else tuple(refusals))


def _refusal(entry: MigrationEntry) -> str:
    match entry.state:
        case MigrationState.CHANGED:
            cure = "Restore the file and put the change into a new migration"
        case MigrationState.MISSING:
            cure = "Restore the file (an older release may be running on a newer store)"
        case MigrationState.OUT_OF_ORDER:
            cure = "Give it a number above the newest applied one"
        case MigrationState.HALFWAY if entry.changed_halfway:
            cure = "Restore the file to resume where it stopped"
        case _:
            return ""
    return f"{entry.name}: {entry.remark}. {cure}, or allow it with --allow-drift."
