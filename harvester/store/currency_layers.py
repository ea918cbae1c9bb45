"""An hour of the currency exchange into bronze and silver: two statements, each skipped where it stands already.

Silver of an hour is one INSERT of one block into one partition: the hour is visible whole or not at all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from harvester.clock import utc
from harvester.feeds.currency_exchange import hour_text
from harvester.feeds.hour_scan import HIGHEST, HourScan, Market, keep_markets_of, scan_hour
from harvester.model import Queue, SpooledPage
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.dead_letters import DeadLetter, add_dead_letters, positions_set_aside
from harvester.store.derive_sql import derivation
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PageCounts
from harvester.store.quoting import quote_text

_PLACES_PER_STATEMENT = 500
"""Parameters of a statement travel in its URL, whose length servers bound."""
_BRONZE_COLUMNS = {
    "realm": "LowCardinality(String)",
    "hour": "DateTime('UTC')",
    "queue_key": "LowCardinality(String)",
    "seq": "UInt64",
    "change_id": "String",
    "next_change_id": "String",
    "fetched_at": "DateTime64(3, 'UTC')",
    "http_status": "UInt16",
    "league_filter": "Array(LowCardinality(String))",
    "market_count": "UInt32",
    "body_sha256": "FixedString(64)",
    "body": "String",
}
_OF_THE_HOUR = "WHERE realm = {realm:String} AND hour = toDateTime({hour:UInt32}, 'UTC')"


class CurrencyExchangeLayers:
    """Writes the hours of one queue. Belongs to one thread, like its handle."""

    def __init__(
        self,
        handle: Handle,
        queue: Queue,
        leagues: Iterable[str] = (),
        *,
        crash_point: CrashPoint = no_crash,
        silver: str = "silver_currency_markets",
    ) -> None:
        """`leagues` is the operator's filter; empty keeps all. `silver` is the table that markets are written into."""
        self._handle = handle
        self._queue = queue
        self._leagues = frozenset(leagues)
        self._crash_point = crash_point
        self._silver = silver

    def write(self, spooled: SpooledPage, *, repeating: bool) -> PageCounts:
        """Bring an hour into both layers. `repeating`: an earlier try may have come some way.

        Raises:
            StoreError: the store failed; call again with `repeating` when it is back.
        """
        body, scan, remark = self._bronze(spooled, repeating=repeating)
        counts = self._derive(spooled, body, scan, repeating=repeating)
        return replace(counts, body_bytes=len(spooled.page.body), remark=remark)

    def derive_anew(self, spooled: SpooledPage) -> PageCounts | None:
        """Derive an hour that bronze holds, as far as it is not derived; None where bronze does not hold it.

        Of `spooled` the body is not looked at.

        Raises:
            StoreError: the store failed; call again when it is back.
        """
        body = self._stored_body(spooled)
        return None if body is None else self._derive(spooled, body, scan_hour(body), repeating=True)

    def withdraw(self, seq: int) -> None:
        """Take back what was derived of an hour that is given up."""
        self._handle.run(
            f"ALTER TABLE {self._silver} DELETE WHERE realm = {quote_text(self._queue.realm)} AND hour IN"
            f" (SELECT hour FROM raw_currency_exchange_hours WHERE queue_key = {quote_text(self._queue.key)}"
            f" AND seq = {seq:d})",
            settings={"mutations_sync": 1},
        )

    def unbegin(self, seq: int) -> None:
        """Nothing: an hour holds no names, so that none is ever taken back."""

    def _bronze(self, spooled: SpooledPage, *, repeating: bool) -> tuple[bytes, HourScan, str]:
        """The body as bronze holds it, what is in it, and a remark where that is not what came."""
        page, body = spooled.page, spooled.page.body
        scan = scan_hour(body)
        if self._leagues:
            body = keep_markets_of(body, scan, self._leagues)
            scan = scan_hour(body)
        if repeating and (stored := self._stored_body(spooled)) is not None:
            if stored == body:
                return body, scan, ""
            remark = f"the hour {hour_text(page.change_id)} UTC came with other bytes than are stored"
            return stored, scan_hour(stored), remark
        self._crash_point("bronze")
        row = (
            self._queue.realm,
            utc(int(page.change_id)),
            self._queue.key,
            spooled.seq,
            page.change_id,
            page.next_change_id,
            utc(page.fetched_at),
            page.http_status,
            sorted(self._leagues),
            len(scan.markets),
            hashlib.sha256(body).hexdigest().encode(),
            body,
        )
        self._handle.insert("raw_currency_exchange_hours", _BRONZE_COLUMNS, [row])
        return body, scan, ""

    def _derive(self, spooled: SpooledPage, body: bytes, scan: HourScan, *, repeating: bool) -> PageCounts:
        set_aside = {market.position for market in scan.rejected}
        if set_aside:
            self._set_aside(spooled, body, scan.rejected)
        if len(scan.markets) > len(set_aside):
            if repeating and self._there(spooled):
                set_aside |= positions_set_aside(self._handle, self._queue, spooled.seq)
            else:
                set_aside = self._run_proved(spooled, body, scan, set_aside)
        return PageCounts(0, len(scan.markets) - len(set_aside), len(set_aside), len(body))

    def _run_proved(self, spooled: SpooledPage, body: bytes, scan: HourScan, set_aside: set[int]) -> set[int]:
        """Derive the hour; where the count proof fails, again without the markets at fault."""
        if self._passes(spooled, scan, set_aside):
            return set_aside
        at_fault = self._unreadable(spooled, [m for m in scan.markets if m.position not in set_aside])
        if at_fault:
            self._set_aside(spooled, body, [replace(m, problem="the engine cannot read it") for m in at_fault])
            set_aside = set_aside | {market.position for market in at_fault}
            if len(set_aside) == len(scan.markets) or self._passes(spooled, scan, set_aside):
                return set_aside
        raise StoreError(StoreFault.PROOF, f"the hour {hour_text(spooled.page.change_id)} cannot be derived")

    def _passes(self, spooled: SpooledPage, scan: HourScan, set_aside: set[int]) -> bool:
        good = [market for market in scan.markets if market.position not in set_aside]
        parameters = {
            **self._key(spooled),
            "queue": self._queue.key,
            "seq": spooled.seq,
            "markets": len(good),
            "number_sum": sum(market.number_sum for market in good) % HIGHEST,
        }
        sql = derivation("currency_markets", holes=bool(set_aside))
        self._crash_point("currency_markets")
        try:
            self._handle.run(sql.replace("silver_currency_markets", self._silver), parameters)
        except StoreError as error:
            if error.fault is not StoreFault.PROOF:
                raise
            return False
        return True

    def _unreadable(self, spooled: SpooledPage, markets: Sequence[Market]) -> list[Market]:
        """Those markets of the stored hour that the engine does not read as the door did."""
        bad: set[int] = set()
        for start in range(0, len(markets), _PLACES_PER_STATEMENT):
            batch = markets[start : start + _PLACES_PER_STATEMENT]
            places = [(m.position, m.offset, m.length, m.number_sum) for m in batch]
            rows = self._handle.rows(
                derivation("currency_unreadable_markets"), {**self._key(spooled), "places": places}
            )
            bad.update(row[0] for row in rows)
        return [market for market in markets if market.position in bad]

    def _set_aside(self, spooled: SpooledPage, body: bytes, markets: Sequence[Market]) -> None:
        letters = [
            DeadLetter(
                kind="record",
                position=market.position,
                byte_offset=market.offset,
                byte_length=market.length,
                item_count=0,
                reason=market.problem,
                body=body[market.offset : market.offset + market.length],
            )
            for market in markets
        ]
        self._crash_point("dead letters")
        add_dead_letters(self._handle, spooled, letters)

    def _stored_body(self, spooled: SpooledPage) -> bytes | None:
        rows = self._handle.rows(
            f"SELECT body FROM raw_currency_exchange_hours {_OF_THE_HOUR}", self._key(spooled), as_bytes=True
        )
        return bytes(rows[0][0]) if rows else None

    def _there(self, spooled: SpooledPage) -> bool:
        return bool(self._handle.rows(f"SELECT 1 FROM {self._silver} {_OF_THE_HOUR} LIMIT 1", self._key(spooled)))

    def _key(self, spooled: SpooledPage) -> dict[str, object]:
        return {"realm": self._queue.realm, "hour": int(spooled.page.change_id)}
