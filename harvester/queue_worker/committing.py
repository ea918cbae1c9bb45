"""The second task of a queue: bring spooled pages into the store, in order, however long it is away."""

from __future__ import annotations

import asyncio

from harvester.clock import Clock
from harvester.events import Level
from harvester.model import Checkpoint
from harvester.queue_store import QueueStore
from harvester.queue_worker.disk_words import disk_words
from harvester.queue_worker.hand_over import HandOver
from harvester.queue_worker.policy import QueueStopped
from harvester.queue_worker.telling import Side, Teller
from harvester.snapshot import QueueState, RecentPage
from harvester.store.errors import StoreError, StoreFault
from harvester.store.public_stash_layers import PageCounts
from harvester.store.spool import DamagedPage
from harvester.telemetry import QueueMeter

DAMAGED_TODO = "Check the disk, then start again: the page is asked for again, or taken from the store."
GIVE_UP_AFTER_TRIES = 5
"""Tries of one page that the store refuses for a reason which waiting does not mend."""
SLOW_COMMIT_SECONDS = 30.0
"""Seconds after which a commit that still runs is worth an event."""


class CommitLoop:
    """Commits what is handed over until there is no more; a page that is refused again and again is set aside."""

    def __init__(
        self, store: QueueStore, hand_over: HandOver, *, clock: Clock, meter: QueueMeter, teller: Teller
    ) -> None:
        self._store = store
        self._hand_over = hand_over
        self._clock = clock
        self._meter = meter
        self._teller = teller

    async def run(self) -> None:
        """Commit page after page. On cancellation the page in hand is finished first."""
        while (seq := await self._hand_over.first()) is not None:
            await self._commit(seq)
            self._hand_over.done()

    async def _commit(self, seq: int) -> None:
        tries, refusals, hopeless, since = 0, 0, "", self._clock.now()
        while True:
            work = asyncio.ensure_future(self._bring(seq, hopeless))
            try:
                async with self._teller.patiently(
                    "slow store",
                    SLOW_COMMIT_SECONDS,
                    f"page {seq} is on its way into the store",
                    "waiting for ClickHouse; pages collect in the spool",
                ):
                    checkpoint, counts = await asyncio.shield(work)
                break
            except asyncio.CancelledError:
                await asyncio.wait({work})
                raise
            except DamagedPage as error:
                raise QueueStopped(
                    f"the spool file of page {seq} is damaged: {error.reason} ({error.path})", DAMAGED_TODO
                ) from error
            except StoreError as error:
                if error.fault in (StoreFault.LEASED, StoreFault.OVERTAKEN):
                    raise  # the queue is opened anew: what waits here may be somebody else's by now
                tries += 1
                refusals += _is_about_the_page(error)
                if refusals >= GIVE_UP_AFTER_TRIES and not hopeless:
                    hopeless = str(error)
                    self._teller.say(Level.ERROR, f"page {seq} cannot be stored: {error}", "it is set aside")
                    continue
                await self._teller.store_pause(error, tries, since, "pages collect in the spool")
            except OSError as error:
                tries += 1
                what, todo = disk_words(
                    "the cursor file or spool cannot be written", error, self._store.spool_directory
                )
                await self._teller.retry_pause(what, tries, since, side=Side.STORE, todo=todo)
        if tries:
            self._teller.over(Side.STORE)
        self._count(seq, checkpoint, counts, given_up=bool(hopeless))

    async def _bring(self, seq: int, hopeless: str) -> tuple[Checkpoint, PageCounts]:
        """A page into the store; a `hopeless` one among the dead letters, with that as the reason."""
        if not hopeless:
            return await self._store.commit(seq)
        return await self._store.give_up(seq, hopeless), PageCounts(0, 0, 1, 0)

    def _count(self, seq: int, checkpoint: Checkpoint, counts: PageCounts, *, given_up: bool) -> None:
        meter, now = self._meter, self._clock.now()
        page = RecentPage(
            seq=seq,
            cursor=checkpoint.last_cursor_id,
            stashes=counts.stashes,
            items=counts.items,
            page_bytes=counts.body_bytes,
            commit_ms=(now - checkpoint.retrieved_at) * 1000,
            at=now,
            set_aside=counts.set_aside,
        )
        meter.committed(page, whole=not given_up)
        if self._teller.state is QueueState.CAUGHT_UP and not meter.caught_up:
            self._teller.stands(QueueState.HARVESTING)
        if counts.set_aside and not given_up:
            one = counts.set_aside == 1
            records = "1 record" if one else f"{counts.set_aside:,} records"
            fate = "was set aside as a dead letter" if one else "were set aside as dead letters"
            self._teller.say(Level.WARNING, f"{records} of page {seq} {fate}")
        if counts.remark:
            self._teller.say(Level.WARNING, counts.remark, "what is stored stays")
        meter.measure_spool(self._store.spool_pages, self._store.spool_bytes)


def _is_about_the_page(error: StoreError) -> bool:
    """Whether another page could fare better: not where the schema, the rights or the credentials are wrong."""
    return error.fault in (StoreFault.PROOF, StoreFault.DATA)
