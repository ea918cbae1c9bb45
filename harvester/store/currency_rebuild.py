"""The markets of the currency exchange derived anew from the hours that bronze holds.

An hour needs no other hour, so the new table is filled beside the old one and put in its place by one statement. A run
that dies before it has changed nothing; the next one begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harvester.feeds.currency_exchange import FEED_NAME, hour_text
from harvester.model import Page, Queue, SpooledPage
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.currency_layers import CurrencyExchangeLayers
from harvester.store.derive_sql import SHADOW_PREFIX
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.quoting import quote_text
from harvester.store.rebuild import RebuildEnd, RebuildProgress, RebuildRefused

_TABLE = "silver_currency_markets"
_SHADOW = SHADOW_PREFIX + _TABLE
_ANY_PARTITIONS = {"max_partitions_per_insert_block": 0}
"""History is carried over by one statement, however many months it has."""


@dataclass(frozen=True, slots=True)
class CurrencyRebuildResult:
    """What a rebuild did."""

    end: RebuildEnd
    hours: int
    """Derived anew."""
    markets: int
    set_aside: int


class CurrencyRebuild:
    """Derives the exchange's silver anew for some realms. The caller holds the leases of all exchange queues."""

    def __init__(self, engine: Engine, realms: Sequence[str], *, crash_point: CrashPoint = no_crash) -> None:
        self._engine = engine
        self._realms = tuple(realms)
        self._crash_point = crash_point

    def run(self, progress: Callable[[RebuildProgress], None], stop_asked: Callable[[], bool]) -> CurrencyRebuildResult:
        """Derive, and put the result in place.

        Raises:
            RebuildRefused: a harvest wrote meanwhile; silver was left as it is.
            StoreError: the store failed; silver is as it was.
        """
        with self._engine.open(writes=False) as plain, self._engine.open() as writer:
            pages = _pages(plain, self._realms)
            if not pages:
                return CurrencyRebuildResult(RebuildEnd.NOTHING_TO_DO, 0, 0, 0)
            standing = _standing(plain)
            plain.run(f"DROP TABLE IF EXISTS {_SHADOW} SYNC")
            plain.run(f"CREATE TABLE {_SHADOW} AS {_TABLE}")
            covered = f"SELECT realm, hour FROM raw_currency_exchange_hours WHERE realm IN {_texts(self._realms)}"
            self._crash_point("carry over")
            plain.run(
                f"INSERT INTO {_SHADOW} SELECT * FROM {_TABLE} WHERE (realm, hour) NOT IN ({covered})",
                settings=_ANY_PARTITIONS,
            )
            markets = set_aside = 0
            for done, spooled in enumerate(pages):
                if stop_asked():
                    plain.run(f"DROP TABLE {_SHADOW} SYNC")
                    return CurrencyRebuildResult(RebuildEnd.STOPPED, done, markets, set_aside)
                queue = spooled.page.queue
                counts = CurrencyExchangeLayers(writer, queue, silver=_SHADOW).derive_anew(spooled)
                if counts is not None:  # retention may have taken it meanwhile
                    markets += counts.items
                    set_aside += counts.set_aside
                step = f"the hour {hour_text(spooled.page.change_id)}"
                progress(RebuildProgress(queue.realm, step, done + 1, len(pages)))
            if _standing(plain) != standing:
                plain.run(f"DROP TABLE {_SHADOW} SYNC")
                raise RebuildRefused(
                    "A harvest wrote exchange hours into this store meanwhile; silver is as it was."
                    " Stop every harvest of this store, then run it again."
                )
            self._crash_point("exchange")
            plain.run(f"EXCHANGE TABLES {_TABLE} AND {_SHADOW}")
            self._crash_point("exchanged")
            plain.run(f"DROP TABLE {_SHADOW} SYNC")
            return CurrencyRebuildResult(RebuildEnd.DONE, len(pages), markets, set_aside)


def _pages(handle: Handle, realms: Sequence[str]) -> list[SpooledPage]:
    """Every hour that bronze holds and that is not set aside whole, without bodies."""
    rows = handle.rows(
        "SELECT queue_key, seq, realm, change_id, next_change_id, toUnixTimestamp64Milli(fetched_at) / 1000"
        f" FROM raw_currency_exchange_hours WHERE realm IN {_texts(realms)} AND (queue_key, seq) NOT IN"
        " (SELECT queue_key, seq FROM bronze_dead_letters WHERE kind = 'page') ORDER BY realm, hour"
    )
    return [
        SpooledPage(seq, Page(Queue(key.partition(":")[0], realm), asked, following, at, b""))
        for key, seq, realm, asked, following, at in rows
    ]


def _standing(handle: Handle) -> list[tuple[object, ...]]:
    """Where all exchange queues stand; a harvest changes it."""
    return handle.rows(
        "SELECT queue_key, max(seq), countIf(status != 'caught_up') FROM bronze_ingest_checkpoints"
        " WHERE startsWith(queue_key, {feed:String}) GROUP BY queue_key ORDER BY queue_key",
        {"feed": FEED_NAME},
    )


def _texts(values: Sequence[str]) -> str:
    return f"({', '.join(map(quote_text, values))})"
