"""Migrations: what is reported, what is run, what is refused, and that running again is always safe."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from uuid import uuid4

import pytest

from harvester.clock import SystemClock
from harvester.store import migrations, row_lease, schema_files
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.migration_lock import LOCK_TABLE, MigrationLock
from harvester.store.migrations import (
    Migration,
    MigrationFailedError,
    MigrationFilesError,
    MigrationLockLostError,
    MigrationProgress,
    MigrationRefusedError,
    MigrationsLockedError,
    MigrationState,
    MigrationStatus,
    ProgressPhase,
    load_migrations,
)

ONE = "CREATE TABLE IF NOT EXISTS a (n UInt64) ENGINE = MergeTree ORDER BY n;\n"
TWO = (
    "-- three steps\n"
    "CREATE TABLE IF NOT EXISTS b (n UInt64) ENGINE = MergeTree ORDER BY n;\n"
    "ALTER TABLE b ADD COLUMN IF NOT EXISTS note String DEFAULT 'a;b';\n"
    "CREATE OR REPLACE VIEW v AS SELECT n FROM b;\n"
)
BROKEN = TWO.replace("SELECT n FROM b", "SELECT missing FROM b")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(tmp_path, "0001_first.sql", ONE)
    write(tmp_path, "0002_second_step.sql", TWO)
    return tmp_path


def write(directory: Path, name: str, text: str) -> None:
    (directory / name).write_text(text, encoding="utf-8")


def apply(engine: Engine, directory: Path, **options: bool | str) -> list[MigrationProgress]:
    seen: list[MigrationProgress] = []
    migrations.apply(engine, load_migrations(directory), seen.append, **options)  # type: ignore[arg-type]
    return seen


def status(engine: Engine, directory: Path) -> MigrationStatus:
    return migrations.status(engine, load_migrations(directory))


def states(engine: Engine, directory: Path) -> dict[str, str]:
    return {entry.version: entry.state.value for entry in status(engine, directory).entries}


def tables(engine: Engine) -> set[str]:
    with engine.open_read_only() as handle:
        return {str(row[0]) for row in handle.rows("SHOW TABLES")} - {migrations.HISTORY_TABLE, LOCK_TABLE}


# Files


def test_files_are_read_in_the_order_of_their_versions(tmp_path: Path) -> None:
    for name in ("0010_later.sql", "0002_b.sql", "00011_long.sql", "README.md", ".0003_swap.sql"):
        write(tmp_path, name, ONE)

    loaded = load_migrations(tmp_path)

    assert [m.name for m in loaded] == ["0002_b", "0010_later", "00011_long"]
    assert loaded[1].description == "later"


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("1_short.sql", ONE, "1_short.sql is no name for a migration"),
        ("0002 spaces.sql", ONE, "is no name for a migration"),
        ("00001_twin.sql", ONE, "has the version of"),
        ("0002_empty.sql", "-- nothing\n", "holds no statement"),
        ("0002_open.sql", "SELECT 1;\nSELECT 'x", "0002_open.sql, line 2: a string"),
        ("0002_use.sql", "USE other;", "0002_use.sql, line 1: USE has no effect"),
        ("0002_set.sql", "\nSET max_threads = 1;", "0002_set.sql, line 2: SET has no effect"),
    ],
)
def test_files_at_fault_are_named(tmp_path: Path, name: str, text: str, problem: str) -> None:
    write(tmp_path, "0001_first.sql", ONE)
    write(tmp_path, name, text)

    with pytest.raises(MigrationFilesError) as refusal:
        load_migrations(tmp_path)

    assert problem in str(refusal.value)


def test_a_file_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "0001_latin.sql").write_bytes(b"SELECT '\xe9'")

    with pytest.raises(MigrationFilesError, match=r"0001_latin\.sql is not UTF-8"):
        load_migrations(tmp_path)


def test_a_byte_order_mark_is_no_part_of_the_first_statement(tmp_path: Path) -> None:
    (tmp_path / "0001_bom.sql").write_bytes(b"\xef\xbb\xbf" + ONE.encode())

    assert load_migrations(tmp_path)[0].statements[0].sql.startswith("CREATE")


# Status and apply


def test_a_store_without_database_has_nothing_applied_and_asking_creates_nothing(
    empty_engine: Engine, files: Path
) -> None:
    assert states(empty_engine, files) == {"0001": "pending", "0002": "pending"}
    assert not status(empty_engine, files).database_exists
    assert not empty_engine.database_exists()


def test_applying_creates_the_database_and_reports_every_statement(empty_engine: Engine, files: Path) -> None:
    seen = apply(empty_engine, files)

    assert tables(empty_engine) == {"a", "b", "v"}
    assert status(empty_engine, files).clean
    finished = [(step.migration.version, step.statement.number, step.done) for step in seen if step.took_ms >= 0]
    assert finished == [("0001", 1, 0), ("0001", 1, 1)] + [
        ("0002", number, done) for number in (1, 2, 3) for done in (number, number + 1)
    ]
    assert {step.total for step in seen} == {4}
    assert [step.migration.version for step in seen if step.phase is ProgressPhase.APPLIED] == [
        "0001",
        "0002",
    ]


def test_applying_again_runs_nothing(engine: Engine, files: Path) -> None:
    apply(engine, files)

    assert apply(engine, files) == []
    assert status(engine, files).clean


def test_up_to_leaves_later_migrations_pending(engine: Engine, files: Path) -> None:
    apply(engine, files, up_to="0001")

    assert states(engine, files) == {"0001": "applied", "0002": "pending"}


def test_the_history_is_one_row_per_statement_in_strict_order(engine: Engine, files: Path) -> None:
    apply(engine, files)

    with engine.open_read_only() as handle:
        rows = handle.rows(
            "SELECT version, state, statement_no, statement_total FROM poe_schema_migrations ORDER BY applied_at"
        )
        distinct = handle.value("SELECT uniqExact(applied_at) FROM poe_schema_migrations")

    assert rows == [
        ("0001", "started", 0, 1),
        ("0001", "applied", 1, 1),
        ("0002", "started", 0, 3),
        ("0002", "started", 1, 3),
        ("0002", "started", 2, 3),
        ("0002", "applied", 3, 3),
    ]
    assert distinct == len(rows)


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (lambda text: "-- why\n" + text.replace(" b (", "\n  b ("), MigrationState.EDITED),
        (lambda text: text.replace("'a;b'", "'c'"), MigrationState.CHANGED),
        (lambda text: text + "SELECT 1;", MigrationState.CHANGED),
    ],
)
def test_an_applied_file_that_was_changed_is_told_from_one_only_laid_out_anew(
    engine: Engine, files: Path, change: object, state: MigrationState
) -> None:
    assert callable(change)
    apply(engine, files)
    write(files, "0002_second_step.sql", change(TWO))

    now = status(engine, files)

    assert now.entries[1].state is state
    assert now.clean == (state is MigrationState.EDITED)


def test_drift_is_refused_unless_allowed_and_never_run_again(engine: Engine, files: Path) -> None:
    apply(engine, files)
    write(files, "0001_first.sql", ONE.replace("TABLE IF NOT EXISTS a", "TABLE IF NOT EXISTS z"))
    write(files, "0003_third.sql", ONE.replace(" a ", " c "))

    with pytest.raises(MigrationRefusedError, match=r"0001_first: the file's statements changed.*--allow-drift"):
        apply(engine, files)
    assert "c" not in tables(engine)

    apply(engine, files, allow_drift=True)
    assert tables(engine) == {"a", "b", "v", "c"}
    assert states(engine, files) == {"0001": "changed", "0002": "applied", "0003": "applied"}


def test_a_missing_file_is_refused_unless_allowed(engine: Engine, files: Path) -> None:
    apply(engine, files)
    (files / "0002_second_step.sql").unlink()
    write(files, "0003_third.sql", ONE.replace(" a ", " c "))

    assert states(engine, files) == {"0001": "applied", "0002": "missing", "0003": "pending"}
    assert status(engine, files).entries[1].name == "0002_second_step"
    with pytest.raises(MigrationRefusedError, match="0002_second_step: applied, but the file is gone"):
        apply(engine, files)
    apply(engine, files, allow_drift=True)
    assert states(engine, files)["0003"] == "applied"


def test_a_migration_below_the_newest_applied_one_is_refused_unless_allowed(engine: Engine, files: Path) -> None:
    (files / "0002_second_step.sql").rename(files / "0005_second_step.sql")
    apply(engine, files)
    write(files, "0003_late.sql", ONE.replace(" a ", " c "))

    assert states(engine, files)["0003"] == "out of order"
    with pytest.raises(MigrationRefusedError, match="0003_late: a newer migration is already applied"):
        apply(engine, files)
    apply(engine, files, allow_drift=True)
    assert status(engine, files).clean


# Halfway


def test_a_failed_statement_is_recorded_and_the_file_resumes_there(engine: Engine, files: Path) -> None:
    write(files, "0002_second_step.sql", TWO + "ALTER TABLE c ADD COLUMN IF NOT EXISTS x UInt8;\nSELECT 1;\n")

    with pytest.raises(MigrationFailedError) as failure:
        apply(engine, files)

    assert failure.value.statement.number == 4
    assert "0002_second_step failed at statement 4 of 5 (line 5: ALTER TABLE c" in str(failure.value)
    entry = status(engine, files).entries[1]
    assert (entry.state, entry.finished_statements, entry.statement_total) == (MigrationState.HALFWAY, 3, 5)
    assert entry.remark.startswith("failed at statement 4 of 5: ")

    with engine.open() as handle:
        handle.run("CREATE TABLE c (n UInt64) ENGINE = MergeTree ORDER BY n")
    seen = apply(engine, files)

    assert [step.statement.number for step in seen if step.phase is ProgressPhase.RUNNING] == [4, 5]
    assert status(engine, files).clean


def test_a_half_applied_file_that_was_changed_is_refused(engine: Engine, files: Path) -> None:
    write(files, "0002_second_step.sql", BROKEN)
    with pytest.raises(MigrationFailedError):
        apply(engine, files)
    write(files, "0002_second_step.sql", TWO)

    with pytest.raises(MigrationRefusedError, match="2 of 3 applied, then the file was changed"):
        apply(engine, files)

    seen = apply(engine, files, allow_drift=True)
    assert [step.statement.number for step in seen if step.phase is ProgressPhase.RUNNING] == [1, 2, 3]
    assert status(engine, files).clean


def test_a_new_comment_does_not_keep_a_half_applied_file_from_resuming(engine: Engine, files: Path) -> None:
    write(files, "0002_second_step.sql", BROKEN)
    with pytest.raises(MigrationFailedError):
        apply(engine, files)
    write(files, "0002_second_step.sql", "-- still broken\n" + BROKEN)

    with pytest.raises(MigrationFailedError) as failure:
        apply(engine, files)

    assert failure.value.statement.number == 3


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("at", range(8))
def test_a_run_that_dies_anywhere_is_finished_by_the_next(engine: Engine, files: Path, at: int) -> None:
    """Progress is told right before and right after each statement: death at each of these points."""
    left = at

    def die(_: MigrationProgress) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1

    with pytest.raises(Killed):
        migrations.apply(engine, load_migrations(files), die)

    apply(engine, files)

    assert status(engine, files).clean
    assert tables(engine) == {"a", "b", "v"}


def test_a_statement_that_ran_without_being_recorded_is_run_again(engine: Engine, files: Path) -> None:
    apply(engine, files)
    with engine.open() as handle:
        handle.run(
            "DELETE FROM poe_schema_migrations WHERE version = '0002' AND statement_no >= 2",
            settings={"lightweight_deletes_sync": 2},
        )

    assert status(engine, files).entries[1].remark == "interrupted after statement 1 of 3"
    seen = apply(engine, files)

    assert [step.statement.number for step in seen if step.phase is ProgressPhase.RUNNING] == [2, 3]


def test_a_clock_that_went_back_does_not_hide_newer_records(engine: Engine, files: Path) -> None:
    write(files, "0002_second_step.sql", BROKEN.replace("v AS", "v2 AS") + "SELECT 1;")
    with pytest.raises(MigrationFailedError):
        apply(engine, files)
    with engine.open() as handle:
        handle.run(
            "INSERT INTO poe_schema_migrations SELECT * REPLACE (applied_at + INTERVAL 1 DAY AS applied_at) "
            "FROM poe_schema_migrations WHERE state = 'failed'"
        )
        handle.run("ALTER TABLE b ADD COLUMN missing UInt8")

    apply(engine, files)

    assert status(engine, files).clean


# Trouble is not "nothing applied"


def test_a_store_that_cannot_be_asked_is_an_error_and_not_an_empty_store(files: Path) -> None:
    unreachable = Engine("http://127.0.0.1:9", "poe_trade")

    with pytest.raises(StoreError) as trouble:
        status(unreachable, files)

    assert trouble.value.fault is StoreFault.UNREACHABLE


def test_a_history_that_cannot_be_read_is_an_error(engine: Engine, files: Path) -> None:
    with engine.open() as handle:
        handle.run("CREATE TABLE poe_schema_migrations (version String) ENGINE = MergeTree ORDER BY version")

    with pytest.raises(StoreError):
        status(engine, files)
    with pytest.raises(StoreError):
        apply(engine, files)
    assert tables(engine) == set()


# Dry run


def test_a_dry_run_parses_every_statement_and_changes_nothing(empty_engine: Engine, files: Path) -> None:
    write(
        files,
        "0003_more.sql",
        "INSERT INTO a VALUES (1), (2);\nINSERT INTO a SELECT n FROM b SETTINGS max_threads = 1;\n"
        "SYSTEM FLUSH LOGS;\nDROP TABLE IF EXISTS a;\nRENAME TABLE a TO c;",
    )

    result = migrations.dry_run(empty_engine, load_migrations(files))

    assert result.parsed, [item.error for item in result.statements]
    assert [(item.migration.version, item.statement.number) for item in result.statements] == [
        ("0001", 1),
        *[("0002", number) for number in (1, 2, 3)],
        *[("0003", number) for number in (1, 2, 3, 4, 5)],
    ]
    assert not empty_engine.database_exists()


def test_a_dry_run_names_what_the_engine_cannot_parse(engine: Engine, files: Path) -> None:
    apply(engine, files)
    write(files, "0003_wrong.sql", ONE + "CREATE TABLE;\nSELECT (1 SETTINGS max_threads = 1;")

    result = migrations.dry_run(engine, load_migrations(files))

    assert [bool(item.error) for item in result.statements] == [False, True, True]
    assert "Syntax error" in result.statements[1].error
    assert not result.parsed


def test_a_dry_run_of_a_resumed_file_begins_where_it_stopped(engine: Engine, files: Path) -> None:
    write(files, "0002_second_step.sql", BROKEN)
    with pytest.raises(MigrationFailedError):
        apply(engine, files)

    result = migrations.dry_run(engine, load_migrations(files))

    assert [item.statement.number for item in result.statements] == [3]


# Two runners


def test_of_two_runners_one_works_and_the_other_names_it(engine: Engine, files: Path) -> None:
    working, go_on = threading.Event(), threading.Event()
    outcome: list[object] = []

    def wait(_: MigrationProgress) -> None:
        working.set()
        assert go_on.wait(30)

    def first() -> None:
        outcome.append(migrations.apply(engine, load_migrations(files), wait).statements)

    runner = threading.Thread(target=first)
    runner.start()
    try:
        assert working.wait(30)
        with pytest.raises(MigrationsLockedError, match=r"being applied by .*, process \d+ since"):
            apply(engine, files)
        holder = status(engine, files).holder
        assert holder is not None
        assert holder.owner == row_lease.owner_name()
    finally:
        go_on.set()
        runner.join()

    assert outcome == [4]
    assert status(engine, files).holder is None
    assert apply(engine, files) == []


def test_of_many_who_arrive_together_exactly_one_holds_the_lock(engine: Engine) -> None:
    holding, refused = [], []
    barrier = threading.Barrier(4)
    inside = threading.Lock()
    done = threading.Barrier(4)

    def run(number: int) -> None:
        with engine.open(writes=False) as handle:
            lock = MigrationLock(engine, handle, SystemClock(), owner=f"runner {number}")
            barrier.wait(30)
            try:
                with lock.hold():
                    assert inside.acquire(blocking=False)
                    holding.append(number)
                    done.wait(30)
                    inside.release()
            except MigrationsLockedError as error:
                refused.append(error.holder.owner)
                done.wait(30)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(holding) == 1
    assert refused == [f"runner {holding[0]}"] * 3


class HandClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def pause(self, seconds: float) -> None:
        self.time += seconds


def test_a_lease_that_was_not_renewed_in_time_stops_the_run(engine: Engine, handle: Handle) -> None:
    clock = HandClock()
    lock = MigrationLock(engine, handle, clock)

    with lock.hold():
        clock.time += row_lease.LEASE_SECONDS - 1
        lock.ensure()
        lock.renew(handle)
        clock.time += row_lease.LEASE_SECONDS - 1
        lock.ensure()
        clock.time += 1
        with pytest.raises(MigrationLockLostError, match="ran out"):
            lock.ensure()


def test_a_run_that_lost_its_lease_starts_no_further_statement(engine: Engine, files: Path) -> None:
    clock = HandClock()

    def stall(step: MigrationProgress) -> None:
        if step.migration.version == "0001" and step.phase is ProgressPhase.APPLIED:
            clock.time += row_lease.LEASE_SECONDS

    with pytest.raises(MigrationLockLostError):
        migrations.apply(engine, load_migrations(files), stall, clock=clock)

    assert tables(engine) == {"a"}
    apply(engine, files)
    assert status(engine, files).clean


def foreign_claim(handle: Handle, state: str, token: str, process: str, seconds: int = 30) -> None:
    handle.run(
        f"INSERT INTO {LOCK_TABLE} SELECT {{token:String}}, {{process:String}}, 'elsewhere, process 7', "
        "{state:String}, 1, now64(3, 'UTC'), now64(3, 'UTC') + toIntervalSecond({seconds:Int32}), ''",
        {"token": token, "process": process, "state": state, "seconds": seconds},
    )


@pytest.fixture
def lock_table(engine: Engine, handle: Handle) -> Handle:
    with MigrationLock(engine, handle, SystemClock()).hold():
        pass
    return handle


def this_process(handle: Handle) -> str:
    return str(handle.value(f"SELECT any(process) FROM {LOCK_TABLE}"))


def test_a_dead_claim_of_an_earlier_process_on_an_embedded_store_is_ignored(
    engine: Engine, lock_table: Handle, files: Path
) -> None:
    if engine.embedded_directory is None:
        pytest.skip("a server has processes on other machines")
    foreign_claim(lock_table, "holding", "0", process=uuid4().hex)

    assert status(engine, files).holder is None
    assert apply(engine, files)


def test_a_claim_whose_time_is_over_is_ignored(engine: Engine, lock_table: Handle) -> None:
    foreign_claim(lock_table, "holding", "0", this_process(lock_table), seconds=-1)

    with MigrationLock(engine, lock_table, SystemClock()).hold():
        pass


@pytest.mark.parametrize("token", ["0", "z"], ids=["smaller", "greater"])
def test_a_claim_that_never_gets_further_is_waited_for_and_then_named(
    engine: Engine, lock_table: Handle, token: str
) -> None:
    foreign_claim(lock_table, "waiting", token, this_process(lock_table))
    clock = HandClock()

    with (
        pytest.raises(MigrationsLockedError, match="elsewhere, process 7"),
        MigrationLock(engine, lock_table, clock, pause=clock.pause).hold(),
    ):
        pass

    assert clock.time >= 10


def test_the_lease_is_renewed_while_a_statement_takes_its_time(
    engine: Engine, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_lease, "_RENEW_SECONDS", 0.01)
    lock = MigrationLock(engine, handle, SystemClock())
    renewals = 0

    with lock.hold():
        deadline = time.monotonic() + 20
        while renewals < 4 and time.monotonic() < deadline:
            renewals = int(handle.value(f"SELECT max(beat) FROM {LOCK_TABLE}"))

    assert renewals >= 4
    assert handle.value(f"SELECT argMax(state, beat) FROM {LOCK_TABLE}") == "released"


# The schema of this release


@pytest.fixture(scope="session")
def shipped() -> list[Migration]:
    return load_migrations(schema_files.migrations_directory())


def test_every_statement_of_the_shipped_schema_may_be_run_twice(engine: Engine, shipped: list[Migration]) -> None:
    """A run that dies between a statement and its record repeats the statement."""

    def run_once_before(step: MigrationProgress) -> None:
        if step.phase is ProgressPhase.RUNNING:
            with engine.open(writes=False) as other:
                other.run(step.statement.sql)

    migrations.apply(engine, shipped, run_once_before)

    assert migrations.status(engine, shipped).clean


def test_the_shipped_schema_names_no_database_and_parses(engine: Engine, shipped: list[Migration]) -> None:
    result = migrations.dry_run(engine, shipped)

    assert result.parsed, [(item.migration.name, item.error) for item in result.statements if item.error]
    for item in result.statements:
        assert "poe_trade." not in item.statement.sql
