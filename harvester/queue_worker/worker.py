"""One queue from the opening of its store to its end: two tasks, one asking, one committing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from harvester.api.client import ApiClient
from harvester.clock import Clock
from harvester.events import EventLog, Level
from harvester.feeds.base import Feed
from harvester.model import Queue
from harvester.queue_store import Opened, QueueStore
from harvester.queue_worker.asking import Asker
from harvester.queue_worker.committing import CommitLoop
from harvester.queue_worker.fetching import FetchLoop
from harvester.queue_worker.hand_over import HandOver
from harvester.queue_worker.opening import open_store, tell_standing
from harvester.queue_worker.policy import QueueStopped, WorkerPolicy
from harvester.queue_worker.telling import Teller
from harvester.snapshot import QueueState
from harvester.store.errors import StoreError, StoreFault
from harvester.telemetry import QueueMeter

OPENED_ANEW = "nothing is lost: the queue is opened anew, and goes on from where the store stands"


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
        self._feed = feed
        self._store = store
        self._clock = clock
        self._meter = meter
        self._teller = Teller(queue, policy, clock=clock, random=random, meter=meter, events=events)
        self._hand_over = HandOver()
        self._asker = asker = Asker(queue, feed, api, store, policy, clock=clock, teller=self._teller)
        self._fetch_loop = FetchLoop(
            queue,
            feed,
            asker,
            store,
            self._hand_over,
            policy,
            clock=clock,
            meter=meter,
            teller=self._teller,
            random=random,
            spool_has_room=spool_has_room,
        )
        self._commit_loop = CommitLoop(store, self._hand_over, clock=clock, meter=meter, teller=self._teller)

    async def run(self) -> None:
        """Harvest. On cancellation the page in hand is finished; what is spooled stays for the next start."""
        try:
            while await self._is_overtaken():
                pass
            self._teller.stopped()
        except asyncio.CancelledError:
            self._teller.stopped()
            raise
        except BaseExceptionGroup as group_error:
            stopped = group_error.subgroup(QueueStopped)
            self._teller.failed(stopped.exceptions[0] if stopped else group_error.exceptions[0])
            if stopped is not None:
                raise stopped.exceptions[0] from None
            raise
        except QueueStopped as stop:
            self._teller.failed(stop)
            raise

    async def _is_overtaken(self) -> bool:
        """Harvest to the end; True where another harvester has the queue, which is then opened anew."""
        self._teller.stands(QueueState.RECOVERING)
        opened = await open_store(self._store, self._teller, self._clock)
        cursor = self._stand(opened)
        await self._asker.remember_refusals(opened.refused_before)
        self._teller.stands(QueueState.HARVESTING)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fetch_loop.run(cursor, opened.standing.next_seq))
                group.create_task(self._commit_loop.run())
        except BaseExceptionGroup as failures:
            taken, others = failures.split(_is_taken)
            if taken is None or others is not None:
                raise
            self._teller.say(Level.INFO, f"the lease was not held for a while: {taken.exceptions[0]}", OPENED_ANEW)
            return True
        return False

    def pause(self) -> None:
        """Ask nothing more until `resume`; what is in flight is finished."""
        self._fetch_loop.pause()

    def resume(self) -> None:
        """Go on asking."""
        self._fetch_loop.resume()

    def _stand(self, opened: Opened) -> str:
        """Begin where the store and the spool say; returns the cursor to ask for."""
        now = self._clock.now()
        cursor = tell_standing(opened, self._feed, self._teller, now)
        self._hand_over.start_with(opened.standing.to_commit)
        meter, last = self._meter, opened.last
        if last:
            meter.last_progress_at = last.retrieved_at
            meter.cursor, meter.seq = last.last_cursor_id, last.seq
        meter.next_cursor = cursor
        meter.wakes_at = self._feed.there_at(cursor)
        meter.behind_hours = self._feed.behind_hours(cursor, now)
        meter.measure_spool(self._store.spool_pages, self._store.spool_bytes)
        return cursor


def _is_taken(error: BaseException) -> bool:
    return isinstance(error, StoreError) and error.fault in (StoreFault.LEASED, StoreFault.OVERTAKEN)
