"""How many 4xx a queue may bring on itself before it stops: each of them counts toward a ban of the API."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from harvester.api.errors import ApiError, EdgeAnswer, Refused
from harvester.clock import Clock

REFUSALS_BEFORE_STOP = 3
"""Refusals without an answer in between, whatever else fails meanwhile."""
REFUSALS_AN_HOUR = 10
"""Refusals in any hour, whatever succeeds meanwhile."""
EDGE_REFUSALS_AN_HOUR = 20
"""4xx of all kinds in any hour, those of the edge with them; its growing pauses alone bring eight."""
HOUR = 3600.0


class RefusalBudget:
    """What a queue has left. A 429 is no matter of its own: the pacer rules it.

    A start knows of the refusals before it (`remember`), so that one after the other is no loop either.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._in_a_row = 0
        self._refused: deque[float] = deque()
        self._all: deque[float] = deque()

    def remember(self, ages: Sequence[float]) -> float:
        """Take down refusals of earlier starts, each so many seconds old.

        Returns the seconds to wait before the first request: where the hour has had its share, one more is asked for
        only as often as an hour bears it.
        """
        if self._all:
            return 0.0  # a queue that is opened anew: what is remembered here is in the store too
        now = self._clock.monotonic()
        recent = sorted(now - age for age in ages if 0 <= age < HOUR)
        self._refused.extend(recent)
        self._all.extend(recent)
        if len(recent) < REFUSALS_AN_HOUR:
            return 0.0
        return max(0.0, recent[-1] + HOUR / REFUSALS_AN_HOUR - now)

    def answered(self) -> None:
        """A real answer came: what was refused is understood again, but not forgotten."""
        self._in_a_row = 0

    def count(self, error: ApiError) -> str:
        """Take down a failure. Why the queue must stop now, in words; empty where it may go on."""
        limited = error.status == 429 and not isinstance(error, EdgeAnswer)
        if not 400 <= error.status < 500 or limited:
            return ""
        now = self._clock.monotonic()
        if _in_the_hour(self._all, now) >= EDGE_REFUSALS_AN_HOUR:
            return f"{EDGE_REFUSALS_AN_HOUR} requests were refused within an hour, most of them before the API: {error}"
        if not isinstance(error, Refused):
            return ""
        self._in_a_row += 1
        if self._in_a_row >= REFUSALS_BEFORE_STOP:
            return f"the API refused the same request {REFUSALS_BEFORE_STOP} times: {error}"
        if _in_the_hour(self._refused, now) >= REFUSALS_AN_HOUR:
            return f"the API refused {REFUSALS_AN_HOUR} requests within an hour: {error}"
        return ""


def _in_the_hour(times: deque[float], now: float) -> int:
    times.append(now)
    while now - times[0] >= HOUR:
        times.popleft()
    return len(times)
