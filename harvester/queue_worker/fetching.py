"""The first task of a queue: ask, make the page safe on disk, go on with the cursor it names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from harvester.clock import Clock
from harvester.events import Level
from harvester.feeds.base import EndOfStream, Feed, PageFound, Reading, Unreadable
from harvester.fetch_chain import Answer
from harvester.model import Page, Queue, SpooledPage
from harvester.queue_store import QueueStore
from harvester.queue_worker.asking import Asker
from harvester.queue_worker.disk_words import disk_words
from harvester.queue_worker.hand_over import HandOver
from harvester.queue_worker.late_pages import LatePages
from harvester.queue_worker.policy import WorkerPolicy
from harvester.queue_worker.telling import Side, Teller
from harvester.snapshot import QueueState, Trouble
from harvester.store.errors import StoreError, StoreFault
from harvester.telemetry import QueueMeter

CONFIRM_EVERY_SECONDS = 10.0
"""At the end of the stream a checkpoint is written this often at most."""
SPOOL_FULL_TODO = "Bring ClickHouse back; more room (POE_SPOOL_MAX_BYTES) only buys time."
SLOW_DISK_TODO = "Move POE_SPOOL_DIR to a faster disk."
SLOW_DISK_SECONDS = 2.0
"""A page that takes so long to be safe is worth an event."""


class FetchLoop:
    """Walks the stream from a cursor until the goal is met, ahead of the store by what the spool may hold."""

    def __init__(
        self,
        queue: Queue,
        feed: Feed,
        asker: Asker,
        store: QueueStore,
        hand_over: HandOver,
        policy: WorkerPolicy,
        *,
        clock: Clock,
        meter: QueueMeter,
        teller: Teller,
        random: Random,
        spool_has_room: Callable[[], bool],
    ) -> None:
        self._queue = queue
        self._feed = feed
        self._asker = asker
        self._store = store
        self._hand_over = hand_over
        self._policy = policy
        self._clock = clock
        self._meter = meter
        self._teller = teller
        self._spool_has_room = spool_has_room
        self._paused = asyncio.Event()
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._cursor = ""
        self._next_seq = 1
        self._asked = 0
        self._at_end = False
        self._confirmed_at = float("-inf")
        self._end_was_seen = False
        self._late = LatePages(feed, clock, meter, teller, random)

    def pause(self) -> None:
        """Ask nothing more until `resume`."""
        self._unpaused.clear()
        self._paused.set()

    def resume(self) -> None:
        """Go on asking."""
        self._paused.clear()
        self._unpaused.set()

    async def run(self, cursor: str, next_seq: int) -> None:
        """Walk on from `cursor`, whose page gets the place `next_seq`, until the goal is met."""
        self._cursor, self._next_seq = cursor, next_seq
        goal = self._policy.pages
        try:
            while goal is None or self._asked < goal:
                if self._feed.is_done(self._cursor):
                    await self._finish("all that was asked for is fetched")
                    break
                if self._is_early():
                    if await self._end_reached(0, 0.0):
                        break
                    continue
                answer, reading = await self._asker.next_reading(
                    self._cursor, ahead=self._requests_ahead, may_ask=self._wait_for_leave
                )
                if isinstance(reading, EndOfStream):
                    self._end_was_seen = True
                    if reading.final:
                        await self._finish(reading.final)
                        break
                    if await self._passed_over(answer):
                        continue
                    if await self._end_reached(answer.http_status, answer.response_ms):
                        break
                    continue
                self._late.came()
                await self._spool(answer, reading)
                self._asked += 1
                await self._late.slow_down(answer.http_status)
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
                f"the answer for {self._feed.shown(answer.cursor)} is no page, again and again: {page.rejected}",
                f"it is set aside; going on with {self._feed.shown(page.next_change_id)}",
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
        self._meter.behind_hours = self._feed.behind_hours(self._cursor, self._clock.now())
        self._meter.measure_spool(self._store.spool_pages, self._store.spool_bytes)

    async def _put(self, spooled: SpooledPage) -> None:
        tries, since = 0, self._clock.now()
        while True:
            try:
                async with self._teller.patiently(
                    "slow disk", SLOW_DISK_SECONDS, "the disk has been at a page", "waiting for it", SLOW_DISK_TODO
                ) as patience:
                    await self._store.put(spooled)
                break
            except OSError as error:
                tries += 1
                what, todo = disk_words("the spool cannot be written", error, self._store.spool_directory)
                await self._teller.retry_pause(what, tries, since, side=Side.SPOOL, todo=todo)
        if (took := patience.worked) >= SLOW_DISK_SECONDS:
            what = f"the disk took {took:.0f} s to take a page"
            self._teller.say_repeatedly("slow disk", Level.WARNING, what, "going on", SLOW_DISK_TODO, lasts=took)
        if tries:
            self._teller.over(Side.SPOOL)

    def _is_early(self) -> bool:
        """Whether the clock says that there is nothing yet: once the API has agreed with it, it need not be asked."""
        there_at = self._feed.there_at(self._cursor)
        return self._end_was_seen and there_at is not None and self._clock.now() < there_at

    async def _end_reached(self, http_status: int, response_ms: float) -> bool:
        """True when that was the goal; else the end of the stream has been waited at for a while.

        A status of 0 says that the clock knows it, not the API.
        """
        await self._asker.drop()
        there_at = self._feed.there_at(self._cursor)
        then = self._again() if there_at is None else "waiting for the next hour"
        if self._hand_over and not self._at_end:
            waiting = f"{len(self._hand_over)} pages are on their way into the store"
            self._teller.say(Level.INFO, f"the end of the stream is reached; {waiting}", then)
        self._at_end = True
        if self._policy.until_caught_up or there_at is not None:
            await self._hand_over.empty()
        if self._feed.beyond(self._cursor, self._clock.now()):
            self._meter.caught_up = False  # a page is missing, and others are there behind it
        elif not self._hand_over:
            overdue = there_at is not None and self._clock.now() >= there_at
            await self._confirm_end(http_status, response_ms, then, overdue=overdue)
        if self._policy.until_caught_up and self._meter.caught_up:
            return True
        await self._doze(self._pause(there_at))
        return False

    async def _doze(self, seconds: float) -> None:
        """Sleep at the end of the stream; a pause that is asked for meanwhile begins at once, and ends the sleep."""
        sleep = asyncio.create_task(self._clock.sleep(seconds))
        paused = asyncio.create_task(self._paused.wait())
        try:
            await asyncio.wait((sleep, paused), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleep.cancel()
            paused.cancel()
        if self._paused.is_set():
            await self._wait_until_resumed()

    def _pause(self, there_at: float | None) -> float:
        return self._policy.poll_interval if there_at is None else self._late.pause_until(self._cursor, there_at)

    async def _passed_over(self, answer: Answer) -> bool:
        """Go on behind a page that has been missing for long, where the one after it is there."""
        beyond = self._late.due_beyond(self._cursor)
        if not beyond:
            return False
        _, reading = await self._asker.next_reading(beyond, ahead=lambda: 0, may_ask=self._wait_for_leave)
        if not isinstance(reading, PageFound):
            return False
        self._late.leave_out(self._cursor, beyond)
        await self._spool(answer, PageFound(beyond))
        self._asked += 1
        return True

    async def _finish(self, why: str) -> None:
        """The stream has come to its end for good."""
        await self._hand_over.empty()
        self._meter.caught_up = True
        self._meter.behind_hours = 0
        self._teller.say(Level.INFO, f"done: {why}")

    async def _confirm_end(self, http_status: int, response_ms: float, then: str, *, overdue: bool) -> None:
        """Take down that nothing new is there. Where something should be, that is no progress."""
        now = self._clock.now()
        if not self._meter.caught_up:
            self._teller.say(Level.INFO, f"caught up at {self._feed.shown(self._cursor)}", then)
        if not overdue and (now - self._confirmed_at >= CONFIRM_EVERY_SECONDS or not self._meter.caught_up):
            try:
                await self._store.confirm_end(
                    self._next_seq - 1, self._cursor, http_status=http_status, response_ms=response_ms
                )
            except StoreError as error:
                if error.fault in (StoreFault.LEASED, StoreFault.OVERTAKEN):
                    raise  # another harvester may have the queue: asking on would be asking twice
                what = f"the end of the stream could not be written: {error}"
                self._teller.say_repeatedly("end", Level.WARNING, what, self._again(), error.hint)
                return
            self._confirmed_at = now
        self._meter.caught_up = True
        self._teller.stands(QueueState.CAUGHT_UP)
        if not overdue:
            self._meter.last_progress_at = now

    def _again(self) -> str:
        return f"asking again every {self._policy.poll_interval:g} s"

    async def _wait_for_leave(self) -> None:
        """Until asking is allowed: not paused, and room in the spool."""
        if not self._unpaused.is_set():
            await self._wait_until_resumed()
        if not self._spool_has_room():
            await self._wait_for_room()

    async def _wait_until_resumed(self) -> None:
        before, since = self._teller.state, self._clock.now()
        self._teller.stands(QueueState.PAUSED)
        self._teller.say(Level.INFO, "paused", "nothing is asked until it is resumed")
        await self._unpaused.wait()
        self._teller.say(Level.INFO, "resumed", "asking again", since=since)
        self._teller.stands(before)

    async def _wait_for_room(self) -> None:
        what, since = "the spool is full", self._clock.now()
        then = "nothing is asked until ClickHouse has taken pages"
        told = self._teller.say_repeatedly("spool full", Level.WARNING, what, then, SPOOL_FULL_TODO)
        self._teller.hold(Side.SPOOL, QueueState.SPOOL_FULL, Trouble(what, since, 0, None, SPOOL_FULL_TODO))
        while not self._spool_has_room():
            await self._clock.sleep(1.0)
        if told:
            self._teller.say(Level.INFO, "the spool has room again", "asking again", since=since)
        self._teller.over(Side.SPOOL)
