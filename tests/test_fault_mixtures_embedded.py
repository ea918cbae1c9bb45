"""Faults of API, store and disk over the real way of a page: spool files, the embedded engine, every layer.

The store's faults strike statement by statement, also after a statement has been carried out; see
`tests.test_fault_mixtures` for the same in memory, with every kind of fault of the API.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from harvester.clock import Clock, VirtualClock, utc
from harvester.model import Checkpoint, Page, SpooledPage
from harvester.offload import InPlace
from harvester.queue_store import ClickHouseQueueStore
from harvester.simulator.fault_plan import FaultPlan, Spell
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle, Row
from harvester.store.public_stash_layers import PageCounts, PublicStashLayers
from harvester.store.spool import Spool
from tests import store_bench
from tests.reference_reading import read_pages
from tests.schema_template import migrate
from tests.store_bench import TABLES, assert_same_state
from tests.test_fault_mixtures import trial
from tests.worker_bench import QUEUE

PAGES = 4
STORE_FAULTS = {
    "unreachable": StoreFault.UNREACHABLE,
    "disk of the store full": StoreFault.DISK_FULL,
    "refused": StoreFault.CREDENTIALS,
}
AFTER, SLOW, FULL, TORN = "timeout after the statement", "slow", "disk full", "disk torn"
TROUBLES = (*STORE_FAULTS, AFTER, SLOW, FULL, TORN)


@dataclass
class Weather:
    """What goes wrong with store and disk, while it lasts."""

    clock: VirtualClock
    dice: Random
    troubles: Sequence[str] = ()
    begin: float = 1.0
    end: float = 60.0
    struck: dict[str, int] = field(default_factory=dict)
    letters: int = 0
    """Whole pages that became dead letters under it."""
    stops: int = 0

    def _now(self, trouble: str) -> bool:
        there = trouble in self.troubles and self.begin <= self.clock.elapsed < self.end
        if there:
            self.struck[trouble] = self.struck.get(trouble, 0) + 1
        return there

    def before(self) -> None:
        """A statement is about to be carried out."""
        for trouble, fault in STORE_FAULTS.items():
            if self._now(trouble):
                raise StoreError(fault, trouble)

    def after(self) -> None:
        """A statement that writes has been carried out, and the answer is on its way."""
        if self.dice.random() < 0.4 and self._now(AFTER):
            raise StoreError(StoreFault.TIMEOUT, AFTER)

    async def delay(self) -> None:
        if self._now(SLOW):
            await self.clock.sleep(self.dice.uniform(5, 40))

    def on_disk(self, folder: Path, seq: int) -> None:
        """A page is about to be written to the spool."""
        if self._now(FULL):
            raise OSError(28, "No space left on device")
        if self.dice.random() < 0.6 and self._now(TORN):
            (folder / f"{seq:012d}.page.tmp").write_bytes(b"poe-ledger page 1\nhalf a p")
            raise OSError(5, "Input/output error")


class FaultyHandle(Handle):
    """A handle in bad weather."""

    def __init__(self, real: Handle, weather: Weather) -> None:
        super().__init__(real._client)
        self._weather = weather

    def table(self, *arguments: Any, **options: Any) -> tuple[tuple[str, ...], list[Row]]:
        self._weather.before()
        return super().table(*arguments, **options)

    def run(self, *arguments: Any, **options: Any) -> None:
        self._weather.before()
        super().run(*arguments, **options)
        self._weather.after()

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        self._weather.before()
        super().insert(table, columns, rows)
        self._weather.after()


class FaultyEngine(Engine):
    """An engine whose handles are in bad weather."""

    def __init__(self, real: Engine, weather: Weather) -> None:
        super().__init__(real.url, real.database)
        self._weather = weather

    def open(self, *, writes: bool = True, writer: str = "") -> Handle:
        self._weather.before()
        return FaultyHandle(super().open(writes=writes, writer=writer), self._weather)


class FaultySpool(Spool):
    """A spool on a bad disk."""

    def __init__(self, directory: Path, weather: Weather) -> None:
        super().__init__(directory, QUEUE)
        self._weather = weather

    def put(self, spooled: SpooledPage) -> None:
        self._weather.on_disk(self.directory, spooled.seq)
        super().put(spooled)


class EmbeddedStore(ClickHouseQueueStore):
    """The product's own store, and what a test reads of it afterwards, on a handle without faults."""

    def __init__(self, engine: Engine, directory: Path, clock: Clock, weather: Weather) -> None:
        self.spool = FaultySpool(directory / "spool", weather)
        self.real = engine.open()
        self._weather = weather
        super().__init__(
            FaultyEngine(engine, weather),
            QUEUE,
            lambda handle, crash_point: PublicStashLayers(handle, QUEUE.realm, crash_point=crash_point),
            self.spool,
            CursorFile(directory / "cursors", QUEUE),
            clock,
            spool_thread=InPlace(),
            store_thread=InPlace(),
            warn=lambda _text: None,
        )

    async def commit(self, seq: int) -> tuple[Checkpoint, PageCounts]:
        await self._weather.delay()
        return await super().commit(seq)

    @property
    def committed(self) -> list[SpooledPage]:
        rows = self.real.rows(
            "SELECT seq, change_id, next_change_id, toUnixTimestamp64Milli(fetched_at) / 1000, body"
            " FROM raw_public_stash_pages ORDER BY seq",
            as_bytes=True,
        )
        return [SpooledPage(row[0], Page(QUEUE, row[1].decode(), row[2].decode(), row[3], row[4])) for row in rows]

    @property
    def set_aside(self) -> list[SpooledPage]:
        rows = self.real.rows(
            "SELECT l.seq, l.change_id, c.next_cursor_id, toUnixTimestamp64Milli(c.retrieved_at) / 1000, l.body,"
            " l.reason"
            " FROM bronze_dead_letters AS l JOIN bronze_ingest_checkpoints AS c ON c.seq = l.seq"
            " AND c.status = 'dead_letter' WHERE l.kind = 'page' ORDER BY l.seq",
            as_bytes=True,
        )
        return [
            SpooledPage(seq, Page(QUEUE, asked.decode(), leads.decode(), at, body, rejected=reason.decode()))
            for seq, asked, leads, at, body, reason in rows
        ]

    @property
    def spooled(self) -> dict[int, SpooledPage]:
        return {seq: self.spool.get(seq) for seq in self.spool.sequences}

    def every_layer_holds(self, scratch: Path) -> None:
        """Each page once in each layer, and the views as an independent reading of the pages says."""
        committed, letters = self.committed, self.set_aside
        sequences = sorted(page.seq for page in (*committed, *letters))
        rows = self.real.rows("SELECT seq FROM bronze_ingest_checkpoints WHERE status != 'caught_up' ORDER BY seq")
        assert [row[0] for row in rows] == sequences
        records = dict(
            self.real.rows(
                "SELECT seq, count() FROM (SELECT seq, record FROM silver_stashes UNION ALL"
                " SELECT seq, position + 1 FROM bronze_dead_letters WHERE kind = 'record') GROUP BY seq"
            )
        )
        stored = dict(self.real.rows("SELECT seq, stash_count FROM raw_public_stash_pages WHERE stash_count > 0"))
        assert records == stored
        assert self.real.value("SELECT count() - uniqExact(seq, record) FROM silver_stashes") == 0
        bench = store_bench.Bench(self.real, scratch)
        assert_same_state(bench, read_pages((utc(p.page.fetched_at), p.page.body) for p in committed))


