"""Made-up instants of a harvest, always the same: the pictures in the docs and the tests are drawn from them."""

from __future__ import annotations

import math
from dataclasses import replace

from harvester.api.pacer import PacerSnapshot
from harvester.api.throttle import Throttle
from harvester.events import Event, Level
from harvester.lag import LagLevel, lag_level
from harvester.model import Rule, Triplet
from harvester.snapshot import (
    HarvesterSnapshot,
    History,
    QueueSnapshot,
    QueueState,
    RecentPage,
    RequestsSnapshot,
    SchemaSnapshot,
    Snapshot,
    SpoolSnapshot,
    StoreSnapshot,
    ThroughputSnapshot,
    Trouble,
)
from poe_ledger_tui.messages import RoomState, SchemaState, Stage

NOW = 1_763_992_931.0
"""2025-11-24 14:02:11 UTC."""
STARTED = NOW - 11_520
AMBER, RED = 20.0, 60.0
CURSOR = "3278697332-3203333270-3129447329-3479879157-3367790506"

READY = RoomState(
    stage=Stage.READY,
    store="embedded",
    database="poe_trade",
    schema=SchemaState(total=9, pending=0, drifted=0),
    harvest_wanted=True,
)
COLD = RoomState()
EMPTY = replace(READY, harvest_wanted=False, has_client=False, queues_left_out=("psapi:pc",))


def wave(steps: int, low: float, high: float) -> History:
    """Five minutes of a figure that goes up and down."""
    values = tuple(low + (high - low) * (0.5 + 0.5 * math.sin(step / 5)) for step in range(steps))
    return History(5.0, NOW - 1, values)


def queue(
    key: str = "psapi:pc",
    *,
    state: QueueState = QueueState.HARVESTING,
    lag: float | None = 3.0,
    trouble: Trouble | None = None,
    **others: object,
) -> QueueSnapshot:
    """A queue as it is on a good day, but for what is given."""
    plain = QueueSnapshot(
        queue_key=key,
        state=state,
        level=lag_level(lag, AMBER, RED),
        lag_seconds=lag,
        last_progress_at=None if lag is None else NOW - lag,
        stalled_since=NOW - lag if lag is not None and lag >= RED else None,
        cursor=CURSOR,
        next_cursor=CURSOR.replace("3367790506", "3367790533"),
        seq=20_412,
        pages=11_204,
        stashes=683_444,
        items=21_287_600,
        page_bytes=23_528_400_000,
        set_aside=0,
        spool_pages=0,
        spool_bytes=0,
        caught_up=False,
        wakes_at=None,
        behind_hours=None,
        trouble=trouble,
        commit_ms=412.0,
        lag=wave(60, 1, 6),
        recent_pages=tuple(
            RecentPage(
                20_412 - place,
                CURSOR,
                58 + place % 7,
                1_830 + 31 * place,
                2_080_000 + 9_100 * place,
                390.0 + place,
                NOW - 3 - 2 * place,
            )
            for place in range(19, -1, -1)
        ),
    )
    return replace(plain, **others)  # type: ignore[arg-type]


PACER = PacerSnapshot(
    name="public-stash-tabs-request-limit-pc",
    policy="public-stash-tabs-request-limit-pc",
    rules=(Rule("Ip", (Triplet(2, 1, 60, used=1),)),),
    pace_seconds=0.56,
    next_slot_seconds=0.31,
    restricted_until=None,
    margin_seconds=0.06,
    in_flight=1,
    waiting=1,
)
CAUGHT_UP = queue(
    "cxapi:pc",
    state=QueueState.CAUGHT_UP,
    lag=0.0,
    cursor="1763989200",
    next_cursor="1763992800",
    caught_up=True,
    wakes_at=NOW + 3_469,
    behind_hours=0,
    pages=41,
)
THROTTLES = (
    Throttle(NOW - 4_000, PACER.name, "psapi:pc", 429, 60.0, 60.0, 0.56, 0.61, 0.06, 0.11),
    Throttle(NOW - 300, PACER.name, "psapi:xbox", 429, 10.0, 10.0, 0.57, 0.62, 0.07, 0.12),
)
EVENTS = (
    Event(STARTED, Level.INFO, "psapi:pc", f"harvesting from {CURSOR}"),
    Event(STARTED + 4, Level.INFO, "", "raw_public_stash_pages: kept 14 days"),
    Event(NOW - 300, Level.WARNING, "psapi:xbox", "rate limited: 429", "the same page again in 10 s"),
    Event(NOW - 288, Level.INFO, "psapi:xbox", "recovered after 1 try: rate limited"),
    Event(NOW - 20, Level.INFO, "cxapi:pc", "caught up at 2025-11-24 13:00", "asking again at 15:00"),
)


