"""One queue from the opening of its store to its end: two tasks, one asking, one committing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from harvester.api.client import ApiClient
from harvester.clock import Clock
from harvester.events import EventLog
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
from harvester.telemetry import QueueMeter


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
        self._store = store
        self._clock = clock
        self._meter = meter
        self._teller = Teller(queue, policy, clock=clock, random=random, meter=meter, events=events)
        self._hand_over = HandOver()
        asker = Asker(queue, feed, api, store, policy, clock=clock, teller=self._teller)
        self._fetch_loop = FetchLoop(
            queue,
            asker,
            store,
            self._hand_over,
            policy,
            clock=clock,
            meter=meter,
            teller=self._teller,
            spool_has_room=spool_has_room,
        )
        self._commit_loop = CommitLoop(store, self._hand_over, clock=clock, meter=meter, teller=self._teller)

    async def run(self) -> None:
        """Harvest. On cancellation the page in hand is finished; what is spooled stays for the next start."""
        try:
            self._meter.state = QueueState.RECOVERING
            opened = await open_store(self._store, self._teller, self._clock)
            cursor = self._stand(opened)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fetch_loop.run(cursor, opened.standing.next_seq))
                group.create_task(self._commit_loop.run())
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
        self._fetch_loop.pause()

    def resume(self) -> None:
        """Go on asking."""
        self._fetch_loop.resume()

    def _stand(self, opened: Opened) -> str:
        """Begin where the store and the spool say; returns the cursor to ask for."""
        cursor = tell_standing(opened, self._teller)
        self._hand_over.start_with(opened.standing.to_commit)
        meter, last = self._meter, opened.last
        if last:
            meter.last_progress_at = last.retrieved_at
            meter.cursor, meter.seq = last.last_cursor_id, last.seq
        meter.next_cursor = cursor
        meter.measure_spool(self._store.spool_pages, self._store.spool_bytes)
        return cursor