@pytest.fixture(scope="module")
def migrated(engine_directory: Path) -> Iterator[tuple[Engine, Handle]]:
    """One database for all trials; each begins with empty tables."""
    engine = Engine(f"chdb://{engine_directory}", f"test_faults_{uuid4().hex[:8]}")
    engine.create_database()
    migrate(engine)
    with engine.open() as handle:
        yield engine, handle
        handle.run(f"DROP DATABASE {engine.database} SYNC")


Play = Callable[..., Weather]


@pytest.fixture
def play(migrated: tuple[Engine, Handle], tmp_path: Path) -> Play:
    """Plays a trial over the embedded engine and checks all that must hold."""
    engine, handle = migrated
    for table in TABLES:
        handle.run(f"TRUNCATE TABLE {table} SYNC")

    def play(
        seed: int, troubles: Sequence[str], spells: list[Spell] | None = None, *, cancelled_after: float | None = None
    ) -> Weather:
        played = trial(seed, spells, memory=tmp_path, pages=PAGES)
        bench = played.bench
        weather = Weather(bench.clock, Random(f"weather {seed}"), troubles)
        store = EmbeddedStore(engine, tmp_path, bench.clock, weather)
        bench.store = store  # type: ignore[assignment]
        played.listen()
        if cancelled_after is not None:
            bench.run(seconds=cancelled_after)
        played.play()
        try:
            played.check()
            store.every_layer_holds(tmp_path / "scratch")
            weather.letters, weather.stops = len(store.set_aside), len(played.stops)
        finally:
            store._close()
            store.real.close()
        return weather

    return play


@pytest.mark.parametrize(
    "trouble", [AFTER, FULL, *(pytest.param(t, marks=pytest.mark.soak) for t in TROUBLES if t not in (AFTER, FULL))]
)
def test_each_trouble_of_store_and_disk_alone(play: Play, trouble: str) -> None:
    weather = play(3, [trouble], [])
    assert weather.struck, "the trouble never struck"
    assert weather.stops == 0
    assert weather.letters == 0


@pytest.mark.parametrize("seed", range(int(os.environ.get("EMBEDDED_MIXTURES", "1"))))
def test_mixtures_of_all_faults(play: Play, seed: int) -> None:
    dice = Random(f"embedded {seed}")
    troubles = dice.sample(TROUBLES, 2)
    plan = FaultPlan.mixture(seed, VirtualClock().now(), 40)
    play(seed, troubles, list(plan.spells), cancelled_after=dice.uniform(3, 20))


def test_the_proof_sees_a_doubled_record(play: Play, migrated: tuple[Engine, Handle], tmp_path: Path) -> None:
    play(3, [], [])
    engine, handle = migrated
    handle.run("INSERT INTO silver_stashes SELECT * FROM silver_stashes LIMIT 1")
    store = EmbeddedStore(engine, tmp_path, VirtualClock(), Weather(VirtualClock(), Random(1)))
    with pytest.raises(AssertionError):
        store.every_layer_holds(tmp_path / "scratch")
    store.real.close()
