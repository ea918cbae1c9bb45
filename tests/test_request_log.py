"""What a new start knows of the requests before it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from harvester.clock import VirtualClock, utc
from harvester.model import Queue
from harvester.offload import InPlace
from harvester.queue_store import ClickHouseQueueStore
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.layer_registry import make_layers
from harvester.store.spool import Spool
from tests.schema_template import migrate

QUEUE = Queue("psapi", "pc")


def test_a_start_knows_what_was_refused_within_the_hour_before_it(
    engine: Engine, handle: Handle, tmp_path: Path
) -> None:
    migrate(engine)
    clock = VirtualClock()
    rows = [
        ("psapi:pc", 3_700, "refused", 404),
        ("psapi:pc", 3_500, "refused", 403),
        ("psapi:pc", 60, "ok", 200),
        ("psapi:pc", 40, "rate_limited", 429),
        ("psapi:xbox", 30, "refused", 404),
        ("psapi:pc", 20, "refused", 404),
    ]
    handle.insert(
        "bronze_requests",
        {
            "queue_key": "LowCardinality(String)",
            "requested_at": "DateTime64(3, 'UTC')",
            "outcome": "LowCardinality(String)",
            "http_status": "UInt16",
        },
        [(queue, utc(clock.now() - ago), outcome, status) for queue, ago, outcome, status in rows],
    )
    store = ClickHouseQueueStore(
        engine,
        QUEUE,
        lambda opened, crash_point: make_layers(QUEUE, opened, (), crash_point),
        Spool(tmp_path / "spool", QUEUE),
        CursorFile(tmp_path, QUEUE),
        clock,
        spool_thread=InPlace(),
        store_thread=InPlace(),
        warn=lambda _: None,
    )

    opened = asyncio.run(store.open())
    asyncio.run(store.close())

    assert [round(clock.now() - at) for at in opened.refused_before] == [3_500, 20]
