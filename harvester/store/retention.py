"""How long the layers are kept: TTLs by whole parts for history, and the sweeping of the present state."""

from __future__ import annotations

import re

from harvester.store.derive_sql import HOMES_KEPT_DAYS
from harvester.store.handle import Handle
from harvester.store.quoting import quote_text

_TIME_COLUMNS = {
    "raw_public_stash_pages": "stored_at",
    "raw_currency_exchange_hours": "stored_at",
    "bronze_requests": "requested_at",
    "silver_stashes": "fetched_at",
    "silver_items": "fetched_at",
    "silver_currency_markets": "hour",
}
_SILVER = ("silver_stashes", "silver_items")
_CURRENCY = "silver_currency_markets"
_TTL = re.compile(r"\bTTL toDateTime\((\w+)\) \+ toIntervalDay\((\d+)\)")


def apply_retention(handle: Handle, *, raw_days: int, silver_days: int, cx_days: int | None = None) -> list[str]:
    """Set the TTL of each table to the days in force, 0 for ever; returns what was changed, in words.

    `cx_days` is for the markets of the currency exchange, counted from their hour; None leaves theirs alone.
    """
    changed = []
    for table, column in _TIME_COLUMNS.items():
        days = {_CURRENCY: cx_days, **dict.fromkeys(_SILVER, silver_days)}.get(table, raw_days)
        if days is None:
            continue
        definition = str(
            handle.value(
                "SELECT create_table_query FROM system.tables"
                " WHERE database = currentDatabase() AND name = {table:String}",
                {"table": table},
            )
        )
        found = _TTL.search(definition)
        now = int(found.group(2)) if found else 0
        if now == days:
            continue
        if days:
            handle.run(
                f"ALTER TABLE {table} MODIFY TTL toDateTime({column}) + INTERVAL {days:d} DAY"
                " SETTINGS materialize_ttl_after_modify = 0"
            )
        else:
            handle.run(f"ALTER TABLE {table} REMOVE TTL")
        changed.append(f"{table}: kept {f'{days} days' if days else 'for ever'}")
    return changed


def sweep_listings(handle: Handle) -> None:
    """Remove listings that are no longer current: what vanished from its stash, and older versions.

    Safe beside a running harvest: a row is current only while the state of its stash names the page that wrote it,
    and the rows of a page that is being committed lie above the newest page of their realm.
    """
    for realm, newest in handle.rows("SELECT realm, max(seq) FROM silver_stash_state GROUP BY realm"):
        handle.run(
            "ALTER TABLE silver_listings DELETE"
            f" WHERE realm = {quote_text(realm)} AND seq <= {newest:d} AND (stash_key, seq) NOT IN"
            f" (SELECT stash_key, seq FROM silver_stash_state FINAL WHERE public AND realm = {quote_text(realm)})"
        )


def sweep_homes(handle: Handle) -> None:
    """Forget where items were that left longer than `HOMES_KEPT_DAYS` before the newest page of their realm.

    With the departure goes the arrival before it, which may lie in another part: alone it would stay for ever.
    """
    for forgotten in _forgotten(handle):
        handle.run(
            "ALTER TABLE silver_item_homes DELETE WHERE sipHash64(realm, item_id, stash_id) IN"
            f" (SELECT sipHash64(realm, item_id, stash_id) FROM silver_item_homes FINAL WHERE {forgotten})"
        )


def forgotten_share(handle: Handle) -> float:
    """The share of the rows of `silver_item_homes` that `sweep_homes` is there for, from 0 to 1."""
    any_realm = " OR ".join(f"({forgotten})" for forgotten in _forgotten(handle))
    if not any_realm:
        return 0.0
    total, old = handle.rows(f"SELECT count(), countIf({any_realm}) FROM silver_item_homes")[0]
    return float(old / total) if total else 0.0


def _forgotten(handle: Handle) -> list[str]:
    """By realm, which homes need no longer be known. Page time, not the wall clock: a replay is judged as it was."""
    return [
        f"realm = {quote_text(realm)} AND NOT listed"
        f" AND changed_at < fromUnixTimestamp64Milli({newest:d}) - INTERVAL {HOMES_KEPT_DAYS} DAY"
        for realm, newest in handle.rows(
            "SELECT realm, toUnixTimestamp64Milli(max(last_seen)) FROM silver_stash_state GROUP BY realm"
        )
    ]


def stale_share(handle: Handle) -> float:
    """The share of listing rows that are not current, from 0 to 1."""
    total = int(handle.value("SELECT count() FROM silver_listings") or 0)
    current = int(handle.value("SELECT sum(length(item_keys)) FROM silver_stash_state FINAL WHERE public") or 0)
    return max(0.0, 1 - current / total) if total else 0.0
