"""Reading the store for people: health, sizes, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from harvester.events import Event, Level
from harvester.snapshot import Trouble
from harvester.store.handle import Handle

EVENTS_SHOWN = 5

_LAYERS = (
    "bronze_requests",
    "bronze_ingest_checkpoints",
    "bronze_dead_letters",
    "raw_public_stash_pages",
    "raw_currency_exchange_hours",
    "silver_stashes",
    "silver_items",
    "silver_listings",
    "silver_stash_state",
    "silver_currency_markets",
)


@dataclass(frozen=True, slots=True)
class StoreFigures:
    """What the store says of itself."""

    engine_version: str
    bytes_on_disk: int
    """Of this database, compressed."""
    health: tuple[dict[str, Any], ...]
    """The rows of `v_ingest_health`."""
    layers: dict[str, int]
    """Rows by table, and what the present-state views show."""
    troubles: dict[str, Trouble]
    """What kept a queue from moving when the newest Snapshot was taken, by queue key."""
    events: tuple[Event, ...]
    """The newest warnings and errors of that harvest, oldest first."""


def read_figures(handle: Handle) -> StoreFigures:
    """Health, size and counts.

    Raises:
        StoreError: the store cannot be asked or lacks the tables.
    """
    columns, rows = handle.table("SELECT * FROM v_ingest_health ORDER BY queue_key")
    sizes = handle.rows(
        "SELECT table, sum(rows), sum(bytes_on_disk) FROM system.parts"
        " WHERE active AND database = currentDatabase() GROUP BY table"
    )
    counts = {table: int(count) for table, count, _ in sizes}
    layers = {table: counts.get(table, 0) for table in _LAYERS}
    layers["v_stashes_current"] = int(handle.value("SELECT count() FROM v_stashes_current") or 0)
    layers["v_listings_current"] = int(handle.value("SELECT count() FROM v_listings_current") or 0)
    troubles, events = _last_told(handle)
    return StoreFigures(
        engine_version=handle.server_version,
        bytes_on_disk=sum(int(size) for _, _, size in sizes),
        health=tuple(dict(zip(columns, row, strict=True)) for row in rows),
        layers=layers,
        troubles=troubles,
        events=events,
    )


def nothing_harvested(handle: Handle) -> bool:
    """Whether no page was ever committed into this store.

    Raises:
        StoreError: the store cannot be asked or lacks the tables.
    """
    return not handle.value("SELECT count() FROM (SELECT 1 FROM bronze_ingest_checkpoints LIMIT 1)")


class _Queue(msgspec.Struct):
    queue_key: str = ""
    trouble: Trouble | None = None


class _Told(msgspec.Struct):
    """What is needed of a stored Snapshot; of one of another version, what can be read."""

    queues: list[_Queue] = []
    events: list[Event] = []


def _last_told(handle: Handle) -> tuple[dict[str, Trouble], tuple[Event, ...]]:
    newest = handle.value("SELECT snapshot FROM poe_ingest_status WHERE snapshot != '' ORDER BY taken_at DESC LIMIT 1")
    try:
        told = msgspec.json.decode(newest or b"{}", type=_Told)
    except msgspec.MsgspecError:
        return {}, ()
    troubles = {queue.queue_key: queue.trouble for queue in told.queues if queue.trouble is not None}
    return troubles, loud(told.events)


def loud(events: Sequence[Event]) -> tuple[Event, ...]:
    """The newest warnings and errors among events, oldest first."""
    return tuple([event for event in events if event.level is not Level.INFO][-EVENTS_SHOWN:])
