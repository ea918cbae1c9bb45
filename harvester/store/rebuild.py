"""Silver derived anew from bronze: into shadow tables first, which then take the place of the silver ones.

Only what bronze still covers is derived. What lies before it is carried over: the history as it is, and the state of
every stash before the first covered page, put together from that history (`schema/derive/seed_*.sql`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from harvester.feeds.public_stash import FEED_NAME
from harvester.model import Page, Queue, SpooledPage
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.derive_sql import SHADOW_PREFIX, SILVER_TABLES
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PublicStashLayers
from harvester.store.rebuild_cover import Cover, find_cover
from harvester.store.rebuild_shadow import Shadow, derivation_recipe

PAGES_LISTED_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """How far a rebuild has come, for a screen."""

    realm: str
    """Empty outside the derivation of pages."""
    step: str
    """What is being done, in words."""
    pages_done: int
    """Over all realms, earlier tries included."""
    pages_total: int


class RebuildEnd(Enum):
    """How a rebuild ended."""

    DONE = "done"
    NOTHING_TO_DO = "nothing to do"
    """Bronze covers no page of these realms."""
    STOPPED = "stopped"
    """It was asked to; silver is as it was, and the next run goes on from there."""


@dataclass(frozen=True, slots=True)
class RebuildResult:
    """What a rebuild did."""

    end: RebuildEnd
    covers: tuple[Cover, ...]
    """What bronze covers of each realm that was derived."""
    records: dict[str, int]
    """Records derived by realm, by this run."""
    set_aside: int
    """Records that are dead letters, of the pages derived by this run."""


class RebuildRefused(Exception):  # noqa: N818
    """Silver was left as it is; the message says why and what to do."""


class SilverRebuild:
    """Derives silver anew for some realms. The caller holds the leases of the queues of all realms."""

    def __init__(self, engine: Engine, realms: Sequence[str], *, crash_point: CrashPoint = no_crash) -> None:
        self._engine = engine
        self._realms = tuple(realms)
        self._crash_point = crash_point

    def run(
        self,
        progress: Callable[[RebuildProgress], None],
        stop_asked: Callable[[], bool],
        *,
        raw_days: int,
        silver_days: int,
    ) -> RebuildResult:
        """Derive, and put the result in place. After a kill, call it again: it goes on where it was.

        Raises:
            RebuildRefused: a harvest wrote meanwhile, or the store lacks what the rebuild needs.
            StoreError: the store failed; silver is as it was.
        """
        with self._engine.open(writes=False) as plain, self._engine.open() as writer:
            shadow = Shadow(plain, self._crash_point)
            standing = _standing(plain)
            records: dict[str, int] = {}
            set_aside = 0
            if shadow.swap_is_halfway(standing):
                progress(RebuildProgress("", "finishing what an earlier run began", 0, 0))
                covers: tuple[Cover, ...] = ()
            else:
                covers = tuple(cover for realm in self._realms if (cover := find_cover(plain, realm)))
                if not covers:
                    shadow.discard()
                    return RebuildResult(RebuildEnd.NOTHING_TO_DO, (), {}, 0)
                recipe = _recipe(plain, standing, covers)
                if not shadow.is_seeded(recipe):
                    progress(RebuildProgress("", "carrying over what bronze no longer covers", 0, 0))
                    shadow.seed(recipe, covers)
                total, done = sum(cover.pages for cover in covers), 0
                for cover in covers:
                    records[cover.realm] = 0
                    layers = PublicStashLayers(writer, cover.realm, shadow=True)
                    after = shadow.derived_up_to(cover)
                    done += _count_pages(plain, cover, after)
                    while pages := _next_pages(plain, cover, after):
                        for spooled in pages:
                            if stop_asked():
                                return RebuildResult(RebuildEnd.STOPPED, covers, records, set_aside)
                            self._crash_point(f"page {spooled.seq}")
                            counts = layers.derive_anew(spooled)
                            if counts is None:
                                shadow.discard()
                                raise RebuildRefused(
                                    f"Page {spooled.seq} of {cover.realm} left bronze meanwhile; silver is as it was."
                                    " Run it again."
                                )
                            after = spooled.seq
                            records[cover.realm] += counts.stashes
                            set_aside += counts.set_aside
                            done += 1
                            progress(RebuildProgress(cover.realm, f"page {after}", done, total))
                if _standing(plain) != standing:
                    shadow.discard()
                    raise RebuildRefused(
                        "A harvest wrote into this store meanwhile; silver is as it was."
                        " Stop every harvest of this store, then run it again."
                    )
                progress(RebuildProgress("", "putting it in place", done, total))
                shadow.begin_swap(standing)
            shadow.finish_swap()
            shadow.restore_retention(raw_days=raw_days, silver_days=silver_days)
            return RebuildResult(RebuildEnd.DONE, covers, records, set_aside)

    def discard(self) -> None:
        """Remove what a stopped run has derived; silver is as it was before."""
        with self._engine.open(writes=False) as plain:
            shadow = Shadow(plain, self._crash_point)
            if not shadow.swap_is_halfway(_standing(plain)):
                shadow.discard()


def _next_pages(handle: Handle, cover: Cover, after: int) -> list[SpooledPage]:
    """The next pages that bronze holds behind `after`, without their bodies."""
    queue = Queue(FEED_NAME, cover.realm)
    rows = handle.rows(
        "SELECT seq, any(change_id), any(next_change_id), toUnixTimestamp64Milli(any(fetched_at)) / 1000"
        " FROM raw_public_stash_pages WHERE realm = {realm:String} AND seq > {after:UInt64} AND seq <= {last:UInt64}"
        f" GROUP BY seq ORDER BY seq LIMIT {PAGES_LISTED_AT_ONCE}",
        {"realm": cover.realm, "after": after, "last": cover.last},
    )
    return [SpooledPage(seq, Page(queue, asked, following, at, b"")) for seq, asked, following, at in rows]


def _count_pages(handle: Handle, cover: Cover, up_to: int) -> int:
    count = handle.value(
        "SELECT uniqExact(seq) FROM raw_public_stash_pages"
        " WHERE realm = {realm:String} AND seq BETWEEN {first:UInt64} AND {up_to:UInt64}",
        {"realm": cover.realm, "first": cover.first, "up_to": up_to},
    )
    return int(count or 0)


def _standing(handle: Handle) -> str:
    """Where all public stash queues stand; a harvest changes it."""
    rows = handle.rows(
        "SELECT queue_key, max(seq), countIf(status != 'caught_up') FROM bronze_ingest_checkpoints"
        " WHERE startsWith(queue_key, {feed:String}) GROUP BY queue_key ORDER BY queue_key",
        {"feed": f"{FEED_NAME}:"},
    )
    return "; ".join(f"{queue} {seq} {count}" for queue, seq, count in rows)


def _recipe(handle: Handle, standing: str, covers: Sequence[Cover]) -> str:
    """What the derived rows depend on: work of an earlier run is gone on with only where it is the same."""
    columns = handle.rows(
        "SELECT table, name, type FROM system.columns"
        " WHERE database = currentDatabase() AND table IN {tables:Array(String)} ORDER BY table, position",
        {"tables": list(SILVER_TABLES)},
    )
    parts = (derivation_recipe(), str(columns), standing, str(tuple(covers)), SHADOW_PREFIX)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
