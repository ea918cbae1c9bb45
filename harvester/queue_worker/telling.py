"""Waiting out failures, and saying so: each side of a queue has its own trouble, and each wait its event."""

from __future__ import annotations

from enum import StrEnum
from random import Random

from harvester.backoff import Backoff
from harvester.clock import Clock
from harvester.events import Event, EventLog, Level
from harvester.model import Queue
from harvester.queue_worker.policy import WorkerPolicy
from harvester.snapshot import QueueState, Trouble
from harvester.store.errors import StoreError
from harvester.telemetry import QueueMeter

STORE_BACKOFF_MAXIMUM = 60.0
"""Seconds at most between two tries to reach the store."""


class Side(StrEnum):
    """Where something can go wrong; each is waited out on its own."""

    API = "api"
    SPOOL = "spool"
    STORE = "store"


class Teller:
    """Speaks for one queue: its events, its state, its trouble."""

    def __init__(
        self, queue: Queue, policy: WorkerPolicy, *, clock: Clock, random: Random, meter: QueueMeter, events: EventLog
    ) -> None:
        self._queue = queue
        self._policy = policy
        self._clock = clock
        self._random = random
        self._meter = meter
        self._events = events
        self._troubles: dict[Side, tuple[Trouble, QueueState]] = {}

    def say(self, level: Level, what: str, then: str = "", todo: str = "") -> None:
        """An event of this queue."""
        self._events.add(Event(self._clock.now(), level, self._queue.key, what, then, todo))

    async def retry_pause(
        self,
        what: str,
        tries: int,
        since: float,
        *,
        backoff: Backoff | None = None,
        side: Side = Side.API,
        state: QueueState = QueueState.RETRYING,
        at_least: float = 0.0,
        meanwhile: str = "",
        todo: str = "",
    ) -> None:
        """Say that `what` has failed `tries` times since then, and wait until the next try.

        Without a `backoff` it is the operator's. The wait is `at_least` seconds.
        """
        pause = max(at_least, (backoff or self._policy.backoff).seconds(tries, self._random))
        self.say(
            Level.WARNING,
            what,
            f"try {tries + 1} in {pause:.0f} s" + (f"; {meanwhile}" if meanwhile else ""),
            todo,
        )
        if tries >= self._policy.show_trouble_after or state is QueueState.STORE_LOST:
            self._troubles[side] = Trouble(what, since, tries, self._clock.now() + pause, todo), state
            self._meter.trouble, self._meter.state = self._troubles[side]
        await self._clock.sleep(pause)

    async def store_pause(self, error: StoreError, tries: int, since: float, meanwhile: str) -> None:
        """Wait out a failure of the store."""
        backoff = Backoff(self._policy.backoff.base, STORE_BACKOFF_MAXIMUM, self._policy.backoff.jitter)
        await self.retry_pause(
            f"ClickHouse: {error.fault}: {error}",
            tries,
            since,
            backoff=backoff,
            side=Side.STORE,
            state=QueueState.STORE_LOST,
            meanwhile=meanwhile,
            todo=error.hint,
        )

    def over(self, side: Side = Side.API) -> None:
        """What went wrong on one side is over; what is wrong on another still shows."""
        over = self._troubles.pop(side, None)
        if over is not None:
            self.say(Level.INFO, f"recovered after {_tries(over[0].tries)}: {over[0].what}")
        self._meter.trouble, self._meter.state = next(iter(self._troubles.values()), (None, QueueState.HARVESTING))


def _tries(number: int) -> str:
    return "1 try" if number == 1 else f"{number:,} tries"
