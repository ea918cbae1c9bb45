"""The engine room against the real engine and the simulator: opens, harvests, starts and stops queues, ends."""

from __future__ import annotations

import queue as queues
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.message import Message

from harvester.clock import SystemClock
from harvester.commands.store_access import engine_of
from harvester.settings import load_settings
from harvester.simulator.answers import Latency
from harvester.simulator.api import CLIENT_ID, CLIENT_SECRET, SimulatedApi
from harvester.simulator.faults import ScriptedFaults, answer, stuck
from harvester.simulator.river import River
from harvester.simulator.transport import SimulatorTransport
from harvester.snapshot import QueueState
from harvester.store.engine import Engine
from poe_ledger_tui.engine_room import EngineRoom
from poe_ledger_tui.messages import EventsCame, RoomChanged, RoomState, SnapshotTaken, SourceLost, Stage
from poe_ledger_tui.session import HarvestPlan, PlanError

PATIENCE = 60.0
"""Seconds within which what is waited for must come; a machine may be busy."""


class Posted:
    """Takes what the room posts, from any thread."""

    def __init__(self) -> None:
        self.inbox: queues.SimpleQueue[Message] = queues.SimpleQueue()
        self.room = RoomState()
        self.stages: list[Stage] = []
        self.snapshot: SnapshotTaken | None = None
        self.said: list[str] = []

    def post(self, message: Message) -> bool:
        self.inbox.put(message)
        return True

    def until(self, come: Callable[[Posted], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not come(self):
            try:
                message = self.inbox.get(timeout=max(0.01, end - time.monotonic()))
            except queues.Empty:
                pytest.fail(f"it did not come: {self.room}, {self.said[-5:]}")
            if isinstance(message, RoomChanged):
                self.room = message.state
                self.stages.append(message.state.stage)
            elif isinstance(message, SnapshotTaken):
                self.snapshot = message
            elif isinstance(message, EventsCame):
                self.said += [event.line() for event in message.events]
            elif isinstance(message, SourceLost):
                self.said.append(message.reason)

    def state(self, key: str = "psapi:pc") -> QueueState | None:
        found = [q.state for q in self.snapshot.snapshot.queues if q.queue_key == key] if self.snapshot else []
        return found[0] if found else None

    def pages(self) -> int:
        return sum(queue.pages for queue in self.snapshot.snapshot.queues) if self.snapshot else 0


@pytest.fixture
def plan(engine: Engine, tmp_path: Path) -> Callable[..., HarvestPlan]:
    """A plan over the engine of this test process and a quick simulated API."""

    def make(*, start: bool = True, monitor: bool = False, url: str = engine.url, **api: object) -> HarvestPlan:
        settings = load_settings(
            {
                "POE_CLICKHOUSE_URL": url,
                "POE_CLICKHOUSE_DATABASE": engine.database,
                "POE_CURSOR_DIR": str(tmp_path / "cursors"),
                "POE_API_BASE_URL": "http://127.0.0.1:9",
                "POE_AUTH_BASE_URL": "http://127.0.0.1:9/oauth",
                "POE_OAUTH_CLIENT_ID": CLIENT_ID,
                "POE_OAUTH_CLIENT_SECRET": CLIENT_SECRET,
                "POE_CONTACT": "a@b.example",
                "POE_FEEDS": "psapi",
                "POE_RATE_LIMIT_BACKOFF_BASE": "0.01",
            },
            env_file=None,
        )
        clock = SystemClock()
        river = River(3, "pc", clock.now(), pages=200, stashes_per_page=2, items_per_stash=1.0)
        simulated = SimulatedApi(clock, river, latency=Latency(upstream=(0, 0), thinking=(0, 0)), **api)  # type: ignore[arg-type]
        return HarvestPlan(
            settings, "poe-ledger --headless", start=start, monitor=monitor,
            transport=lambda: SimulatorTransport(simulated),
        )  # fmt: skip

    return make


@pytest.fixture
def rooms() -> Iterator[Callable[[Callable[[], HarvestPlan]], tuple[EngineRoom, Posted]]]:
    opened: list[tuple[EngineRoom, Posted]] = []

    def make(load: Callable[[], HarvestPlan]) -> tuple[EngineRoom, Posted]:
        posted = Posted()
        room = EngineRoom(load, posted.post, SystemClock(), lambda: None)
        opened.append((room, posted))
        room.begin()
        return room, posted

    yield make
    for room, posted in opened:
        room.close()
        posted.until(lambda seen: seen.room.stage in (Stage.CLOSED, Stage.BROKEN))


Rooms = Callable[[Callable[[], HarvestPlan]], tuple[EngineRoom, Posted]]
Plans = Callable[..., HarvestPlan]


def test_a_new_store_is_made_ready_harvested_stopped_and_started(rooms: Rooms, plan: Plans) -> None:
    room, seen = rooms(plan)
    seen.until(lambda seen: seen.pages() >= 1)
    assert {Stage.OPENING, Stage.MIGRATING, Stage.READY} <= set(seen.stages)
    assert seen.room.schema.pending == 0

    room.stop_queue("psapi:pc")
    seen.until(lambda seen: seen.state() is QueueState.STOPPED)
    stood = seen.pages()
    room.start_queue("psapi:pc")
    seen.until(lambda seen: seen.pages() > stood)

    room.pause(None)
    seen.until(lambda seen: seen.state() is QueueState.PAUSED)
    room.resume(None)
    seen.until(lambda seen: seen.state() is QueueState.HARVESTING)

    room.want_harvest(False)
    seen.until(lambda seen: seen.state() is QueueState.STOPPED)
    assert not seen.room.harvest_wanted
    room.close()
    seen.until(lambda seen: seen.room.stage is Stage.CLOSED)


def test_it_waits_for_the_operator_where_it_shall_not_start(rooms: Rooms, plan: Plans) -> None:
    room, seen = rooms(lambda: plan(start=False))
    seen.until(lambda seen: seen.room.stage is Stage.READY and seen.state() is not None)
    assert seen.state() is QueueState.STOPPED
    room.want_harvest(True)
    seen.until(lambda seen: seen.pages() >= 1)


def test_a_queue_that_failed_can_be_started_again(rooms: Rooms, plan: Plans) -> None:
    refusals = ScriptedFaults([answer(403)] * 1)
    room, seen = rooms(lambda: plan(faults=refusals))
    seen.until(lambda seen: seen.state() is QueueState.FAILED and any("refuses us" in line for line in seen.said))
    room.start_queue("psapi:pc")
    seen.until(lambda seen: seen.pages() >= 1)


def test_a_request_that_hangs_does_not_keep_it(rooms: Rooms, plan: Plans) -> None:
    room, seen = rooms(lambda: plan(faults=ScriptedFaults([None, *[stuck(10)] * 20])))
    seen.until(lambda seen: seen.pages() >= 1)
    room.close()
    seen.until(lambda seen: seen.room.stage is Stage.CLOSED)


def test_a_store_that_is_away_is_tried_until_it_is_there(rooms: Rooms, plan: Plans) -> None:
    room, seen = rooms(lambda: plan(url="http://127.0.0.1:9"))
    seen.until(lambda seen: seen.room.stage is Stage.LOST)
    assert seen.room.tries == 1
    assert seen.room.next_try_at is not None
    assert "POE_CLICKHOUSE_URL" in seen.room.todo
    room.retry_now()
    seen.until(lambda seen: seen.room.tries == 2)


def test_a_schema_that_lags_blocks_until_it_is_applied(rooms: Rooms, plan: Plans, engine: Engine) -> None:
    from harvester.store import migrations
    from harvester.store.schema_files import migrations_directory

    files = migrations.load_migrations(migrations_directory())
    needed = max(n for n, file in enumerate(files) if file.needed_by_harvest)
    migrations.apply(engine, files, up_to=files[needed - 1].version)
    with engine.open() as handle:
        handle.run(
            "INSERT INTO bronze_ingest_checkpoints (queue_key, seq, last_cursor_id, next_cursor_id, retrieved_at)"
            " VALUES ('psapi:xbox', 1, 'a', 'b', now())"
        )
    room, seen = rooms(plan)
    seen.until(lambda seen: seen.room.stage is Stage.BLOCKED)
    assert files[needed].name in seen.room.schema.blocking
    assert seen.pages() == 0

    migrations.apply(engine_of(plan().settings), files)
    room.schema_changed()
    seen.until(lambda seen: seen.room.stage is Stage.READY and seen.pages() >= 1)


def test_drift_does_not_keep_the_harvest_and_is_told(rooms: Rooms, plan: Plans, engine: Engine) -> None:
    from harvester.store import migrations
    from harvester.store.schema_files import migrations_directory

    migrations.apply(engine, migrations.load_migrations(migrations_directory()))
    with engine.open() as handle:
        handle.run(
            "INSERT INTO poe_schema_migrations SELECT * REPLACE ('another' AS token_checksum,"
            " applied_at + toIntervalMinute(1) AS applied_at)"
            " FROM poe_schema_migrations ORDER BY version DESC, applied_at DESC LIMIT 1"
        )
    _, seen = rooms(plan)
    seen.until(lambda seen: any("disagree about 1 applied migration —" in line for line in seen.said))
    seen.until(lambda seen: seen.room.schema.drifted == 1 and seen.pages() >= 1)


def test_settings_that_cannot_be_used_are_told_before_anything_is_opened(rooms: Rooms) -> None:
    def load() -> HarvestPlan:
        raise PlanError("POE_REALMS: wants …")

    _, seen = rooms(load)
    seen.until(lambda seen: seen.room.stage is Stage.BROKEN)
    assert seen.room.words == "POE_REALMS: wants …"
    assert Stage.OPENING not in seen.stages


def test_watching_shows_what_another_process_serves_and_says_when_nobody_does(rooms: Rooms, plan: Plans) -> None:
    room, seen = rooms(lambda: plan(monitor=True))
    seen.until(lambda seen: seen.room.stage is Stage.WATCHING and bool(seen.said))
    assert seen.room.monitor

    harvest, other = rooms(plan)
    other.until(lambda seen: seen.pages() >= 1)
    seen.until(lambda seen: seen.pages() >= 1)
    harvest.close()
    other.until(lambda seen: seen.room.stage is Stage.CLOSED)
    del room
