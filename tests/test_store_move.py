"""A store moved to a server and back: every row once, whatever cuts the way off, and damage is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from harvester.clock import SystemClock
from harvester.model import Queue
from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.queue_lease import QueueLease
from harvester.store.server_connection import ServerOptions
from harvester.store.store_move import MoveEnd, MoveProgress, MoveRefused, MoveResult, StoreMove
from tests.cli_bench import Home
from tests.http_front.process import ServerProcess
from tests.http_front.wire import Wire
from tests.schema_template import migrate
from tests.soak.stream import Stream
from tests.store_bench import Bench, contents, open_bench

SLICE = 60_000
PAGES = 3


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server") / "data") as running:
        yield running


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    with Wire(lambda: server.port) as passing:
        yield passing


@pytest.fixture(scope="module")
def harvested(engine_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """An embedded store with pages, stashes that were superseded, and items that moved."""
    engine = Engine(f"chdb://{engine_directory}", f"move_{uuid4().hex[:8]}")
    engine.create_database()
    with engine.open() as handle:
        bench = open_bench(handle, engine, tmp_path_factory.mktemp("spool"))
        for page in islice(Stream(3).walk(), PAGES):
            bench.commit(page.body)
        bench.commit(next(Stream(3).walk()).body)
        yield bench
        handle.run(f"DROP DATABASE {engine.database} SYNC")


@pytest.fixture
def source(harvested: Bench, engine_directory: Path) -> Engine:
    return Engine(f"chdb://{engine_directory}", harvested.handle.value("SELECT currentDatabase()"))


def target_at(url: str) -> Engine:
    return Engine(url, f"moved_{uuid4().hex[:8]}", options=ServerOptions(timeout=20.0), pause=lambda _: None)


def move(source: Engine, target: Engine, leave: Callable[[], bool] = lambda: False) -> MoveResult:
    """Move, with progress that never goes back."""
    copied: list[MoveProgress] = []

    def report(progress: MoveProgress) -> None:
        if progress.doing == "copy":
            copied.append(progress)

    moving = StoreMove(source, target, slice_bytes=SLICE, pause=lambda _: None)
    result = moving.run(report, leave)
    assert all(before.rows_done <= after.rows_done for before, after in pairwise(copied))
    assert all(progress.rows_done <= progress.rows_total for progress in copied)
    return result


def everything(engine: Engine) -> dict[str, list[object]]:
    with engine.open(writes=False) as handle:
        return contents(handle)


def test_every_row_arrives_and_the_next_harvest_goes_on_there(
    harvested: Bench, source: Engine, server: ServerProcess
) -> None:
    target = target_at(server.url)

    result = move(source, target)

    assert result.end is MoveEnd.DONE
    assert everything(target) == everything(source)
    rows = {table.name: table.rows for table in result.tables}
    assert rows["raw_public_stash_pages"] == PAGES + 1
    assert rows["silver_listings"] > 50
    with target.open() as handle:
        moved = Bench(handle, harvested.directory / "moved")
        assert moved.next_seq == PAGES + 2
        moved.commit(next(islice(Stream(3).walk(), PAGES, None)).body)


def test_a_move_that_is_asked_to_leave_goes_on_where_it_was(source: Engine, server: ServerProcess) -> None:
    target = target_at(server.url)
    leaves = iter([False] * 9 + [True])

    assert move(source, target, lambda: next(leaves)).end is MoveEnd.STOPPED
    assert move(source, target).end is MoveEnd.DONE
    assert everything(target) == everything(source)


@pytest.mark.soak
def test_whatever_the_wire_cuts_off_nothing_is_lost_or_doubled(source: Engine, wire: Wire) -> None:
    target = target_at(wire.url)
    dice = Random(7)
    cut = 0

    def pause(_seconds: float) -> None:
        wire.heal()

    def report(_progress: MoveProgress) -> None:
        nonlocal cut
        if dice.random() < 0.25:
            cut += 1
            if dice.random() < 0.5:
                wire.faults.cut_request_after = dice.randrange(200, 60_000)
            else:
                wire.faults.cut_answer_after = dice.randrange(0, 400)

    moving = StoreMove(source, target, slice_bytes=SLICE, pause=pause)
    ended = None
    while ended is None:
        try:
            ended = moving.run(report, lambda: False).end
        except StoreError as error:
            if error.fault is StoreFault.PROOF:
                raise
        wire.heal()

    assert cut > 3
    assert everything(target) == everything(source)


@pytest.mark.soak
def test_the_command_moves_a_store_and_says_what_to_set(source: Engine, server: ServerProcess, tmp_path: Path) -> None:
    away = target_at(server.url)
    tables = move(source, away).tables
    there = f"chdb://{tmp_path}/store"
    home = Home(tmp_path, {"POE_CLICKHOUSE_URL": server.url, "POE_CLICKHOUSE_DATABASE": away.database})

    done = home.run("--headless", "move", "--to", there, "--json")

    assert done.code == 0, done.err
    shown = [(table["table"], table["rows"], int(table["checksum"], 16)) for table in json.loads(done.out)["tables"]]
    assert shown == [(table.name, table.rows, table.checksum) for table in tables]
    assert f"set POE_CLICKHOUSE_URL={there}" in done.err
    refused = home.run("--headless", "move", "--to", "tcp://somewhere")
    assert refused.code == 2
    assert "The native protocol is not spoken" in refused.err


@pytest.mark.parametrize(
    "damage",
    [
        "ALTER TABLE silver_items UPDATE note = 'x' WHERE 1 SETTINGS mutations_sync = 2",
        *(
            pytest.param(sql, marks=pytest.mark.soak)
            for sql in (
                "ALTER TABLE silver_items DELETE WHERE seq = 2 SETTINGS mutations_sync = 2",
                "INSERT INTO silver_items SELECT * FROM silver_items LIMIT 1",
            )
        ),
    ],
)
def test_a_target_that_holds_something_else_is_refused(source: Engine, server: ServerProcess, damage: str) -> None:
    target = target_at(server.url)
    move(source, target)
    with target.open() as handle:
        handle.run(damage)

    with pytest.raises(MoveRefused, match="silver_items of the target holds"):
        move(source, target)


@pytest.mark.parametrize("harvested_side", ["the store to move", "the target"])
def test_nothing_is_moved_while_somebody_harvests(
    source: Engine, engine_directory: Path, server: ServerProcess, harvested_side: str
) -> None:
    on_server = target_at(server.url)
    on_server.create_database()
    migrate(on_server)
    lease = QueueLease(on_server, Queue("psapi", "pc"), SystemClock())
    back = Engine(f"chdb://{engine_directory}", f"back_{uuid4().hex[:8]}")

    lease.take()
    try:
        with pytest.raises(MoveRefused, match=rf"psapi:pc is harvested into {harvested_side} by .*process \d+"):
            move(*((source, on_server) if harvested_side == "the target" else (on_server, back)))
    finally:
        lease.release()


def test_a_store_without_its_newest_schema_is_not_moved(engine: Engine, server: ServerProcess) -> None:
    files = migrations.load_migrations(Path("schema/migrations"))
    migrations.apply(engine, files[:-1])
    target = target_at(server.url)

    with pytest.raises(MoveRefused, match="migrate --apply"):
        move(engine, target)
    assert not target.database_exists()
