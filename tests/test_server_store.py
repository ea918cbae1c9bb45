"""A store behind HTTP: what is lost on the way is looked for, and nothing is written twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.server_connection import ServerOptions
from tests.http_front.process import ServerProcess
from tests.http_front.wire import Wire


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    users = ["default:", "harvester:right", "watcher:w:readonly"]
    with ServerProcess(tmp_path_factory.mktemp("server") / "data", users=users) as running:
        yield running


@pytest.fixture
def wire(server: ServerProcess) -> Iterator[Wire]:
    with Wire(lambda: server.port) as passing:
        yield passing


def engine_over(wire: Wire, database: str, *, timeout: float = 20.0, pause: object = None) -> Engine:
    engine = Engine(wire.url, database, options=ServerOptions(timeout=timeout), pause=pause or (lambda _: None))  # type: ignore[arg-type]
    engine.create_database()
    with engine.open() as handle:
        handle.run("CREATE TABLE IF NOT EXISTS numbers_seen (n UInt64) ENGINE = MergeTree ORDER BY n")
        handle.run("TRUNCATE TABLE numbers_seen")
    return engine


def insert(handle: Handle, *numbers: int) -> None:
    handle.insert("numbers_seen", {"n": "UInt64"}, [[number] for number in numbers])


def count(handle: Handle) -> int:
    return int(handle.value("SELECT count() FROM numbers_seen"))


def test_an_insert_whose_answer_is_cut_off_is_not_sent_again_by_the_driver(wire: Wire) -> None:
    with engine_over(wire, "cut_answer").open(writer="q") as handle:
        assert count(handle) == 0
        wire.faults.cut_answer_after = 10
        with pytest.raises(StoreError) as failed:
            insert(handle, 1)
        assert failed.value.fault is StoreFault.UNREACHABLE
        wire.heal()
        assert count(handle) == 1


def test_an_insert_that_is_cut_off_on_its_way_stores_nothing(wire: Wire) -> None:
    with engine_over(wire, "cut_request").open(writer="q") as handle:
        assert count(handle) == 0
        wire.faults.cut_request_after = 700
        with pytest.raises(StoreError):
            insert(handle, *range(50_000))
        wire.heal()
        assert count(handle) == 0


def test_a_statement_that_outlives_its_client_is_ended_before_anything_is_asked(wire: Wire) -> None:
    slow = (
        "INSERT INTO numbers_seen SELECT number + sleepEachRow(0.01) FROM numbers(100000) SETTINGS max_block_size = 10"
    )
    looks: list[float] = []
    with engine_over(wire, "outlived", timeout=1, pause=looks.append).open(writer="q") as handle:
        assert count(handle) == 0
        looks.clear()
        with pytest.raises(StoreError):
            handle.run(slow)
        stored = count(handle)
        assert looks
        assert count(handle) == stored
        with Engine(wire.url, "outlived").open(writes=False) as other:
            assert other.value("SELECT count() FROM system.processes WHERE query LIKE '%sleepEachRow%'") <= 1  # itself


def test_a_writer_settles_what_its_predecessor_left_running(wire: Wire) -> None:
    slow = (
        "INSERT INTO numbers_seen SELECT number + sleepEachRow(0.01) FROM numbers(100000) SETTINGS max_block_size = 10"
    )
    engine = engine_over(wire, "predecessor", timeout=1)
    with engine.open(writer="q") as first:
        first.value("SELECT 1")
        with pytest.raises(StoreError):
            first.run(slow)
    with engine.open(writer="q") as second:
        stored = count(second)
        assert count(second) == stored
        running = second.value(
            "SELECT count() FROM system.processes WHERE query LIKE 'INSERT INTO numbers_seen SELECT%'"
        )
        assert running == 0


def test_a_handle_without_a_mark_never_waits(wire: Wire) -> None:
    looks: list[float] = []
    with engine_over(wire, "unmarked", pause=looks.append).open() as handle:
        assert count(handle) == 0
        wire.faults.cut_answer_after = 10
        with pytest.raises(StoreError):
            insert(handle, 1)
        wire.heal()
        assert count(handle) == 1
        assert looks == []


@pytest.mark.parametrize(
    ("user", "password", "fault", "hint"),
    [
        ("harvester", "wrong", StoreFault.CREDENTIALS, "POE_CLICKHOUSE_PASSWORD"),
        ("nobody", "", StoreFault.CREDENTIALS, "POE_CLICKHOUSE_USER"),
    ],
)
def test_refused_credentials_say_which_settings(
    server: ServerProcess, user: str, password: str, fault: StoreFault, hint: str
) -> None:
    with pytest.raises(StoreError) as failed:
        Engine(server.url, "any", user=user, password=password).open()
    assert failed.value.fault is fault
    assert hint in failed.value.hint
    assert password not in str(failed.value) or not password


def test_a_missing_database_is_told_as_that(server: ServerProcess) -> None:
    with pytest.raises(StoreError) as failed:
        Engine(server.url, "never_made").open().value("SELECT 1")
    assert failed.value.fault is StoreFault.NO_DATABASE


def test_a_server_that_is_away_is_told_as_that(server: ServerProcess) -> None:
    with Wire(lambda: 1) as nowhere, pytest.raises(StoreError) as failed:
        Engine(nowhere.url, "any").open()
    assert failed.value.fault is StoreFault.UNREACHABLE


def test_rights_that_are_missing_are_told_as_that(server: ServerProcess) -> None:
    Engine(server.url, "watched", user="harvester", password="right").create_database()
    with pytest.raises(StoreError) as failed:
        Engine(server.url, "watched", user="watcher", password="w").open()
    assert failed.value.fault is StoreFault.NOT_ALLOWED
