"""Running migrations: statement by statement, recorded as it goes, resumable after any interruption."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from harvester.clock import Clock, SystemClock
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.migration_files import Migration, MigrationError
from harvester.store.migration_history import RowState, append_history, create_history_table
from harvester.store.migration_lock import MigrationLock
from harvester.store.migration_status import (
    MigrationPlan,
    MigrationRefusedError,
    PlannedMigration,
    is_unborn,
    plan,
    read_status,
    status,
)
from harvester.store.sql_script import Statement


class ProgressPhase(StrEnum):
    """What has just happened."""

    RUNNING = "running"
    """The statement is about to be run."""
    DONE = "done"
    """The statement is finished and recorded."""
    APPLIED = "applied"
    """The statement was the last of its file."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """One step of `apply`, for a screen."""

    phase: ProgressPhase
    migration: Migration
    statement: Statement
    done: int
    """Statements finished in this run, over all migrations."""
    total: int
    """Statements that this run is to execute, over all migrations."""
    took_ms: int = 0
    """Of the statement; 0 while it runs."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """What a run did."""

    applied: tuple[Migration, ...]
    statements: int
    """Statements that were run."""
    database_created: bool
    took_ms: int


@dataclass(frozen=True, slots=True)
class ParsedStatement:
    """A statement as it would be run, and what the engine's parser says to it."""

    migration: Migration
    statement: Statement
    error: str
    """Empty where the engine can parse it."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What applying would run, unless it would refuse to."""

    plan: MigrationPlan
    statements: tuple[ParsedStatement, ...]

    @property
    def parsed(self) -> bool:
        """Whether the engine can parse every statement."""
        return not any(item.error for item in self.statements)


class MigrationFailedError(MigrationError):
    """A statement failed; those before it are applied and recorded."""

    def __init__(self, migration: Migration, statement: Statement, cause: StoreError) -> None:
        hint = f" {cause.hint}" if cause.hint and cause.fault is not StoreFault.NO_TABLE else ""
        super().__init__(
            f"{migration.name} failed at statement {statement.number} of {len(migration.statements)} "
            f"(line {statement.line}: {statement.headline}): {cause}{hint}\n"
            "The statements before it are applied. Mend the cause and run this again: it resumes there."
        )
        self.migration = migration
        self.statement = statement
        self.cause = cause


def _silent(_: MigrationProgress) -> None:
    pass


def apply(
    engine: Engine,
    migrations: Sequence[Migration],
    progress: Callable[[MigrationProgress], None] = _silent,
    *,
    allow_drift: bool = False,
    up_to: str | int | None = None,
    clock: Clock | None = None,
) -> ApplyResult:
    """Run what is pending, in order, up to version `up_to` (None: all). Safe to run again at any time.

    Creates the database where it is missing. `progress` is called in this thread.

    Raises:
        MigrationRefusedError: drift, a missing file or an out-of-order migration, without `allow_drift`.
        MigrationsLockedError: another runner is at work.
        MigrationFailedError: a statement failed; what is done is recorded.
        StoreError: the store cannot be used.
    """
    clock = clock or SystemClock()
    started = clock.monotonic()
    before = status(engine, migrations)
    if not _accepted(plan(before, allow_drift=allow_drift, up_to=up_to)).steps:
        return ApplyResult((), 0, database_created=False, took_ms=0)
    if not before.database_exists:
        engine.create_database()
    # Not the harvest's settings: a backfill may fill many partitions in one statement.
    with engine.open(writes=False) as handle:
        handle.set_for_session("async_insert", 0)
        create_history_table(handle)
        lock = MigrationLock(engine, handle, clock)
        with lock.hold():
            # Another runner may have finished while this one waited for the lock.
            current = read_status(handle, engine, migrations)
            steps = _accepted(plan(current, allow_drift=allow_drift, up_to=up_to))
            run = _Run(handle, lock, progress, clock, steps.statement_count)
            for step in steps.steps:
                run.migrate(step)
    return ApplyResult(
        applied=tuple(step.migration for step in steps.steps),
        statements=run.done,
        database_created=not before.database_exists,
        took_ms=_milliseconds(clock.monotonic() - started),
    )


def _accepted(planned: MigrationPlan) -> MigrationPlan:
    if planned.refusals:
        raise MigrationRefusedError(planned.refusals)
    return planned