def snapshot(*queues: QueueSnapshot, **others: object) -> Snapshot:
    """A harvest on a good day, but for what is given."""
    plain = Snapshot(
        taken_at=NOW,
        started_at=STARTED,
        amber_seconds=AMBER,
        red_seconds=RED,
        requests=RequestsSnapshot(
            total=11_208,
            per_second=1.78,
            ok=11_204,
            rate_limited=2,
            refused=0,
            server_errors=2,
            network_errors=0,
            p50_ms=312.0,
            p95_ms=841.0,
            wire_bytes=3_900_000_000,
            rate=wave(60, 1.4, 1.8),
        ),
        queues=queues or (queue(), CAUGHT_UP),
        pacers=(PACER,),
        events=EVENTS,
        throughput=ThroughputSnapshot(
            1.0,
            61.0,
            1_900.0,
            2_100_000.0,
            wave(60, 0.5, 1),
            wave(60, 30, 61),
            wave(60, 900, 1900),
            wave(60, 1e6, 2.1e6),
        ),
        throttles=THROTTLES,
        store=StoreSnapshot("embedded", "chdb:///data", "poe_trade", "26.9.0.1", 1_200_000_000, reachable=True),
        schema=SchemaSnapshot(9, 0, 0, NOW - 5),
        spool=SpoolSnapshot(0, 0, 2_000_000_000),
        harvester=HarvesterSnapshot("ledger", 4242, "1.0.0"),
    )
    return replace(plain, **others)  # type: ignore[arg-type]


RUNNING = snapshot()
TROUBLED = snapshot(
    queue(),
    queue(
        "psapi:xbox",
        state=QueueState.RETRYING,
        lag=24.0,
        trouble=Trouble("503 from the API: service unavailable", NOW - 24, 2, NOW + 6),
    ),
    queue(
        "psapi:sony",
        state=QueueState.FAILED,
        lag=250.0,
        trouble=Trouble("401: credentials refused", NOW - 250, 1, None, "Mend the settings, then start again."),
    ),
    CAUGHT_UP,
)
"""Amber, red and caught up side by side."""
STALLED = snapshot(
    queue(
        state=QueueState.RETRYING,
        lag=420.0,
        trouble=Trouble("the answer is no page: HTML instead of JSON", NOW - 420, 9, NOW + 22),
    )
)
STORE_LOST = snapshot(
    queue(
        state=QueueState.STORE_LOST,
        lag=75.0,
        spool_pages=132,
        spool_bytes=277_000_000,
        trouble=Trouble(
            "ClickHouse: unreachable: Connection refused",
            NOW - 75,
            6,
            NOW + 12,
            "Check that the server runs and that POE_CLICKHOUSE_URL names it.",
        ),
    ),
    spool=SpoolSnapshot(132, 277_000_000, 2_000_000_000),
    store=StoreSnapshot("server", "http://db:8123", "poe_trade", "26.9.0.1", 1_200_000_000, reachable=False),
)
RESTRICTED = snapshot(
    queue(lag=44.0),
    pacers=(
        replace(
            PACER,
            restricted_until=NOW + 42,
            next_slot_seconds=42.0,
            rules=(Rule("Ip", (Triplet(2, 1, 60, used=3, active_restriction=42),)),),
        ),
    ),
)
NOT_STARTED = snapshot(
    replace(
        queue("cxapi:pc", state=QueueState.STOPPED, lag=None),
        level=LagLevel.UNKNOWN,
        cursor="",
        next_cursor="",
        seq=0,
        pages=0,
        stashes=0,
        items=0,
        page_bytes=0,
        commit_ms=0.0,
        recent_pages=(),
        lag=History(),
    ),
    requests=RequestsSnapshot(0, 0.0, 0, 0, 0, 0, 0, None, None, 0),
    pacers=(),
    events=(),
    throughput=ThroughputSnapshot(),
    throttles=(),
    started_at=NOW - 2,
)
PENDING = replace(READY, schema=SchemaState(total=9, pending=2, drifted=0))
BLOCKED = replace(
    READY,
    stage=Stage.BLOCKED,
    words="the schema is behind: 0010_prices",
    todo="Review and apply it: press 2.",
    schema=SchemaState(total=10, pending=1, drifted=0, blocking=("0010_prices",)),
)
LOST = replace(
    READY,
    stage=Stage.LOST,
    words="Connection refused (db:8123)",
    todo="Check that the server runs and that POE_CLICKHOUSE_URL names it.",
    tries=3,
    next_try_at=NOW + 5,
    store="db:8123",
    schema=SchemaState(),
)
MIGRATING = replace(
    READY, stage=Stage.MIGRATING, words="a new store: 0003_silver, statement 2 of 5", schema=SchemaState()
)
