"""The loop of one queue: pace → fetch → spool → commit → checkpoint.

Two tasks share it. The first asks and spools, ahead of the store by what the spool may hold; the second brings spooled
pages into the store, in order. Each waits out its own failures, and says so.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from harvester.api.client import ApiClient
from harvester.api.errors import ApiError, EdgeAnswer, RateLimited, Refused
from harvester.api.oauth import CredentialsRefused
from harvester.backoff import Backoff
from harvester.clock import Clock
from harvester.events import Event, EventLog, Level
from harvester.feeds.base import EndOfStream, Feed, PageFound, Reading, Unreadable
from harvester.fetch_chain import Answer, FetchChain
from harvester.model import Checkpoint, Page, Queue, SpooledPage
from harvester.queue_store import Opened, QueueStore
from harvester.snapshot import QueueState, RecentPage, Trouble
from harvester.store.cursor_file import CursorFileDamaged
from harvester.store.errors import StoreError, StoreFault
from harvester.store.public_stash_layers import PageCounts
from harvester.store.spool import DamagedPage
from harvester.telemetry import QueueMeter

CONFIRM_EVERY_SECONDS = 10.0
"""At the end of the stream a checkpoint is written this often at most."""
REFUSALS_BEFORE_STOP = 3
RUBBISH_BEFORE_GOING_ON = 10
"""Answers that are no page, each with other bytes, before the newest is set aside like one that came twice."""
SLOW_DISK_SECONDS = 2.0
"""A page that takes so long to be safe is worth an event."""
GIVE_UP_AFTER_TRIES = 5
"""Tries of one page that the store refuses for a reason which waiting does not mend."""
REFUSAL_BACKOFF = 30.0
"""Seconds at least after a 4xx that is worth another try: each of them counts toward a ban."""
EDGE_BACKOFF_MAXIMUM = 1800.0
STORE_BACKOFF_MAXIMUM = 60.0

_API, _SPOOL, _STORE = "api", "spool", "store"
"""Where something can go wrong; each is waited out on its own."""


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """What the operator decided about one queue."""

    backoff: Backoff
    show_trouble_after: int
    """Tries before a failure is shown as trouble."""
    poll_interval: float
    """Seconds between requests at the end of the stream."""
    ahead: int = 2
    """Requests in flight or unread beside the one that is awaited."""
    pages: int | None = None
    """Stop after so many pages; None for no such goal."""
    until_caught_up: bool = False
    """Stop when the end of the stream is confirmed and everything is committed."""


class QueueStopped(Exception):  # noqa: N818
    """The queue cannot go on by itself; the message says why, `todo` what helps.

    `misconfigured` says that starting again without a change of the settings leads here again.
    """

    def __init__(self, message: str, todo: str, *, misconfigured: bool = False) -> None:
        super().__init__(message)
        self.todo = todo
        self.misconfigured = misconfigured


class QueueWorker:
    """Harvests one queue until its goal is met, it is cancelled, or it cannot go on (`QueueStopped`)."""

    def __init__(
        self,
        queue: Queue,
        feed: Feed,
        api: ApiClient,
        store: QueueStore,
        policy: WorkerPolicy,
        *,
        clock: Clock,
        random: Random,
        meter: QueueMeter,
        events: EventLog,
        spool_has_room: Callable[[], bool],
    ) -> None:
        """`spool_has_room` speaks for the spools of all queues together."""
        self._queue = queue
        self._feed = feed
        self._chain = FetchChain(queue, feed, api, clock)
        self._store = store
        self._policy = policy
        self._clock = clock
        self._random = random
        self._meter = meter
        self._events = events
        self._spool_has_room = spool_has_room
        self._troubles: dict[str, tuple[Trouble, QueueState]] = {}
        self._to_commit: deque[int] = deque()
        self._spooled_or_done = asyncio.Event()
        self._no_more_pages = False
        self._unpaused = asyncio.Event()
        self._unpaused.set()
        self._cursor = ""
        self._next_seq = 1
        self._asked = 0
        self._at_end = False
        self._restriction_told = float("-inf")
        self._confirmed_at = float("-inf")
        self._all_committed = asyncio.Event()

    async def run(self) -> None:
        """Harvest. On cancellation the page in hand is finished; what is spooled stays for the next start."""
        try:
            await self._open_store()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fetch_until_done())
                group.create_task(self._commit_until_done())
            self._meter.state = QueueState.STOPPED
        except asyncio.CancelledError:
            self._meter.state = QueueState.STOPPED
            raise
        except BaseExceptionGroup as group_error:
            self._meter.state = QueueState.FAILED
            stopped = group_error.subgroup(QueueStopped)
            if stopped is not None:
                raise stopped.exceptions[0] from None
            raise
        except QueueStopped:
            self._meter.state = QueueState.FAILED
            raise

    def pause(self) -> None:
        """Ask nothing more until `resume`; what is in flight is finished."""
        self._unpaused.clear()

    def resume(self) -> None:
        """Go on asking."""
        self._unpaused.set()

    # Opening -----------------------------------------------------------------------------------------------------

    async def _open_store(self) -> None:
        self._meter.state = QueueState.RECOVERING
        tries, since = 0, self._clock.now()
        while True:
            try:
                opened = await self._store.open()
            except (CursorFileDamaged, DamagedPage) as error:
                raise QueueStopped(str(error), "Mend or remove the file, then start again.") from error
            except StoreError as error:
                if not error.retryable:
                    raise QueueStopped(str(error), error.hint) from error
                tries += 1
                await self._store_pause(error, tries, since, "the spool keeps what is there")
            except OSError as error:
                tries += 1
                await self._retry_pause(
                    f"the spool or the cursor file cannot be used: {error.strerror or error}",
                    tries,
                    since,
                    self._policy.backoff,
                    side=_STORE,
                )
            else:
                break
        self._stand(opened)
        self._over(QueueState.HARVESTING, _STORE)

    def _stand(self, opened: Opened) -> None:
        standing, last = opened.standing, opened.last
        for seq in standing.discarded:
            self._say(
                Level.WARNING,
                f"spooled page {seq} does not continue what the store holds",
                "it is discarded; the stream is asked from where the store stands",
            )
        if standing.to_commit:
            self._say(Level.INFO, f"{len(standing.to_commit)} pages wait in the spool", "they are committed first")
        cursor = standing.cursor if standing.cursor is not None else opened.saved_cursor
        in_store = last.next_cursor_id if last else None
        if opened.saved_cursor and standing.cursor and opened.saved_cursor not in (standing.cursor, in_store):
            self._say(
                Level.WARNING,
                f"the cursor file says {opened.saved_cursor}, the store {standing.cursor}",
                "the store is believed",
            )
        self._to_commit = deque(standing.to_commit)
        self._cursor = cursor or ""
        self._next_seq = standing.next_seq
        if last:
            self._meter.last_progress_at = last.retrieved_at
            self._meter.cursor, self._meter.seq = last.last_cursor_id, last.seq
        self._meter.next_cursor = self._cursor
        self._measure_spool()
        place = f"from {self._cursor}" if self._cursor else "from the start of the stream"
        self._say(Level.INFO, f"harvesting {place}")

    # Fetching ----------------------------------------------------------------------------------------------------

    async def _fetch_until_done(self) -> None:
        goal = self._policy.pages
        try:
            while goal is None or self._asked < goal:
                await self._wait_for_leave()
                answer, reading = await self._next_reading()
                if isinstance(reading, EndOfStream):
                    if await self._end_reached(answer):
                        break
                    continue
                await self._spool(answer, reading)
                self._asked += 1
        finally:
            await self._chain.drop()
        self._no_more_pages = True
        self._spooled_or_done.set()

    async def _next_reading(self) -> tuple[Answer, Reading]:
        """The next page or end of stream, however long it takes; a hopeless body comes back as it is."""
        tries, refusals, since = 0, 0, self._clock.now()
        rejected, rubbish = "", 0
        while True:
            await self._wait_for_leave()
            try:
                answer = await self._answer()
            except CredentialsRefused as error:
                raise QueueStopped(str(error), "Mend the settings, then start again.", misconfigured=True) from error
            except RateLimited as error:
                self._tell_restriction(f"rate limited: {error}")
                continue
            except ApiError as error:
                tries += 1
                refusals = self._count_refusal(error, refusals)
                await self._api_pause(error, tries, since)
                continue
            reading = await self._read(answer)
            checksum = hashlib.sha256(answer.body).hexdigest()
            if isinstance(reading, PageFound) and reading.doubt and checksum != rejected:
                rejected = checksum
                tries += 1
                await self._retry_pause(
                    f"doubtful answer: {reading.doubt}",
                    tries,
                    since,
                    self._policy.backoff,
                    meanwhile="the same answer again is believed",
                )
                continue
            if not isinstance(reading, Unreadable):
                if isinstance(reading, PageFound) and reading.doubt:
                    self._say(Level.WARNING, f"twice the same answer: {reading.doubt}", "it is believed")
                if tries:
                    self._over(QueueState.HARVESTING)
                return answer, reading
            following = reading.next_cursor or answer.early_next_cursor
            rubbish += 1
            hopeless = checksum == rejected or rubbish >= RUBBISH_BEFORE_GOING_ON
            if hopeless and following is not None and following != self._cursor:
                self._over(QueueState.HARVESTING)
                return answer, Unreadable(reading.reason, following)
            rejected = checksum
            tries += 1
            await self._retry_pause(f"the answer is no page: {reading.reason}", tries, since, self._policy.backoff)

    async def _answer(self) -> Answer:
        """The answer for the cursor in hand; a restriction that keeps it waiting meanwhile is told."""
        watch = asyncio.create_task(self._watch_restriction())
        try:
            return await self._chain.answer(self._cursor, ahead=self._requests_ahead())
        finally:
            watch.cancel()

    async def _watch_restriction(self) -> None:
        while True:
            self._tell_restriction()
            await self._clock.sleep(5.0)

    def _tell_restriction(self, refused: str = "") -> None:
        """A restriction in force is a wait with a cause, whether we were refused just now or it is older than we."""
        seconds = self._chain.restricted_for(self._cursor)
        until = self._clock.now() + seconds
        if not refused and (seconds < 1 or until < self._restriction_told + 1):
            return
        self._restriction_told = until
        then = f"the same page again in {seconds:.0f} s" if refused else f"asking again in {seconds:.0f} s"
        self._say(Level.WARNING, refused or "a restriction of the API is in force", then)

    async def _read(self, answer: Answer) -> Reading:
        reading: list[Reading] = []

        def work() -> bytes:
            reading.append(self._feed.read(answer.cursor, answer.body))
            return b""

        await self._store.beside(work)
        return reading[0]

    def _requests_ahead(self) -> int:
        if not self._spool_has_room() or not self._unpaused.is_set():
            return 0
        left = self._policy.ahead if self._policy.pages is None else self._policy.pages - self._asked - 1
        return min(self._policy.ahead, left)

    def _count_refusal(self, error: ApiError, refusals: int) -> int:
        if not isinstance(error, Refused):
            return 0
        if error.status in (401, 403):
            raise QueueStopped(
                f"the API refuses us: {error}",
                "Check that the OAuth client is active and holds the scope in POE_OAUTH_SCOPE.",
                misconfigured=True,
            )
        if refusals + 1 >= REFUSALS_BEFORE_STOP:
            raise QueueStopped(
                f"the API refused the same request {REFUSALS_BEFORE_STOP} times: {error}",
                "Check the cursor and POE_STASH_API_PATH; more of this would get us banned.",
            )
        return refusals + 1

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
            self._say(
                Level.ERROR,
                f"the answer for {answer.cursor} is no page, again and again: {page.rejected}",
                f"it is set aside with its bytes; going on with {page.next_change_id}",
            )
        if self._chain.expects not in (None, page.next_change_id):
            await self._chain.drop()
            self._say(
                Level.WARNING, f"the page names {page.next_change_id}, not what was announced", "requests ahead dropped"
            )
        seq = self._next_seq
        tries, since = 0, self._clock.now()
        self._at_end = False
        while True:
            try:
                began = self._clock.monotonic()
                await self._store.put(SpooledPage(seq, page))
                took = self._clock.monotonic() - began
                if took >= SLOW_DISK_SECONDS:
                    self._say(
                        Level.WARNING,
                        f"the disk took {took:.0f} s to take a page",
                        "going on",
                        "Move POE_SPOOL_DIR to a faster disk.",
                    )
                break
            except OSError as error:
                tries += 1
                await self._retry_pause(
                    f"the spool cannot be written: {error.strerror or error}",
                    tries,
                    since,
                    self._policy.backoff,
                    side=_SPOOL,
                )
        if tries:
            self._over(QueueState.HARVESTING, _SPOOL)
        self._next_seq = seq + 1
        self._cursor = page.next_change_id
        self._meter.next_cursor = self._cursor
        self._meter.caught_up = False
        self._to_commit.append(seq)
        self._measure_spool()
        self._spooled_or_done.set()

    async def _end_reached(self, answer: Answer) -> bool:
        """True when that was the goal; else the end of the stream has been waited at for a while."""
        await self._chain.drop()
        if self._to_commit and not self._at_end:
            waiting = f"{len(self._to_commit)} pages are on their way into the store"
            self._say(Level.INFO, f"the end of the stream is reached; {waiting}", "asking again from time to time")
        self._at_end = True
        if self._policy.until_caught_up and self._to_commit:
            self._all_committed.clear()
            await self._all_committed.wait()
        if not self._to_commit:
            await self._confirm_end(answer)
        if self._policy.until_caught_up and self._meter.caught_up:
            return True
        await self._clock.sleep(self._policy.poll_interval)
        return False

    async def _confirm_end(self, answer: Answer) -> None:
        now = self._clock.now()
        if not self._meter.caught_up:
            self._say(Level.INFO, f"caught up at {answer.cursor or 'the start'}", "asking again from time to time")
        if now - self._confirmed_at >= CONFIRM_EVERY_SECONDS or not self._meter.caught_up:
            try:
                await self._store.confirm_end(
                    self._next_seq - 1, answer.cursor, http_status=answer.http_status, response_ms=answer.response_ms
                )
            except StoreError as error:
                self._say(
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
            self._say(Level.INFO, "paused")
            await self._unpaused.wait()
            self._say(Level.INFO, "going on")
            self._meter.state = before
        if self._spool_has_room():
            return
        self._meter.state = QueueState.SPOOL_FULL
        self._say(Level.WARNING, "the spool is full", "nothing is asked until ClickHouse has taken pages")
        while not self._spool_has_room():
            await self._clock.sleep(1.0)
        self._say(Level.INFO, "the spool has room again")
        self._meter.state = QueueState.HARVESTING

    # Committing --------------------------------------------------------------------------------------------------

    async def _commit_until_done(self) -> None:
        while True:
            while not self._to_commit:
                if self._no_more_pages:
                    return
                self._spooled_or_done.clear()
                await self._spooled_or_done.wait()
            await self._commit(self._to_commit[0])
            self._to_commit.popleft()
            if not self._to_commit:
                self._all_committed.set()

    async def _commit(self, seq: int) -> None:
        tries, refusals, hopeless, since = 0, 0, "", self._clock.now()
        while True:
            work = asyncio.ensure_future(self._bring(seq, hopeless))
            try:
                checkpoint, counts = await asyncio.shield(work)
                break
            except asyncio.CancelledError:
                await asyncio.wait({work})
                raise
            except DamagedPage as error:
                raise QueueStopped(
                    f"a spooled page is damaged: {error}", "Remove the file; the stream is asked from there again."
                ) from error
            except StoreError as error:
                tries += 1
                refusals += _is_about_the_page(error)
                if refusals >= GIVE_UP_AFTER_TRIES and not hopeless:
                    hopeless = str(error)
                    self._say(Level.ERROR, f"page {seq} cannot be stored: {error}", "it is set aside with its bytes")
                    continue
                await self._store_pause(error, tries, since, "pages collect in the spool")
            except OSError as error:
                tries += 1
                await self._retry_pause(
                    f"the cursor file or spool cannot be written: {error.strerror or error}",
                    tries,
                    since,
                    self._policy.backoff,
                    side=_STORE,
                )
        if tries:
            self._over(QueueState.HARVESTING, _STORE)
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
        meter.committed(page, whole=not hopeless)
        if meter.state is QueueState.CAUGHT_UP and not meter.caught_up:
            meter.state = QueueState.HARVESTING
        if counts.set_aside and not hopeless:
            self._say(Level.WARNING, f"{counts.set_aside} records of page {seq} were set aside as dead letters")
        self._measure_spool()

    async def _bring(self, seq: int, hopeless: str) -> tuple[Checkpoint, PageCounts]:
        """A page into the store; a `hopeless` one among the dead letters, with that as the reason."""
        if not hopeless:
            return await self._store.commit(seq)
        return await self._store.give_up(seq, hopeless), PageCounts(0, 0, 1, 0)

    # Waiting -----------------------------------------------------------------------------------------------------

    async def _api_pause(self, error: ApiError, tries: int, since: float) -> None:
        backoff = self._policy.backoff
        at_least = max(error.retry_after or 0.0, self._chain.restricted_for(self._cursor))
        if 400 <= error.status < 500:
            backoff = Backoff(max(backoff.base, REFUSAL_BACKOFF), EDGE_BACKOFF_MAXIMUM, backoff.jitter)
        elif isinstance(error, EdgeAnswer):
            backoff = Backoff(backoff.base, EDGE_BACKOFF_MAXIMUM, backoff.jitter)
        await self._retry_pause(str(error), tries, since, backoff, at_least=at_least)

    async def _store_pause(self, error: StoreError, tries: int, since: float, meanwhile: str) -> None:
        backoff = Backoff(self._policy.backoff.base, STORE_BACKOFF_MAXIMUM, self._policy.backoff.jitter)
        await self._retry_pause(
            f"ClickHouse: {error.fault}: {error}",
            tries,
            since,
            backoff,
            side=_STORE,
            state=QueueState.STORE_LOST,
            meanwhile=meanwhile,
            todo=error.hint,
        )

    async def _retry_pause(
        self,
        what: str,
        tries: int,
        since: float,
        backoff: Backoff,
        *,
        side: str = _API,
        state: QueueState = QueueState.RETRYING,
        at_least: float = 0.0,
        meanwhile: str = "",
        todo: str = "",
    ) -> None:
        pause = max(at_least, backoff.seconds(tries, self._random))
        self._say(
            Level.WARNING,
            what,
            f"try {tries + 1} in {pause:.0f} s" + (f"; {meanwhile}" if meanwhile else ""),
            todo,
        )
        if tries >= self._policy.show_trouble_after or state is QueueState.STORE_LOST:
            self._troubles[side] = Trouble(what, since, tries, self._clock.now() + pause, todo), state
            self._meter.trouble, self._meter.state = self._troubles[side]
        await self._clock.sleep(pause)

    def _over(self, state: QueueState, side: str = _API) -> None:
        """What went wrong on one side is over; what is wrong on another still shows."""
        over = self._troubles.pop(side, None)
        if over is not None:
            self._say(Level.INFO, f"recovered after {over[0].tries} tries: {over[0].what}")
        self._meter.trouble, self._meter.state = next(iter(self._troubles.values()), (None, state))

    def _measure_spool(self) -> None:
        self._meter.measure_spool(self._store.spool_pages, self._store.spool_bytes)

    def _say(self, level: Level, what: str, then: str = "", todo: str = "") -> None:
        self._events.add(Event(self._clock.now(), level, self._queue.key, what, then, todo))


def _is_about_the_page(error: StoreError) -> bool:
    """Whether another page could fare better: not where the schema, the rights or the credentials are wrong."""
    return error.fault in (StoreFault.PROOF, StoreFault.DATA)
