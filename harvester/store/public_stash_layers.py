"""A public stash page into bronze and silver, each table by one statement, each step skipped where it stands already.

The order matters: a step reads only what earlier steps and earlier pages wrote, and what it reads is changed only by
`stash_state` and `item_homes`, which come last. So after a crash any step can be repeated from the same ground.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from harvester.clock import utc
from harvester.feeds.page_scan import PageScan, Record, keep_leagues, scan_page
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.model import Queue, SpooledPage
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.dead_letters import DeadLetter, add_dead_letters, positions_set_aside
from harvester.store.derive_sql import SHADOW_PREFIX, derivation, in_shadow, renaming_derivation
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.name_guard import NameGuard
from harvester.store.quoting import quote_text

T = TypeVar("T")
_VALUES_PER_STATEMENT = 500
_BRONZE_COLUMNS = {
    "realm": "LowCardinality(String)",
    "seq": "UInt64",
    "change_id": "String",
    "next_change_id": "String",
    "fetched_at": "DateTime64(3, 'UTC')",
    "league_filter": "Array(LowCardinality(String))",
    "account_names": "LowCardinality(String)",
    "stash_count": "UInt32",
    "item_count": "UInt32",
    "body_sha256": "FixedString(64)",
    "body": "String",
}
_OF_THE_PAGE = "WHERE realm = {realm:String} AND seq = {seq:UInt64}"
_PRESENT = {
    "silver_stashes": f"SELECT 1 FROM silver_stashes {_OF_THE_PAGE} LIMIT 1",
    "silver_listings": f"SELECT 1 FROM silver_listings {_OF_THE_PAGE} AND change != 'kept' LIMIT 1",
    "kept_listings": f"SELECT 1 FROM silver_listings {_OF_THE_PAGE} AND change = 'kept' LIMIT 1",
    "silver_items": f"SELECT 1 FROM silver_items {_OF_THE_PAGE} LIMIT 1",
    "silver_stash_state": f"SELECT 1 FROM silver_stash_state {_OF_THE_PAGE} LIMIT 1",
}


@dataclass(frozen=True, slots=True)
class PageCounts:
    """What a committed page held."""

    stashes: int
    """Stash records; 0 for an hour of the exchange."""
    items: int
    """Items of the stashes, or markets of an hour of the exchange."""
    set_aside: int
    """Records that became dead letters."""
    body_bytes: int
    """Of the body as it was spooled."""
    remark: str = ""
    """What the operator should know of it; empty where all is as it should be."""


class PublicStashLayers:
    """Writes the pages of one realm. Belongs to one thread, like its handle."""

    def __init__(
        self,
        handle: Handle,
        realm: str,
        leagues: Iterable[str] = (),
        *,
        crash_point: CrashPoint = no_crash,
        shadow: bool = False,
        names: NameGuard | None = None,
    ) -> None:
        """`leagues` is the operator's filter; empty keeps all. `shadow` writes silver into its shadow tables.

        `names` says how the names of earlier pages are written anew; without it as they are.
        """
        self._handle = handle
        self._realm = realm
        self._leagues = frozenset(leagues)
        self._crash_point = crash_point
        self._shadow = shadow
        self._names = names

    def write(self, spooled: SpooledPage, *, repeating: bool) -> PageCounts:
        """Bring a page into every layer. `repeating`: an earlier try may have come some way.

        Raises:
            StoreError: the store failed; call again with `repeating` when it is back.
        """
        return self._silver(spooled, self._bronze(spooled, repeating=repeating), repeating=repeating)

    def derive_anew(self, spooled: SpooledPage) -> PageCounts | None:
        """Derive a page that bronze holds, as far as it is not derived; None where bronze does not hold it.

        Of `spooled` the body is not looked at.

        Raises:
            StoreError: the store failed; call again when it is back.
        """
        body = self._stored_body(spooled.seq)
        return None if body is None else self._silver(spooled, scan_page(body, stored=True), repeating=True)

    def _silver(self, spooled: SpooledPage, scan: PageScan, *, repeating: bool) -> PageCounts:
        seq = spooled.seq
        set_aside = scan.rejected
        if set_aside:
            self._set_aside(spooled, set_aside)
        if len(scan.records) > len(set_aside) and not (repeating and self._there("silver_stash_state", seq)):
            set_aside = self._derive(spooled, scan, set_aside, repeating=repeating)
        self._run("item_homes", seq)
        return PageCounts(len(scan.records), scan.item_count, len(set_aside), len(spooled.page.body))

    def _bronze(self, spooled: SpooledPage, *, repeating: bool) -> PageScan:
        page = spooled.page
        if repeating:
            stored = self._stored_body(spooled.seq)
            if stored is not None:
                return scan_page(stored, stored=True)
        body, scan = page.body, scan_page(page.body, stored=True)
        if self._leagues:
            body = keep_leagues(body, scan, self._leagues, self._known_as_public)
            scan = scan_page(body, stored=True)
        self._crash_point("bronze")
        row = (
            self._realm,
            spooled.seq,
            page.change_id,
            page.next_change_id,
            utc(page.fetched_at),
            sorted(self._leagues),
            page.account_names,
            len(scan.records),
            scan.item_count,
            hashlib.sha256(body).hexdigest().encode(),
            body,
        )
        self._handle.insert("raw_public_stash_pages", _BRONZE_COLUMNS, [row])
        return scan

    def _derive(
        self, spooled: SpooledPage, scan: PageScan, set_aside: tuple[Record, ...], *, repeating: bool
    ) -> tuple[Record, ...]:
        seq = spooled.seq
        if repeating:
            gone = positions_set_aside(self._handle, spooled.page.queue, seq)
            set_aside = tuple(record for record in scan.records if record.position in gone)
        for step in ("stashes", "listings"):
            if not (repeating and self._there(f"silver_{step}", seq)):
                set_aside = self._run_proved(step, spooled, scan, set_aside)
        expected = len(scan.records) - len(set_aside)
        self._check_records(seq, expected)
        if not (repeating and self._there("silver_items", seq)):
            self._run("items", seq)
        self._check_records(seq, expected)
        left_behind = self._handle.rows(derivation("left_behind_stashes", shadow=self._shadow), self._key(seq))
        if left_behind and not (repeating and self._there("kept_listings", seq)):
            self._run("kept_listings", seq)
        renamed = self._renamed([row[0] for row in left_behind])
        if renamed:
            self._crash_point("stash_state")
            sql = renaming_derivation("stash_state", renamed)
            self._handle.run(sql, self._key(seq), settings={"max_query_size": 4 * len(sql) + 1})
        else:
            self._run("stash_state", seq)
        return set_aside

    def _renamed(self, stash_ids: list[str]) -> dict[str, str]:
        """Accounts of stashes outside the page that may not be written as they stand, as they may, by stash."""
        if self._names is None:
            return {}
        renamed: dict[str, str] = {}
        for batch in _batches(stash_ids):
            rows = self._handle.rows(
                "SELECT stash_id, account FROM silver_stash_state FINAL"
                " WHERE realm = {realm:String} AND stash_id IN {ids:Array(String)}",
                {"realm": self._realm, "ids": batch},
            )
            renamed.update((row[0], other) for row in rows if (other := self._names.account(row[1])) != row[1])
        return renamed

    def _check_records(self, seq: int, expected: int) -> None:
        """The proof inside the statements says nothing where bronze holds the page not at all, or twice.

        Asked again behind the last statement that reads the page: one that vanished meanwhile never becomes visible.
        """
        stored = self._handle.value(f"SELECT count() FROM raw_public_stash_pages {_OF_THE_PAGE}", self._key(seq))
        table = f"{SHADOW_PREFIX if self._shadow else ''}silver_stashes"
        derived = self._handle.value(
            f"SELECT count() FROM {table} WHERE realm = {{realm:String}} AND seq = {{seq:UInt64}}", self._key(seq)
        )
        if derived != expected or stored != 1:
            raise StoreError(
                StoreFault.OTHER if stored > 1 else StoreFault.PROOF,
                f"page {seq} of {self._realm} has {expected} records and {derived} of them are derived: "
                "bronze may have lost or doubled it",
            )

    def withdraw(self, seq: int) -> None:
        """Take back what was derived of a page that is given up; the views never showed it."""
        for table in ("silver_stashes", "silver_listings", "silver_items"):
            self._delete(table, "realm", self._realm, seq)

    def unbegin(self, seq: int) -> None:
        """Take a page back whole, as if it had never begun. One that the views show is history, and stays."""
        if self._there("silver_stash_state", seq):
            return
        self.withdraw(seq)
        self._delete("bronze_dead_letters", "queue_key", Queue(PUBLIC_STASH, self._realm).key, seq)
        # Bronze goes last: while it is there, a cut-off retreat is seen and done again.
        self._delete("raw_public_stash_pages", "realm", self._realm, seq)

    def _delete(self, table: str, key: str, value: str, seq: int) -> None:
        """Take the rows of a page out of a table; returns when they are gone."""
        self._handle.run(
            f"ALTER TABLE {table} DELETE WHERE {key} = {quote_text(value)} AND seq = {seq:d}",
            settings={"mutations_sync": 1},
        )

    def _run_proved(
        self, step: str, spooled: SpooledPage, scan: PageScan, set_aside: tuple[Record, ...]
    ) -> tuple[Record, ...]:
        """Run a step that reads the page; where the count proof fails, again without the records at fault."""
        if self._passes(step, spooled.seq, holes=bool(set_aside)):
            return set_aside
        known = {record.position for record in set_aside}
        good = [record for record in scan.records if record.position not in known]
        at_fault = self._unreadable(spooled.seq, good)
        for found in (at_fault, [record for record in good if record not in at_fault]):
            if found:
                marked = [replace(record, problem="the engine cannot read it") for record in found]
                self._set_aside(spooled, marked)
                set_aside = tuple(sorted((*set_aside, *marked), key=lambda record: record.position))
                if self._passes(step, spooled.seq, holes=True):
                    return set_aside
        raise StoreError(StoreFault.OTHER, f"page {spooled.seq} cannot be derived even without its records")

    def _passes(self, step: str, seq: int, *, holes: bool) -> bool:
        try:
            self._run(step, seq, holes=holes)
        except StoreError as error:
            if error.fault is not StoreFault.PROOF:
                raise
            return False
        return True

    def _unreadable(self, seq: int, records: list[Record]) -> list[Record]:
        """Those records of the stored page that the engine does not read as the door did."""
        bad: set[int] = set()
        for batch in _batches(records):
            places = [(r.position, r.item_count, r.offset, r.length) for r in batch]
            rows = self._handle.rows(derivation("unreadable_records"), {**self._key(seq), "records": places})
            bad.update(row[0] for row in rows)
        return [record for record in records if record.position in bad]

    def _set_aside(self, spooled: SpooledPage, records: Sequence[Record]) -> None:
        body = self._stored_body(spooled.seq) or b""
        letters = [
            DeadLetter(
                kind="record",
                position=record.position,
                byte_offset=record.offset,
                byte_length=record.length,
                item_count=record.item_count,
                reason=record.problem,
                body=body[record.offset : record.offset + record.length],
            )
            for record in records
        ]
        self._crash_point("dead letters")
        add_dead_letters(self._handle, spooled, letters)

    def _stored_body(self, seq: int) -> bytes | None:
        rows = self._handle.rows(
            "SELECT body FROM raw_public_stash_pages WHERE realm = {realm:String} AND seq = {seq:UInt64}",
            self._key(seq),
            as_bytes=True,
        )
        return bytes(rows[0][0]) if rows else None

    def _known_as_public(self, stash_ids: list[str]) -> set[str]:
        known: set[str] = set()
        for batch in _batches(stash_ids):
            rows = self._handle.rows(
                "SELECT stash_id FROM silver_stash_state FINAL"
                " WHERE realm = {realm:String} AND stash_id IN {ids:Array(String)} AND public",
                {"realm": self._realm, "ids": batch},
            )
            known.update(row[0] for row in rows)
        return known

    def _there(self, step: str, seq: int) -> bool:
        sql = in_shadow(_PRESENT[step]) if self._shadow else _PRESENT[step]
        return bool(self._handle.rows(sql, self._key(seq)))

    def _run(self, step: str, seq: int, *, holes: bool = False) -> None:
        self._crash_point(step)
        self._handle.run(derivation(step, holes=holes, shadow=self._shadow), self._key(seq))

    def _key(self, seq: int) -> dict[str, object]:
        return {"realm": self._realm, "seq": seq}


def _batches(values: list[T]) -> Iterator[list[T]]:
    """Parameters of a statement travel in its URL, whose length servers bound."""
    for start in range(0, len(values), _VALUES_PER_STATEMENT):
        yield values[start : start + _VALUES_PER_STATEMENT]
