"""Waiting, and saying so: each side of a queue has its own trouble, and each wait its words.

What is told: an event at the first times and then at growing intervals, and all the while the trouble in the Snapshot,
with its cause, since when, and when the next try is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from random import Random

from harvester.backoff import Backoff
from harvester.clock import Clock
from harvester.events import Event, EventLog, Level
from harvester.model import Queue
from harvester.queue_worker.patience import BEAT_SECONDS, LATE_SECONDS, Patience
from harvester.queue_worker.policy import QueueStopped, WorkerPolicy
from harvester.queue_worker.repeats import Repeats
from harvester.snapshot import QueueState, Trouble
from harvester.store.errors import StoreError, StoreFault
from harvester.telemetry import QueueMeter

STORE_BACKOFF_MAXIMUM = 60.0
"""Seconds at most between two tries to reach the store."""
LEASE_LOOK_SECONDS = 2.0
"""Seconds at most between two looks whether another harvester has ended."""
LONG_PAUSE_SECONDS = 10.0
"""A pause so long shows from the first try on; shorter ones only where they repeat."""
RECOVERY_TOLD_AFTER = 5.0
"""Seconds that a trouble has cost, where it was told, from which on its end is told too."""
_A_BIT = 1e-3
"""Seconds by which sums of beats may differ from their number."""


class Side(StrEnum):
    """Where something can keep a queue from moving; each is waited out on its own."""

    API = "api"
    LIMITS = "limits"
    SPOOL = "spool"
    STORE = "store"


class Teller:
    """Speaks for one queue: its events, its state, its trouble. Nobody else sets `state` and `trouble` of the meter."""

    def __init__(
        self, queue: Queue, policy: WorkerPolicy, *, clock: Clock, random: Random, meter: QueueMeter, events: EventLog
    ) -> None:
        self._queue = queue
        self._policy = policy
        self._clock = clock
        self._random = random
        self._meter = meter
        self._events = events
        self._repeats = Repeats(clock)
        self._troubles: dict[str, tuple[Trouble, QueueState]] = {}
        self._told: dict[str, Trouble] = {}
        self._state = meter.state
        self._lost_told_at = float("-inf")

    @property
    def state(self) -> QueueState:
        """What the queue does but for its troubles."""
        return self._state

    def stands(self, state: QueueState) -> None:
        """What the queue does; a trouble shows before it, but for a pause that somebody asked for."""
        self._state = state
        self._show()

    def say(self, level: Level, what: str, then: str = "", todo: str = "", since: float | None = None) -> None:
        """An event of this queue."""
        self._events.add(Event(self._clock.now(), level, self._queue.key, what, then, todo, since))

    def say_repeatedly(
        self,
        key: str,
        level: Level,
        what: str,
        then: str = "",
        todo: str = "",
        *,
        since: float | None = None,
        lasts: float = 0.0,
    ) -> bool:
        """An event that may come again and again: told at first, and then at growing intervals. True where it was.

        `lasts`: seconds of the wait that it announces.
        """
        untold = self._repeats.untold_if_worth_saying(key, what, lasts)
        if untold is None:
            return False
        more = f"; {untold} more times since the last line" if untold else ""
        self.say(level, what, f"{then}{more}", todo, since)
        return True

    def hold(self, side: str, state: QueueState, trouble: Trouble, *, told: bool = False) -> None:
        """Show what keeps the queue from moving, until it is `over`; whose beginning was `told`, its end is too."""
        if told or side in self._told:
            self._told[side] = trouble
        self._troubles.pop(side, None)
        self._troubles[side] = trouble, state
        self._show()

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
        then = f"try {tries + 1} in {pause:.0f} s" + (f"; {meanwhile}" if meanwhile else "")
        told = self.say_repeatedly(side, Level.WARNING, what, then, todo, since=since, lasts=pause)
        trouble = Trouble(what, since, tries, self._clock.now() + pause, todo)
        often = tries >= self._policy.show_trouble_after
        # A wait that no line tells of shows at least here.
        if often or pause >= LONG_PAUSE_SECONDS or state is not QueueState.RETRYING or not told:
            self.hold(side, state, trouble, told=told)
        else:
            self._told[side] = trouble
        await self._clock.sleep(pause)

    async def store_pause(self, error: StoreError, tries: int, since: float, meanwhile: str) -> None:
        """Wait out a failure of the store."""
        leased = error.fault is StoreFault.LEASED
        longest = LEASE_LOOK_SECONDS if leased else STORE_BACKOFF_MAXIMUM
        backoff = Backoff(self._policy.backoff.base, longest, self._policy.backoff.jitter)
        await self.retry_pause(
            f"ClickHouse: {error.fault}: {error}",
            tries,
            since,
            backoff=backoff,
            side=Side.STORE,
            state=QueueState.WAITING if leased else QueueState.STORE_LOST,
            meanwhile=meanwhile,
            todo=error.hint,
        )

    def over(self, side: Side = Side.API) -> None:
        """What went wrong on one side is over; what is wrong on another still shows."""
        held, trouble = side in self._troubles, self._told.get(side)
        self.dismiss(side)
        if trouble is None:
            return
        if held or self._clock.now() - trouble.since >= RECOVERY_TOLD_AFTER:
            tries = "1 try" if trouble.tries == 1 else f"{trouble.tries:,} tries"
            after = f" after {tries}" if trouble.tries else ""
            self.say(Level.INFO, f"recovered{after}: {trouble.what}", "going on", "", trouble.since)

    def dismiss(self, side: Side = Side.API) -> None:
        """What was wrong on one side counts no more, though it has not turned out well: nothing is said."""
        self._troubles.pop(side, None)
        self._told.pop(side, None)
        self._show()

    def stopped(self) -> None:
        """The queue has ended; what was wrong at the end stays to be seen, and is not tried again."""
        self._show()
        trouble = self._meter.trouble
        self._troubles.clear()
        self.stands(QueueState.STOPPED)
        self._meter.trouble = replace(trouble, next_try_at=None) if trouble else None

    def failed(self, error: BaseException) -> None:
        """The queue cannot go on; the cause stays in the Snapshot. The event is for whoever ran the queue."""
        self._troubles.clear()
        todo = error.todo if isinstance(error, QueueStopped) else ""
        self.hold(Side.API, QueueState.FAILED, Trouble(str(error), self._clock.now(), 0, None, todo))

    @asynccontextmanager
    async def patiently(self, key: str, after: float, what: str, then: str, todo: str = "") -> AsyncIterator[Patience]:
        """While the block lasts longer than `after` seconds, say and show so: what takes long is no standstill.

        Time in which the whole process stood still is not the block's, and is told for what it is.
        """
        patience = Patience(self._clock)
        watch = asyncio.create_task(self._watch(patience, key, after, what, then, todo))
        try:
            yield patience
        finally:
            watch.cancel()
            self._tell_lost(patience.lost)
            if self._troubles.pop(key, None) is not None:
                self._show()

    def _tell_lost(self, lost: str) -> None:
        """Whatever was under way at the same time lost the same: it is told once."""
        if lost and self._clock.monotonic() - self._lost_told_at > LATE_SECONDS:
            self._lost_told_at = self._clock.monotonic()
            self.say_repeatedly("lost time", Level.WARNING, lost, "going on")

    async def _watch(self, patience: Patience, key: str, after: float, what: str, then: str, todo: str) -> None:
        since = self._clock.now()
        due = after
        while True:
            await self._clock.sleep(BEAT_SECONDS)
            patience.beat()
            if (took := patience.worked) + _A_BIT < due:
                continue
            due += after
            self.hold(key, self._state, Trouble(f"{what} for {took:.0f} s", since, 0, None, todo))
            self.say_repeatedly(key, Level.INFO, f"{what} for {took:.0f} s", then, todo, since=since, lasts=after)

    def _show(self) -> None:
        trouble, state = next(reversed(self._troubles.values()), (None, self._state))
        self._meter.trouble = trouble
        self._meter.state = self._state if self._state is QueueState.PAUSED else state