class _Run:
    """One run of `apply` under the lock."""

    def __init__(
        self,
        handle: Handle,
        lock: MigrationLock,
        progress: Callable[[MigrationProgress], None],
        clock: Clock,
        total: int,
    ) -> None:
        self.done = 0
        self._handle = handle
        self._lock = lock
        self._progress = progress
        self._clock = clock
        self._total = total

    def migrate(self, step: PlannedMigration) -> None:
        migration = step.migration
        self._record(migration, RowState.STARTED, step.first_statement - 1)
        for statement in migration.statements[step.first_statement - 1 :]:
            self._lock.ensure()
            self._report(ProgressPhase.RUNNING, migration, statement)
            began = self._clock.monotonic()
            try:
                self._handle.run(statement.sql)
            except StoreError as error:
                took = _milliseconds(self._clock.monotonic() - began)
                # Where the store is gone the `started` row already says how far it came.
                with contextlib.suppress(StoreError):
                    self._record(migration, RowState.FAILED, statement.number, took, str(error))
                self._report(ProgressPhase.FAILED, migration, statement, took, str(error))
                raise MigrationFailedError(migration, statement, error) from error
            took = _milliseconds(self._clock.monotonic() - began)
            last = statement.number == len(migration.statements)
            self._record(migration, RowState.APPLIED if last else RowState.STARTED, statement.number, took)
            self.done += 1
            self._report(ProgressPhase.APPLIED if last else ProgressPhase.DONE, migration, statement, took)

    def _record(
        self, migration: Migration, state: RowState, statement_no: int, took_ms: int = 0, error: str = ""
    ) -> None:
        append_history(
            self._handle,
            migration,
            state,
            statement_no,
            runner=self._lock.owner,
            duration_ms=took_ms,
            error=error,
        )

    def _report(
        self,
        phase: ProgressPhase,
        migration: Migration,
        statement: Statement,
        took_ms: int = 0,
        error: str = "",
    ) -> None:
        self._progress(MigrationProgress(phase, migration, statement, self.done, self._total, took_ms, error))


def dry_run(
    engine: Engine,
    migrations: Sequence[Migration],
    *,
    allow_drift: bool = False,
    up_to: str | int | None = None,
) -> DryRun:
    """What `apply` would run, each statement parsed by the engine on a read-only handle. Writes nothing.

    Raises:
        StoreError: the store cannot be asked.
    """
    current = status(engine, migrations)
    planned = plan(current, allow_drift=allow_drift, up_to=up_to)
    with _parser(engine, database_exists=current.database_exists) as handle:
        worded = [
            (step.migration, replace(statement, sql=handle.replication.worded(statement.sql)))
            for step in planned.steps
            for statement in step.migration.statements[step.first_statement - 1 :]
        ]
        statements = tuple(
            ParsedStatement(migration, statement, _parse(handle, statement)) for migration, statement in worded
        )
    return DryRun(planned, statements)


@contextlib.contextmanager
def _parser(engine: Engine, *, database_exists: bool) -> Iterator[Handle]:
    """A read-only handle that can parse, whether or not store and database exist yet."""
    with contextlib.ExitStack() as stack:
        if not database_exists:
            engine = copy.copy(engine)
            engine.database = "system"
            if is_unborn(engine):
                engine.url = f"chdb://{stack.enter_context(tempfile.TemporaryDirectory())}"
        yield stack.enter_context(engine.open_read_only())


def _parse(handle: Handle, statement: Statement) -> str:
    """What the engine's parser says to one statement that the tokenizer has cut; empty where it parses."""
    try:
        if statement.first_word == "SYSTEM":
            # EXPLAIN AST takes the output format that the driver appends for part of a SYSTEM statement.
            _parse_as_value(handle, statement)
        else:
            try:
                handle.rows(f"EXPLAIN AST {statement.sql}")
            except StoreError as error:
                # A read-only handle refuses the statement's own SETTINGS, after having parsed it.
                if error.fault is not StoreFault.NOT_ALLOWED:
                    raise
                _parse_as_value(handle, statement)
    except StoreError as error:
        if error.fault in {StoreFault.UNREACHABLE, StoreFault.CREDENTIALS, StoreFault.HELD}:
            raise
        return str(error)
    return ""


def _parse_as_value(handle: Handle, statement: Statement) -> None:
    handle.value("SELECT formatQuery({sql:String})", {"sql": statement.sql})


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
