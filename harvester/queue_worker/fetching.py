"""The first task of a queue: ask, make the page safe on disk, go on with the cursor it names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from harvester.clock import Clock
from harvester.events import Level
from harvester.feeds.base import EndOfStream, PageFound, Reading, Unreadable
from harvester.fetch_chain import Answer
from harvester.model import Page, Queue, SpooledPage
from harvester.queue_store import QueueStore
from harvester.queue_worker.asking import Asker
from harvester.queue_worker.hand_over import HandOver
from harvester.queue_worker.policy import WorkerPolicy
from harvester.queue_worker.telling import Side, Teller
from harvester.snapshot import QueueState
from harvester.store.errors import StoreError
from harvester.telemetry import QueueMeter

CONFIRM_EVERY_SECONDS = 10.0
"""At the end of the stream a checkpoint is written this often at most."""
SLOW_DISK_SECONDS = 2.0
"""A page that takes so long to be safe is worth an event."""


class FetchLoop:
    """Walks the stream from a cursor until the goal is met, ahead of the store by what the spool may hold."""

    def __init__(
        self,
        queue: Queue,
        asker: Asker,
        store: QueueStore,
        hand_over: HandOver,
        policy: WorkerPolicy,
        *,
        clock: Clock,
        meter: QueueMeter,
        teller: Teller,
        spool_has_room: Callable[[], bool],
    ) -> None:
        self._queue = queue
        self._asker = asker
        self._store = store
        self._hand_over = hand_over
        self._policy = policy
        self._clock = clock
        self._meter = meter
        self._teller = teller
        self._spool_has_room = spool_has_room
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._cursor = ""
        self._next_seq = 1
        self._asked = 0
        self._at_end = False
        self._confirmed_at = float("-inf")

    def pause(self) -> None:
        """Ask nothing more until `resume`."""
        self._unpaused.clear()

    def resume(self) -> None:
        """Go on asking."""
        self._unpaused.set()

    async def run(self, cursor: str, next_seq: int) -> None:
        """Walk on from `cursor`, whose page gets the place `next_seq`, until the goal is met."""
        self._cursor, self._next_seq = cursor, next_seq
        goal = self._policy.pages
        try:
            while goal is None or self._asked < goal:
                answer, reading = await self._asker.next_reading(
                    self._cursor, ahead=self._requests_ahead, may_ask=self._wait_for_leave
                )
                if isinstance(reading, EndOfStream):
                    if await self._end_reached(answer):
                        break
                    continue
                await self._spool(answer, reading)
                self._asked += 1
        finally:
            await self._asker.drop()
        self._hand_over.close()

    def _requests_ahead(self) -> int:
        if not self._spool_has_room() or not self._unpaused.is_set():
            return 0
        left = self._policy.ahead if self._policy.pages is None else self._policy.pages - self._asked - 1
        return min(self._policy.ahead, left)

    async def _spool(self, answer: Answer, reading: Reading) -> None:
        """Make an answer safe; from here its cursor may advance."""
        following = reading.next_cursor if isinstance(reading, PageFound | Unreadable) else None
        page = Page(
            queue=self._queue,
            change_id=answer.cursor,
            next_change_id=following or "",
            fetched_at=answer.received_at,
            body=answer.body,
            http_status=answer.http_status,
            response_ms=answer.response_ms,
            rejected=reading.reason if isinstance(reading, Unreadable) else "",
        )
        if page.rejected:
            self._teller.say(
                Level.ERROR,
                f"the answer for {answer.cursor} is no page, again and again: {page.rejected}",
                f"it is set aside; going on with {page.next_change_id}",
            )
        if self._asker.expects not in (None, page.next_change_id):
            await self._asker.drop()
            self._teller.say(
                Level.WARNING, f"the page names {page.next_change_id}, not what was announced", "requests ahead dropped"
            )
        self._at_end = False
        await self._put(SpooledPage(self._next_seq, page))
        self._hand_over.add(self._next_seq)
        self._next_seq += 1
        self._cursor = page.next_change_id
        self._meter.next_cursor = self._cursor
        self._meter.caught_up = False
        self._meter.measure_spool(self._store.spool_pages, self._store.spool_bytes)

    async def _put(self, spooled: SpooledPage) -> None:
        tries, since = 0, self._clock.now()
        while True:
            began = self._clock.monotonic()
            try:
                await self._store.put(spooled)
                break
            except OSError as error:
                tries += 1
                what = f"the spool cannot be written: {error.strerror or error}"
                await self._teller.retry_pause(what, tries, since, side=Side.SPOOL)
        took = self._clock.monotonic() - began
        if took >= SLOW_DISK_SECONDS:
            self._teller.say(
                Level.WARNING,
                f"the disk took {took:.0f} s to take a page",
                "going on",
                "Move POE_SPOOL_DIR to a faster disk.",
            )
        if tries:
            self._teller.over(Side.SPOOL)

    async def _end_reached(self, answer: Answer) -> bool:
        """True when that was the goal; else the end of the stream has been waited at for a while."""
        await self._asker.drop()
        if self._hand_over and not self._at_end:
            waiting = f"{len(self._hand_over)} pages are on their way into the store"
            self._teller.say(
                Level.INFO, f"the end of the stream is reached; {waiting}", "asking again from time to time"
            )
        self._at_end = True
        if self._policy.until_caught_up:
            await self._hand_over.empty()
        if not self._hand_over:
            await self._confirm_end(answer)
        if self._policy.until_caught_up and self._meter.caught_up:
            return True
        await self._clock.sleep(self._policy.poll_interval)
        return False

    async def _confirm_end(self, answer: Answer) -> None:
        now = self._clock.now()
        if not self._meter.caught_up:
            self._teller.say(
                Level.INFO, f"caught up at {answer.cursor or 'the start'}", "asking again from time to time"
            )
        if now - self._confirmed_at >= CONFIRM_EVERY_SECONDS or not self._meter.caught_up:
            try:
                await self._store.confirm_end(
                    self._next_seq - 1, answer.cursor, http_status=answer.http_status, response_ms=answer.response_ms
                )
            except StoreError as error:
                self._teller.say(
                    Level.WARNING, f"the end of the stream could not be written: {error}", "asking again", error.hint
                )
                return
            self._confirmed_at = now
        self._meter.caught_up = True
        self._meter.state = QueueState.CAUGHT_UP
        self._meter.last_progress_at = now

    async def _wait_for_leave(self) -> None:
        """Until asking is allowed: not paused, and room in the spool."""
        if not self._unpaused.is_set():
            before = self._meter.state
            self._meter.state = QueueState.PAUSED
            self._teller.say(Level.INFO, "paused")
            await self._unpaused.wait()
            self._teller.say(Level.INFO, "going on")
            self._meter.state = before
        if self._spool_has_room():
            return
        self._meter.state = QueueState.SPOOL_FULL
        self._teller.say(Level.WARNING, "the spool is full", "nothing is asked until ClickHouse has taken pages")
        while not self._spool_has_room():
            await self._clock.sleep(1.0)
        self._teller.say(Level.INFO, "the spool has room again")
        self._meter.state = QueueState.HARVESTING
