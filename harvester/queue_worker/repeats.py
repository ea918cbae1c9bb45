"""When something that goes on and on is worth another line: at once, then at growing intervals. Months fit a log."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field

from harvester.clock import Clock

SAID_EACH = 3
"""The first so many are all told."""
FIRST_INTERVAL = 60.0
LONGEST_INTERVAL = 3_600.0
FORGOTTEN_AFTER = 600.0
"""Seconds without the trouble after which it counts as a new one: what comes and goes is no news each time."""
KINDS_TOLD = 6
"""Different words of the same trouble that are each told once, whatever the interval."""
_FIGURES = re.compile(r"\d+")


@dataclass(slots=True)
class _Course:
    count: int = 0
    untold: int = 0
    said_at: float = 0.0
    ends_at: float = 0.0
    interval: float = FIRST_INTERVAL
    kinds: set[str] = field(default_factory=set)


class Repeats:
    """Keeps count of troubles by key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._courses: dict[Hashable, _Course] = {}

    def untold_if_worth_saying(self, key: Hashable, what: str, lasts: float = 0.0) -> int | None:
        """How many were not told since the last line; None where this one need not be told either.

        `lasts`: seconds for which the wait that follows explains itself.
        """
        now = self._clock.monotonic()
        course = self._courses.get(key)
        if course is None or now - course.ends_at > FORGOTTEN_AFTER:
            course = self._courses[key] = _Course()
        course.count += 1
        course.ends_at = now + lasts
        kind = _FIGURES.sub("#", what)
        new = kind not in course.kinds and len(course.kinds) < KINDS_TOLD
        due = now - course.said_at >= course.interval
        if course.count > SAID_EACH and not new and not due:
            course.untold += 1
            return None
        if course.count > SAID_EACH and due:
            course.interval = min(LONGEST_INTERVAL, 2 * course.interval)
        if new:
            course.kinds.add(kind)
        course.said_at = now
        untold, course.untold = course.untold, 0
        return untold
