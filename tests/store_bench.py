"""A bench for the way of a page: real spool, real commit, a migrated store, and the views read back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from harvester.clock import VirtualClock
from harvester.feeds.page_scan import scan_page
from harvester.model import Page, Queue, SpooledPage
from harvester.store.commit import Committer
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PageCounts, PublicStashLayers
from harvester.store.spool import Spool
from tests.reference_reading import Reading, Row
from tests.schema_template import migrate

START = 1_767_225_600.0
STASH_COLUMNS = "stash_id, league, account, stash_name, stash_type, item_count, last_seen"
LISTING_COLUMNS = (
    "league, stash_id, item_id, name, type_line, base_type, rarity, ilvl, stack_size, corrupted, note,"
    " price_kind, price_amount, price_lot, price_currency, account, first_seen, last_seen"
)
TABLES = (
    "raw_public_stash_pages",
    "bronze_dead_letters",
    "bronze_ingest_checkpoints",
    "silver_stashes",
    "silver_listings",
    "silver_items",
    "silver_stash_state",
    "silver_item_homes",
)


@dataclass
class Bench:
    """One realm's queue over a fresh store. Pages get their cursors from their place."""

    handle: Handle
    directory: Path
    realm: str = "pc"
    leagues: Sequence[str] = ()
    crash_point: CrashPoint = no_crash
    clock: VirtualClock = field(default_factory=VirtualClock)

    def __post_init__(self) -> None:
        self.queue = Queue("psapi", self.realm)
        self.spool = Spool(self.directory, self.queue)
        self.renew()

    def renew(self) -> None:
        """A new committer, as after a restart."""
        layers = PublicStashLayers(self.handle, self.realm, self.leagues, crash_point=self.crash_point)
        self.committer = Committer(
            self.handle, self.queue, layers, self.spool, self.clock, crash_point=self.crash_point
        )
        self.next_seq = self.committer.recover().next_seq

    def put(self, body: bytes, at: float | None = None) -> int:
        """Spool a body as the next page; returns its seq."""
        seq = max([self.next_seq, *(spooled + 1 for spooled in self.spool.sequences)])
        page = Page(self.queue, f"c{seq}", f"c{seq + 1}", START + 10 * seq if at is None else at, body)
        self.spool.put(SpooledPage(seq, page))
        return seq

    def commit(self, body: bytes, at: float | None = None) -> PageCounts:
        """Spool and commit a body as the next page."""
        scan_page(body)
        seq = self.put(body, at)
        counts = self.committer.commit(seq)[1]
        self.next_seq = seq + 1
        return counts

    def stashes(self) -> dict[str, Row]:
        """`v_stashes_current` by stash id."""
        rows = _dicts(
            self.handle, f"SELECT {STASH_COLUMNS} FROM v_stashes_current WHERE realm = {{realm:String}}", self.realm
        )
        result = {row["stash_id"]: row for row in rows}
        assert len(result) == len(rows), "a stash stands twice in the view"
        return result

    def listings(self) -> dict[tuple[str, str], Row]:
        """`v_listings_current` by stash and item id."""
        rows = _dicts(
            self.handle, f"SELECT {LISTING_COLUMNS} FROM v_listings_current WHERE realm = {{realm:String}}", self.realm
        )
        result = {(row["stash_id"], row["item_id"]): row for row in rows}
        assert len(result) == len(rows), "an item stands twice in a stash"
        return result

    def dead_letters(self) -> list[Row]:
        """`bronze_dead_letters` in order, bodies as bytes."""
        names, rows = self.handle.table(
            "SELECT seq, kind, position, byte_offset, byte_length, item_count, reason, body"
            " FROM bronze_dead_letters ORDER BY seq, position",
            as_bytes=True,
        )
        return [dict(zip(names, row, strict=True)) for row in rows]


def open_bench(handle: Handle, engine: Engine, directory: Path, **options: Any) -> Bench:
    """A bench on the fresh database of `engine`, migrated."""
    migrate(engine)
    return Bench(handle, directory, **options)


def page_of(records: Iterable[Any], next_id: str = "1-2-3-4-5") -> bytes:
    """A page as JSON; records given as bytes stand as they are."""
    encoded = [record if isinstance(record, bytes) else msgspec.json.encode(record) for record in records]
    return b'{"next_change_id":"%b","stashes":[%b]}' % (next_id.encode(), b",".join(encoded))


def stash(stash_id: str, *items: Any, **more: Any) -> Row:
    """A public stash record."""
    return {
        "id": stash_id, "public": True, "accountName": f"owner of {stash_id}", "stash": "tab",
        "stashType": "PremiumStash", "league": "Standard", "items": list(items), **more,
    }  # fmt: skip


def item(item_id: str | None, **more: Any) -> Row:
    """An item record; None gives one without id."""
    named = {} if item_id is None else {"id": item_id}
    return {
        "verified": False, "w": 1, "h": 1, "icon": "", "name": "", "typeLine": "Chaos Orb", "baseType": "Chaos Orb",
        "identified": True, "ilvl": 0, "frameType": 5, "x": 0, "y": 0, "inventoryId": "Stash1", **named, **more,
    }  # fmt: skip


def assert_same_state(bench: Bench, expected: Reading) -> None:
    """The views show what the independent reading says, in every column of the contract."""
    shown_stashes = bench.stashes()
    assert shown_stashes == expected.stashes, _differences(shown_stashes, expected.stashes)
    shown = bench.listings()
    without_id = {key for key in shown if key[1].startswith("~")}
    named = {key: row for key, row in shown.items() if key not in without_id}
    expected_named = {key: row for key, row in expected.listings.items() if row["item_id"] is not None}
    assert named == expected_named, _differences(named, expected_named)
    assert _anonymous(shown[key] for key in without_id) == _anonymous(
        row for row in expected.listings.values() if row["item_id"] is None
    )


def _differences(shown: Mapping[Any, Row], expected: Mapping[Any, Row]) -> str:
    different = [
        (key, {c: (row[c], expected[key][c]) for c in row if row[c] != expected[key][c]})
        for key, row in shown.items()
        if key in expected and row != expected[key]
    ]
    return (
        f"extra {sorted(shown.keys() - expected.keys())[:5]}, missing {sorted(expected.keys() - shown.keys())[:5]},"
        f" {len(different)} different (shown, expected): {different[:5]}"
    )


def _anonymous(rows: Iterable[Row]) -> list[str]:
    return sorted(repr(sorted({**row, "item_id": None}.items())) for row in rows)


def contents(handle: Handle) -> dict[str, list[Any]]:
    """Every row of every table that a page reaches, sorted; left out are instants of writing and what merges drop."""
    current = "(realm, stash_id, seq) IN (SELECT realm, stash_id, seq FROM silver_stash_state FINAL)"
    sources = {table: table for table in TABLES} | {
        "silver_listings": f"silver_listings WHERE {current}",
        "silver_stash_state": "silver_stash_state FINAL",
        "silver_item_homes": "silver_item_homes FINAL",
    }
    result: dict[str, list[Any]] = {}
    for table, source in sources.items():
        names, rows = handle.table(f"SELECT * FROM {source}", as_bytes=True)
        keep = [n for n, name in enumerate(names) if name not in ("committed_at", "rejected_at", "stored_at")]
        result[table] = sorted((tuple(row[n] for n in keep) for row in rows), key=repr)
    return result


def _dicts(handle: Handle, sql: str, realm: str) -> list[Row]:
    names, rows = handle.table(sql, {"realm": realm})
    return [{name: _aware(value) for name, value in zip(names, row, strict=True)} for row in rows]


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
