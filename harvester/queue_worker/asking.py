"""Asking for the page of a cursor until there is an answer to go on with, however long that takes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

from harvester.api.client import ApiClient
from harvester.api.errors import ApiError, EdgeAnswer, RateLimited, Refused
from harvester.api.oauth import CredentialsRefused
from harvester.backoff import Backoff
from harvester.clock import Clock
from harvester.events import Level
from harvester.feeds.base import EndOfStream, Feed, PageFound, Reading, Unreadable
from harvester.fetch_chain import Answer, FetchChain
from harvester.model import Queue
from harvester.queue_store import QueueStore
from harvester.queue_worker.policy import QueueStopped, WorkerPolicy
from harvester.queue_worker.refusals import RefusalBudget
from harvester.queue_worker.telling import RECOVERY_TOLD_AFTER, Side, Teller
from harvester.snapshot import QueueState, Trouble
from harvester.store.errors import StoreError
from harvester.store.spool import DamagedPage

SAME_ANSWERS_BEFORE_BELIEF = 2
"""Times that a doubtful page must come with the same bytes."""
SAME_ANSWERS_BEFORE_TURNING_BACK = 3
"""The same for a page whose next cursor lies before its own, and for an answer whose doubt only time can settle."""
RUBBISH_BEFORE_GOING_ON = 10
"""Answers that are no page, each with other bytes, before the newest is set aside like one that came twice."""
REFUSAL_BACKOFF = 30.0
"""Seconds at least after a 4xx that is worth another try: each of them counts toward a ban."""
EDGE_BACKOFF_MAXIMUM = 1800.0
_NO_BACKOFF = Backoff(0.0, 0.0, 0.0)
SLOW_ANSWER_SECONDS = 15.0
"""Seconds without an answer that are worth an event."""
LOOK_AGAIN_SECONDS = 5.0
EDGE_TODO = "Wait: it is what stands before the API, not the API. Check POE_CONTACT."
HOW_TO_START = "space in the app, or s on its row"
MEND_TODO = f"Start again: {HOW_TO_START}. A changed .env counts when the program is started anew."
REFUSED_TODO = (
    f"Check that the OAuth client is active and holds the scope in POE_OAUTH_SCOPE, then start again ({HOW_TO_START})."
)
RESTRICTED_TODO = "Nothing; if it comes often, look whether somebody else uses this address or client."


class Asker:
    """The answers for one queue's cursors, read; retries, doubts and refusals are its own."""

    def __init__(
        self,
        queue: Queue,
        feed: Feed,
        api: ApiClient,
        store: QueueStore,
        policy: WorkerPolicy,
        *,
        clock: Clock,
        teller: Teller,
    ) -> None:
        self._feed = feed
        self._chain = FetchChain(queue, feed, api, clock)
        self._store = store
        self._policy = policy
        self._clock = clock
        self._teller = teller
        self._restriction_told = float("-inf")
        self._restricted_since: float | None = None
        self._limited = 0
        self._turned_back = False
        self._budget = RefusalBudget(clock)

    async def remember_refusals(self, refused_before: Sequence[float]) -> None:
        """Take over the refusals of earlier starts, Epoch seconds; waits where asking at once would be a loop."""
        now = self._clock.now()
        if pause := self._budget.remember([now - at for at in refused_before]):
            count = len(refused_before)
            await self._teller.retry_pause(
                f"{count} requests were refused within the hour before this start",
                count,
                min(refused_before),
                backoff=_NO_BACKOFF,
                at_least=pause,
                todo=self._feed.refusal_hint,
            )
            self._teller.dismiss()

    async def next_reading(
        self, cursor: str, *, ahead: Callable[[], int], may_ask: Callable[[], Awaitable[None]]
    ) -> tuple[Answer, Reading]:
        """The next page or end of stream, however long it takes; a hopeless body comes back as it is.

        `may_ask` is awaited before each try; `ahead` says how many requests may run ahead of it.
        """
        tries, since = 0, self._clock.now()
        rejected, same, rubbish = "", 0, 0
        while True:
            await may_ask()
            try:
                answer = await self._answer(cursor, ahead())
            except CredentialsRefused as error:
                raise QueueStopped(str(error), MEND_TODO, misconfigured=True) from error
            except RateLimited as error:
                self._tell_restriction(cursor, f"rate limited: {error}")
                continue
            except ApiError as error:
                self._teller.dismiss(Side.LIMITS)
                self._restricted_since, self._limited = None, 0
                tries += 1
                self._count_refusal(error)
                await self._pause(cursor, error, tries, since)
                continue
            self._teller.over(Side.LIMITS)
            self._restricted_since, self._limited = None, 0
            reading = await self._read(answer)
            checksum = hashlib.sha256(answer.body).hexdigest()
            same = same + 1 if checksum == rejected else 1
            if not isinstance(reading, Unreadable):
                self._budget.answered()
            if isinstance(reading, EndOfStream) and reading.final and same < SAME_ANSWERS_BEFORE_TURNING_BACK:
                rejected = checksum
                tries += 1
                await self._doubt(
                    reading.final, tries, since, reading.settled_after, "the same answer again is believed"
                )
                continue
            if isinstance(reading, PageFound) and (disbelief := await self._disbelief(reading, same)):
                if rejected and same == 1:
                    self._teller.say(
                        Level.WARNING, f"the answer for {self._feed.shown(cursor)} changed between two tries"
                    )
                rejected = checksum
                tries += 1
                doubt = reading.doubt or f"the stream comes to {reading.next_cursor} again"
                await self._doubt(doubt, tries, since, reading.settled_after, disbelief)
                continue
            if not isinstance(reading, Unreadable):
                if isinstance(reading, PageFound) and reading.doubt:
                    self._teller.say(Level.WARNING, f"{same} times the same answer: {reading.doubt}", "it is believed")
                    self._turned_back |= reading.turns_back
                if isinstance(reading, PageFound) and reading.doubt:
                    self._teller.dismiss()
                elif tries:
                    self._teller.over()
                return answer, reading
            following = reading.next_cursor or answer.early_next_cursor
            rubbish += 1
            hopeless = same >= self._feed.tries_of_rubbish or rubbish >= RUBBISH_BEFORE_GOING_ON
            if hopeless and following is not None and following != cursor:
                self._teller.dismiss()
                return answer, Unreadable(reading.reason, following)
            rejected = checksum
            tries += 1
            await self._teller.retry_pause(f"the answer is no page: {reading.reason}", tries, since)

    async def _doubt(self, doubt: str, tries: int, since: float, settled_after: float, disbelief: str) -> None:
        """Wait until a doubtful answer is asked for again: `settled_after` seconds, more at each try."""
        backoff = Backoff(settled_after, 4 * settled_after, self._policy.backoff.jitter) if settled_after else None
        await self._teller.retry_pause(f"doubtful answer: {doubt}", tries, since, backoff=backoff, meanwhile=disbelief)

    async def drop(self) -> None:
        """Cancel everything in flight and wait until it is gone."""
        await self._chain.drop()

    @property
    def expects(self) -> str | None:
        """The cursor of the request that runs ahead; None where none is in flight."""
        return self._chain.expects

    async def _disbelief(self, reading: PageFound, same: int) -> str:
        """Why a page is not followed yet, though it came `same` times with the same bytes; empty where it is."""
        slowly = reading.turns_back or reading.settled_after
        wanted = SAME_ANSWERS_BEFORE_TURNING_BACK if slowly else SAME_ANSWERS_BEFORE_BELIEF
        if reading.doubt and same < wanted:
            return "the same answer again is believed"
        # Forwards, too, a stream that has turned back may come to a page that is stored: then it runs in circles.
        if (reading.turns_back or self._turned_back) and await self._is_known(reading.next_cursor):
            return "that page is stored already: following it would double what is behind it"
        return ""

    async def _is_known(self, cursor: str) -> bool:
        try:
            return await self._store.knows(cursor)
        except (StoreError, DamagedPage):
            return True  # asked again with the page, when the store can tell

    async def _answer(self, cursor: str, ahead: int) -> Answer:
        """The answer for a cursor; what keeps it waiting meanwhile is told."""
        watch = asyncio.create_task(self._watch(cursor))
        try:
            return await self._chain.answer(cursor, ahead=ahead)
        finally:
            watch.cancel()

    async def _watch(self, cursor: str) -> None:
        since = self._clock.now()
        while True:
            if self._tell_restriction(cursor):
                since = self._clock.now()
            elif (waited := self._clock.now() - since) >= SLOW_ANSWER_SECONDS:
                self._tell_slow(cursor, since, waited)
            await self._clock.sleep(LOOK_AGAIN_SECONDS)

    def _tell_restriction(self, cursor: str, refused: str = "") -> bool:
        """A restriction in force is a wait with a cause, whether we were refused just now or it is older than we.

        True while there is one.
        """
        seconds = self._chain.restricted_for(cursor)
        now = self._clock.now()
        until = now + seconds
        if not refused and (seconds < 1 or until < self._restriction_told + 1):
            return seconds >= 1
        self._restriction_told = until
        self._limited += bool(refused)
        since = self._restricted_since = now if self._restricted_since is None else self._restricted_since
        what = refused or "a restriction of the API is in force"
        next_in = self._chain.next_in(cursor, waits=not refused)
        wait = seconds if next_in is None else next_in
        then = f"{'the same page again' if refused else 'asking again'} in {wait:.0f} s"
        if next_in is None:
            then += " or later, as the limits allow"
        told = self._teller.say_repeatedly(
            "limits", Level.WARNING, what, then, RESTRICTED_TODO, since=since, lasts=wait
        )
        if seconds >= 1:
            trouble = Trouble(what, since, self._limited, now + wait, RESTRICTED_TODO)
            worth_an_end = told and now + wait - since >= RECOVERY_TOLD_AFTER
            self._teller.hold(Side.LIMITS, QueueState.RESTRICTED, trouble, told=worth_an_end)
        return True

    def _tell_slow(self, cursor: str, since: float, waited: float) -> None:
        room_in = self._chain.room_in(cursor)
        if room_in >= 1:
            what, then = "the limits of the API leave no room just now", f"asking again in {room_in:.0f} s"
        else:
            what, then = f"no answer of the API for {waited:.0f} s", "waiting for it; a request that hangs is given up"
        self._teller.say_repeatedly(
            "slow answer", Level.INFO, what, then, since=since, lasts=max(room_in, LOOK_AGAIN_SECONDS)
        )

    async def _read(self, answer: Answer) -> Reading:
        reading: list[Reading] = []

        def work() -> bytes:
            reading.append(self._feed.read(answer.cursor, answer.body, answer.http_status))
            return b""

        await self._store.beside(work)
        return reading[0]

    def _count_refusal(self, error: ApiError) -> None:
        if isinstance(error, Refused) and error.status in (401, 403) and self._feed.needs_token:
            raise QueueStopped(
                f"the API refuses us: {error}",
                REFUSED_TODO,
                misconfigured=True,
            )
        if too_many := self._budget.count(error):
            raise QueueStopped(too_many, self._feed.refusal_hint)

    async def _pause(self, cursor: str, error: ApiError, tries: int, since: float) -> None:
        backoff = self._policy.backoff
        at_least = max(error.retry_after or 0.0, self._chain.restricted_for(cursor))
        if 400 <= error.status < 500:
            backoff = Backoff(max(backoff.base, REFUSAL_BACKOFF), EDGE_BACKOFF_MAXIMUM, backoff.jitter)
        elif isinstance(error, EdgeAnswer):
            backoff = Backoff(backoff.base, EDGE_BACKOFF_MAXIMUM, backoff.jitter)
        todo = EDGE_TODO if isinstance(error, EdgeAnswer) else ""
        await self._teller.retry_pause(str(error), tries, since, backoff=backoff, at_least=at_least, todo=todo)
