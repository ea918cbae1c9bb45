"""One figure over the last minutes, in a ring of equal steps: bounded, and cheap to read once a second."""

from __future__ import annotations

import math

from harvester.clock import Clock
from harvester.snapshot import History

STEP_SECONDS = 5.0
STEPS = 60
MEAN_STEPS = 12
"""Steps of `Tally.per_second`: a minute."""


class _Ring:
    """Values by step of the monotonic clock. Not safe by itself: its owner has one writer or a lock."""

    def __init__(self, clock: Clock, empty: float | None) -> None:
        self._clock = clock
        self._empty = empty
        self._values: list[float | None] = [empty] * (STEPS + 1)
        self._first = self._step = self._now()

    def _now(self) -> int:
        return math.floor(self._clock.monotonic() / STEP_SECONDS)

    def _turn(self) -> int:
        """Go on to the present step; returns its place."""
        now = self._now()
        for step in range(max(self._step + 1, now - STEPS), now + 1):
            self._values[step % len(self._values)] = self._empty
        self._step = max(self._step, now)
        return self._step % len(self._values)

    def _past(self, steps: int) -> list[float | None]:
        """The whole steps behind us, oldest first."""
        self._turn()
        begin = max(self._first, self._step - steps)
        return [self._values[step % len(self._values)] for step in range(begin, self._step)]

    def _history(self, values: tuple[float | None, ...]) -> History:
        ends_at = self._clock.now() - (self._clock.monotonic() - self._step * STEP_SECONDS)
        return History(STEP_SECONDS, round(max(0.0, ends_at), 3), values)


class Tally(_Ring):
    """Counts what happens and gives it per second."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, 0.0)
        self._born = clock.monotonic()

    def add(self, amount: float = 1.0) -> None:
        """It happened now, `amount` times."""
        place = self._turn()
        self._values[place] = (self._values[place] or 0.0) + amount

    def per_second(self) -> float:
        """Mean over the last minute, or since the start where that is younger."""
        amount = sum(value or 0.0 for value in self._past(MEAN_STEPS)) + (self._values[self._turn()] or 0.0)
        now = self._clock.monotonic()
        begin = max(self._born, (self._step - MEAN_STEPS) * STEP_SECONDS)
        return amount / max(1.0, now - begin)

    def history(self) -> History:
        """The whole steps of the last five minutes, per second."""
        return self._history(tuple(round((value or 0.0) / STEP_SECONDS, 3) for value in self._past(STEPS)))


class Gauge(_Ring):
    """Keeps the last value of each step."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, None)

    def set(self, value: float | None) -> None:
        """What it is now."""
        place = self._turn()
        self._values[place] = None if value is None else round(value, 3)

    def history(self) -> History:
        """The whole steps of the last five minutes."""
        return self._history(tuple(self._past(STEPS)))
