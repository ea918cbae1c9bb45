"""Waits for the moment at which the next request of a policy may leave.

One event loop, no threads: callers run several requests at a time, the pacer only decides when each departs.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from harvester.api.pace import BASE_MARGIN, Pace
from harvester.api.throttle import Throttle
from harvester.api.window import Hit
from harvester.clock import Clock
from harvester.model import Count, Epoch, Limits, Rule, Seconds

_INSTANT = 1e-6
"""Seconds that make no difference; keeps rounding of timers from spinning the loop."""

Route = Callable[["Pacer", str, Hit, Limits], "Pacer"]
"""Given the pacer that granted a slot, its caller's name, the hit and the limits that came: who counts it."""


@dataclass(frozen=True, slots=True)
class PacerSnapshot:
    """What a pacer would do now, for the screen and the status rows."""

    name: str
    """The policy's name; before one is known, the endpoint's."""
    policy: str | None
    rules: tuple[Rule, ...]
    """`used` is what we count now, ours and others'."""
    pace_seconds: Seconds
    """Between two requests."""
    next_slot_seconds: Seconds | None
    """Until the next request may leave; None while that depends on an answer still awaited."""
    restricted_until: Epoch | None
    """None without a restriction."""
    margin_seconds: Seconds
    in_flight: Count
    waiting: Count
    """Callers that wait for a slot."""


class Slot:
    """The right to send one request. Ends with `answered`, `failed` or, in every path, `close`."""

    def __init__(self, pacer: Pacer, hit: Hit, name: str) -> None:
        self._pacer = pacer
        self._hit = hit
        self._name = name
        self._over = False

    def sent(self) -> None:
        """The request departs now."""
        if not self._over and self._hit.sent_at is None:
            self._pacer.current.mark_sent(self._hit)

    def answered(self, limits: Limits, status: int, at: float | None = None) -> None:
        """The headers came, at `at` (monotonic seconds, default now)."""
        if not self._over:
            self._over = True
            self._pacer.current.mark_answered(self._hit, self._name, limits, status, at)

    def failed(self) -> None:
        """No answer will come. The request still counts, as late as now."""
        if not self._over:
            self._over = True
            self._pacer.current.mark_failed(self._hit)

    def close(self) -> None:
        """Give back what is not used: an unsent slot is free again, a sent one without answer has failed."""
        if self._over:
            return
        if self._hit.sent_at is not None:
            self.failed()
            return
        self._over = True
        self._pacer.current.withdraw(self._hit)


class Pacer:
    """Paces the requests of one policy."""

    def __init__(
        self,
        clock: Clock,
        *,
        name: str = "",
        policy: str | None = None,
        margin: float = BASE_MARGIN,
        route: Route | None = None,
        settled: Callable[[Pacer], None] | None = None,
        throttled: Callable[[Throttle], None] | None = None,
    ) -> None:
        """`name` stands in for the policy until one is known; `margin` is in seconds.

        `settled` is called with the pacer that counted an answer, after it did; `throttled` with what slowed us down.
        """
        self.name = name
        self.policy = policy
        self.pace = Pace(margin)
        self._clock = clock
        self._route = route
        self._settled = settled
        self._throttled = throttled
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self._waiting = 0
        self._successor: Pacer | None = None

    @property
    def current(self) -> Pacer:
        """This pacer, or the one that it was merged into."""
        pacer = self
        while pacer._successor is not None:
            pacer = pacer._successor
        return pacer

    @property
    def label(self) -> str:
        """The policy's name or what stands in for it."""
        return self.policy or self.name

    async def slot(self, name: str = "") -> Slot:
        """Wait, first come first served, until one more request may leave. Cancelling is safe.

        `name` says who asks (a queue's key); the caller closes the slot in every path.
        """
        pacer = self.current
        pacer._waiting += 1
        try:
            async with pacer._turn:
                while pacer._successor is None:
                    now = self._clock.monotonic()
                    at = pacer.pace.earliest(now)
                    if at <= now + _INSTANT:
                        return Slot(pacer, pacer.pace.grant(now), name)
                    await pacer._pause(at - now)
        finally:
            pacer._waiting -= 1
        return await pacer.current.slot(name)

    def next_slot_at(self) -> float:
        """Monotonic seconds; infinity while it depends on an answer still awaited."""
        return self.current.pace.earliest(self._clock.monotonic())

    def restricted_for(self) -> float:
        """Seconds until the restriction in force ends; 0 without one."""
        return max(0.0, self.current.pace.blocked_until - self._clock.monotonic())

    def snapshot(self) -> PacerSnapshot:
        """The present state, frozen."""
        pacer, now = self.current, self._clock.monotonic()
        wait = pacer.pace.earliest(now) - now
        restricted = pacer.restricted_for()
        return PacerSnapshot(
            name=pacer.label,
            policy=pacer.policy,
            rules=pacer.pace.usage(now),
            pace_seconds=pacer.pace.spacing(now),
            next_slot_seconds=wait if math.isfinite(wait) else None,
            restricted_until=self._clock.now() + restricted if restricted > 0 else None,
            margin_seconds=pacer.pace.margin,
            in_flight=pacer.pace.in_flight,
            waiting=pacer._waiting,
        )

    def merge_into(self, other: Pacer) -> None:
        """Both serve the same policy: `other` goes on with the counts and the waiting callers of both."""
        target = other.current
        if target is self.current:
            return
        target.pace.absorb(self.pace)
        self._successor = target
        self._changed.set()
        target._changed.set()

    # -- for Slot --------------------------------------------------------------------------------------

    def mark_sent(self, hit: Hit) -> None:
        """See `Slot.sent`."""
        self.pace.sent(hit, self._clock.monotonic())

    def mark_answered(self, hit: Hit, name: str, limits: Limits, status: int, at: float | None) -> None:
        """See `Slot.answered`."""
        now = self._clock.monotonic() if at is None else at
        pacer = self._route(self, name, hit, limits) if self._route is not None else self
        if self._route is None and limits.policy is not None:
            self.policy = limits.policy
        before = pacer.pace.spacing(now), pacer.pace.margin, pacer.pace.blocked_until
        pacer.pace.answered(hit, limits, status, now)
        if self._throttled is not None and (status == 429 or pacer.pace.blocked_until > max(before[2], now)):
            self._throttled(pacer._throttle(name, limits, status, now, before))
        pacer._changed.set()
        self._changed.set()
        if pacer._settled is not None:
            pacer._settled(pacer)

    def _throttle(
        self, name: str, limits: Limits, status: int, now: float, before: tuple[float, float, float]
    ) -> Throttle:
        return Throttle(
            at=self._clock.now(),
            policy=self.label,
            queue_key=name,
            http_status=status,
            retry_after=limits.retry_after,
            restricted_seconds=max(0.0, self.pace.blocked_until - now),
            pace_before=before[0],
            pace_after=self.pace.spacing(now),
            margin_before=before[1],
            margin_after=self.pace.margin,
        )

    def mark_failed(self, hit: Hit) -> None:
        """See `Slot.failed`."""
        self.pace.failed(hit, self._clock.monotonic())
        self._changed.set()

    def withdraw(self, hit: Hit) -> None:
        """See `Slot.close`."""
        self.pace.withdraw(hit)
        self._changed.set()

    async def _pause(self, seconds: float) -> None:
        """Until the time is over or something has changed."""
        self._changed.clear()
        try:
            async with asyncio.timeout(seconds if math.isfinite(seconds) else None):
                await self._changed.wait()
        except TimeoutError:
            return
