"""Snapshots for tests: one with every part filled, and a strategy that gives any."""

from __future__ import annotations

from harvester.api.pacer import PacerSnapshot
from harvester.api.throttle import Throttle
from harvester.events import Event, Level
from harvester.lag import LagLevel
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

NOW = 1_767_225_600.0


def history(scale: float = 1.0) -> History:
    """Five minutes of something."""
    return History(5.0, NOW, tuple(round(scale * (1 + n % 7 / 10), 3) for n in range(60)))


def queue_snapshot(key: str = "psapi:pc", *, taken_at: float = NOW, lag: float = 3.0) -> QueueSnapshot:
    """A queue that harvests, with a full history."""
    pages = tuple(
        RecentPage(
            seq=4000 + n,
            cursor=f"3278697332-3291223231-3182{n:06}-3510382212-3367790506",
            stashes=60 + n,
            items=1900 + n,
            page_bytes=2_100_000 + n,
            commit_ms=230.5,
            at=taken_at - lag - 20 + n,
        )
        for n in range(20)
    )
    return QueueSnapshot(
        queue_key=key,
        state=QueueState.HARVESTING,
        level=LagLevel.OK,
        lag_seconds=lag,
        last_progress_at=taken_at - lag,
        stalled_since=None,
        cursor=pages[-1].cursor,
        next_cursor="3278697332-3291223231-3182999999-3510382212-3367790506",
        seq=4019,
        pages=4019,
        stashes=241_000,
        items=7_600_000,
        page_bytes=8_400_000_000,
        set_aside=2,
        spool_pages=1,
        spool_bytes=400_000,
        caught_up=False,
        wakes_at=None,
        behind_hours=None,
        trouble=None,
        commit_ms=230.5,
        lag=history(3.0),
        recent_pages=pages,
        held_by="process 4711",
    )


def pacer_snapshot(name: str = "public-stash-tabs-request-limit-pc") -> PacerSnapshot:
    """A policy with one rule."""
    return PacerSnapshot(
        name=name,
        policy=name,
        rules=(Rule("Ip", (Triplet(2, 1, 60, 1, 0),)),),
        pace_seconds=0.56,
        next_slot_seconds=0.31,
        restricted_until=None,
        margin_seconds=0.06,
        in_flight=1,
        waiting=1,
    )


def full_snapshot(*keys: str, taken_at: float = NOW, pid: int = 4711, host: str = "harvest-1") -> Snapshot:
    """A harvest in full swing, every part filled."""
    return Snapshot(
        taken_at=taken_at,
        started_at=taken_at - 11_520,
        amber_seconds=20.0,
        red_seconds=60.0,
        requests=RequestsSnapshot(
            total=11_208,
            per_second=1.78,
            ok=11_204,
            rate_limited=1,
            refused=0,
            server_errors=2,
            network_errors=1,
            p50_ms=312.0,
            p95_ms=841.0,
            wire_bytes=2_400_000_000,
            rate=history(1.8),
        ),
        queues=tuple(queue_snapshot(key, taken_at=taken_at) for key in keys or ("psapi:pc", "psapi:xbox")),
        pacers=(pacer_snapshot(),),
        events=tuple(
            Event(
                taken_at - 50 + n, Level.INFO, "psapi:pc", f"something worth a line happened, number {n}", "it goes on"
            )
            for n in range(50)
        ),
        throughput=ThroughputSnapshot(
            1.7, 61.2, 1900.4, 2_100_000.0, history(1.7), history(61.0), history(1900.0), history(2.1e6)
        ),
        throttles=(
            Throttle(
                taken_at - 600, "public-stash-tabs-request-limit-pc", "psapi:pc", 429, 60.0, 60.0, 0.56, 0.6, 0.06, 0.1
            ),
        ),
        store=StoreSnapshot(
            kind="embedded",
            url="chdb:///srv/poe",
            database="poe_trade",
            version="26.9.2.1",
            bytes_on_disk=1_200_000_000,
            reachable=True,
            asked_at=taken_at - 12,
        ),
        schema=SchemaSnapshot(applied=4, pending=1, drifted=0, asked_at=taken_at - 12),
        spool=SpoolSnapshot(2, 800_000, 1 << 30),
        harvester=HarvesterSnapshot(host, pid, "0.1.0", demo=False),
    )


def in_trouble(snapshot: QueueSnapshot, taken_at: float = NOW) -> Trouble:
    """Something to be tried again."""
    return Trouble(f"503 from the API of {snapshot.queue_key}", taken_at - 30, 2, taken_at + 8, "Wait.")
