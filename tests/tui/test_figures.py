"""The figures on the screen equal the truth of the simulator, for a run with faults."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from pathlib import Path

from harvester.clock import SystemClock
from harvester.model import Queue
from harvester.settings import load_settings
from harvester.simulator.answers import Latency
from harvester.simulator.api import CLIENT_ID, CLIENT_SECRET, SimulatedApi
from harvester.simulator.faults import ScriptedFaults, answer
from harvester.simulator.river import River
from harvester.simulator.transport import SimulatorTransport
from harvester.snapshot import Snapshot
from harvester.snapshot_source import SourceKind
from harvester.store.engine import Engine
from harvester.store.readiness import make_ready
from harvester.supervisor import Goal, Supervisor
from poe_ledger_tui import scenes
from poe_ledger_tui.messages import RoomChanged, SnapshotTaken
from poe_ledger_tui.words import count, middle
from tests.tui.bench import on_stage

PAGES = 8


def test_the_figures_are_those_of_the_simulator(engine: Engine, tmp_path: Path) -> None:
    api, snapshot = harvest(engine, tmp_path)
    statuses = Counter(asked.status for asked in api.truth.asked)
    assert statuses[503] == 2

    screen = asyncio.run(shown(snapshot))

    assert figure(screen, r"2xx ([\d,]+)") == statuses[200]
    assert figure(screen, r"5xx ([\d,]+)") == statuses[503]
    assert figure(screen, r"429 ([\d,]+)") == statuses[429] == 0
    assert figure(screen, r"4xx ([\d,]+)") == 0
    assert f"since start: {PAGES} pages, {count(sum(q.items for q in snapshot.queues))} items" in screen
    with engine.open(writes=False) as handle:
        pages, stashes, items, size = handle.rows(
            "SELECT count(), sum(stash_count), sum(item_count), sum(length(body)) FROM raw_public_stash_pages"
        )[0]
        ((last, following),) = handle.rows(
            "SELECT change_id, next_change_id FROM raw_public_stash_pages ORDER BY seq DESC LIMIT 1"
        )
    whole = api.truth.published[:PAGES]
    assert (pages, stashes, items, size) == (
        PAGES,
        sum(page.stashes for page in whole),
        sum(page.items for page in whole),
        sum(page.size for page in whole),
    )
    (queue,) = snapshot.queues
    assert (queue.pages, queue.stashes, queue.items, queue.page_bytes) == (pages, stashes, items, size)
    assert (queue.cursor, queue.next_cursor) == (last, following)
    assert middle(last, 40)[:8] in screen
    (pacer,) = [pacer for pacer in snapshot.pacers if "stash" in pacer.name]
    (triplet,) = [triplet for rule in pacer.rules for triplet in rule.triplets]
    assert f"{triplet.hits}:{triplet.period}:{triplet.restriction}" in screen
    assert not api.truth.broken


def figure(screen: str, pattern: str) -> int:
    found = re.search(pattern, screen)
    assert found, pattern
    return int(found[1].replace(",", ""))


async def shown(snapshot: Snapshot) -> str:
    async with on_stage(None, size=(160, 45), now=snapshot.taken_at) as stage:
        await stage.post(RoomChanged(scenes.READY), SnapshotTaken(snapshot, SourceKind.LIVE))
        return stage.text()


def harvest(engine: Engine, directory: Path) -> tuple[SimulatedApi, Snapshot]:
    settings = load_settings(
        {
            "POE_CLICKHOUSE_URL": engine.url,
            "POE_CLICKHOUSE_DATABASE": engine.database,
            "POE_CURSOR_DIR": str(directory / "cursors"),
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
    make_ready(engine, lambda _: None)
    clock = SystemClock()
    river = River(5, "pc", clock.now(), pages=60, stashes_per_page=6, items_per_stash=2.0, empty_pages=0.0)
    api = SimulatedApi(
        clock,
        river,
        latency=Latency(upstream=(0, 0), thinking=(0, 0)),
        faults=ScriptedFaults([None, answer(503), None, None, answer(503)]),
    )
    supervisor = Supervisor(
        settings, engine, [Queue("psapi", "pc")], goal=Goal(pages=PAGES), transport=lambda: SimulatorTransport(api)
    )
    supervisor.start()
    assert supervisor.wait(120)
    return api, supervisor.snapshot()
