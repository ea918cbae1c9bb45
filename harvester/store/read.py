"""Reading the store for people: health, sizes, counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harvester.store.engine import Handle

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
    return StoreFigures(
        engine_version=handle.server_version,
        bytes_on_disk=sum(int(size) for _, _, size in sizes),
        health=tuple(dict(zip(columns, row, strict=True)) for row in rows),
        layers=layers,
    )
