"""The shadows of the silver tables: seeded with what is carried over, filled by a rebuild, then swapped in.

A journal table says how far that has come, so that a killed rebuild goes on instead of beginning anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from harvester.store.crash_points import CrashPoint
from harvester.store.derive_sql import SHADOW_PREFIX, SILVER_TABLES, derivation
from harvester.store.handle import Handle
from harvester.store.quoting import quote_text
from harvester.store.rebuild_cover import Cover
from harvester.store.retention import apply_retention

_JOURNAL = f"{SHADOW_PREFIX}journal"
_HISTORY = ("silver_stashes", "silver_items")
"""Partitioned by time, ordered by seq."""
_PRESENT = ("silver_listings", "silver_stash_state", "silver_item_homes")
_SEEDS = ("seed_settled_state", "seed_settled_listings", "seed_listings", "seed_state", "seed_item_homes")
"""In this order: later ones read what earlier ones wrote."""
# The views join these two: they are swapped first, one right after the other.
_SWAP_ORDER = ("silver_stash_state", "silver_listings", "silver_stashes", "silver_items", "silver_item_homes")
_STEPS = ("stashes", "listings", "items", "left_behind_stashes", "kept_listings", "stash_state", "item_homes")
_SEED_SETTINGS = {"max_partitions_per_insert_block": 0, "max_bytes_before_external_group_by": 2 << 30}


class Shadow:
    """The shadow tables of one store, over a handle without the limits of the harvest."""

    def __init__(self, handle: Handle, crash_point: CrashPoint) -> None:
        self._handle = handle
        self._crash_point = crash_point

    def is_seeded(self, recipe: str) -> bool:
        """Whether an earlier run of the same recipe has left its work."""
        return self._noted("seeded") == recipe

    def seed(self, recipe: str, covers: Sequence[Cover]) -> None:
        """Begin anew: shadows that hold everything but what the covered pages say."""
        self.discard()
        for table in SILVER_TABLES:
            self._crash_point(f"seed {table}")
            shadow = SHADOW_PREFIX + table
            self._handle.run(f"CREATE TABLE {shadow} AS {table}")
            if self._has_ttl(shadow):
                # A row must not expire between two steps of its page; retention is set again at the end.
                self._handle.run(f"ALTER TABLE {shadow} REMOVE TTL")
        for table in _HISTORY:
            self._clone_history(table, covers)
        others = "realm NOT IN " + _sql_tuple([cover.realm for cover in covers])
        for table in _PRESENT:
            sql = f"INSERT INTO {SHADOW_PREFIX}{table} SELECT * FROM {table} WHERE {others}"
            self._handle.run(sql, settings=_SEED_SETTINGS)
        for cover in covers:
            if cover.first > 1:
                self._seed_present(cover)
        self._note("seeded", recipe)

    def derived_up_to(self, cover: Cover) -> int:
        """The page behind which to go on: all up to it are complete."""
        newest = self._handle.value(
            f"SELECT max(seq) FROM {SHADOW_PREFIX}silver_stashes"
            " WHERE realm = {realm:String} AND seq >= {first:UInt64}",
            {"realm": cover.realm, "first": cover.first},
        )
        # The newest page with rows may be incomplete; those without any are quickly done again.
        return max(int(newest or 0), cover.first) - 1

    def begin_swap(self, standing: str) -> None:
        """Take down what is to be swapped for what; from here on the swap is only finished, never undone."""
        uuids = {table: self._uuid(SHADOW_PREFIX + table) for table in SILVER_TABLES}
        self._note("swap", json.dumps({"standing": standing, "uuids": uuids}))

    def swap_is_halfway(self, standing: str) -> bool:
        """Whether an earlier run died while it swapped, and nothing was harvested since."""
        noted = self._noted("swap")
        return noted is not None and bool(json.loads(noted)["standing"] == standing)

    def finish_swap(self) -> None:
        """Put every shadow in its place that is not there yet, and remove what it replaces."""
        noted = self._noted("swap")
        if noted is None:
            raise RuntimeError("the swap was not begun")
        uuids = json.loads(noted)["uuids"]
        for table in _SWAP_ORDER:
            if self._uuid(table) != uuids[table]:
                self._crash_point(f"swap {table}")
                self._handle.run(f"EXCHANGE TABLES {table} AND {SHADOW_PREFIX}{table}")
        self._crash_point("swapped")
        self.discard()

    def restore_retention(self, *, raw_days: int, silver_days: int) -> None:
        """Set again how long the history is kept, 0 for ever; the shadows kept theirs for ever."""
        apply_retention(self._handle, raw_days=raw_days, silver_days=silver_days)
        if silver_days:
            for table in _HISTORY:
                self._handle.run(f"ALTER TABLE {table} MATERIALIZE TTL")

    def discard(self) -> None:
        """Remove the shadows, the journal last."""
        for table in SILVER_TABLES:
            self._handle.run(f"DROP TABLE IF EXISTS {SHADOW_PREFIX}{table} SYNC")
        self._handle.run(f"DROP TABLE IF EXISTS {_JOURNAL} SYNC")

    def _clone_history(self, table: str, covers: Sequence[Cover]) -> None:
        """Share the parts of the history, then remove what is derived anew: old parts cost neither time nor disk."""
        partitions = self._handle.rows(
            "SELECT DISTINCT partition_id FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table = {table:String} ORDER BY 1",
            {"table": table},
        )
        for (partition,) in partitions:
            self._handle.run(
                f"ALTER TABLE {SHADOW_PREFIX}{table} ATTACH PARTITION ID {quote_text(partition)} FROM {table}"
            )
        anew = " OR ".join(f"(realm = {quote_text(cover.realm)} AND seq >= {cover.first:d})" for cover in covers)
        self._handle.run(f"ALTER TABLE {SHADOW_PREFIX}{table} DELETE WHERE {anew}", settings={"mutations_sync": 2})

    def _seed_present(self, cover: Cover) -> None:
        parameters = {
            "realm": cover.realm,
            "first": cover.first,
            "began": datetime.fromtimestamp(cover.began_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3],
        }
        for name in _SEEDS:
            self._crash_point(name)
            self._handle.run(derivation(name), parameters, settings=_SEED_SETTINGS)

    def _has_ttl(self, table: str) -> bool:
        return bool(
            self._handle.value(
                "SELECT position(create_table_query, ' TTL ') FROM system.tables"
                " WHERE database = currentDatabase() AND name = {table:String}",
                {"table": table},
            )
        )

    def _uuid(self, table: str) -> str:
        return str(
            self._handle.value(
                "SELECT toString(uuid) FROM system.tables WHERE database = currentDatabase() AND name = {table:String}",
                {"table": table},
            )
        )

    def _noted(self, step: str) -> str | None:
        if not self._handle.value(f"EXISTS TABLE {_JOURNAL}"):
            return None
        said = self._handle.value(f"SELECT said FROM {_JOURNAL} WHERE step = {{step:String}}", {"step": step})
        return None if said is None else str(said)

    def _note(self, step: str, said: str) -> None:
        self._handle.run(
            f"CREATE TABLE IF NOT EXISTS {_JOURNAL} (step String, said String) ENGINE = MergeTree ORDER BY step"
            " COMMENT 'A rebuild of silver is under way, or was killed: run poe-ledger --headless rebuild silver'"
        )
        self._handle.insert(_JOURNAL, {"step": "String", "said": "String"}, [(step, said)])


def swap_was_cut_off(handle: Handle) -> bool:
    """Whether a rebuild died while it put its tables in place: silver is mixed until the rebuild is run again."""
    if not handle.value(f"EXISTS TABLE {_JOURNAL}"):
        return False
    return bool(handle.rows(f"SELECT 1 FROM {_JOURNAL} WHERE step = 'swap' LIMIT 1"))


def derivation_recipe() -> str:
    """All SQL on which the rows of a rebuild depend, in one short text."""
    sql = [derivation(name, holes=holes) for name in _STEPS for holes in (False, True)]
    sql += [derivation(name) for name in _SEEDS]
    return hashlib.sha256("\n".join(sql).encode()).hexdigest()


def _sql_tuple(texts: Sequence[str]) -> str:
    return "(" + ", ".join(quote_text(text) for text in texts) + ")"
