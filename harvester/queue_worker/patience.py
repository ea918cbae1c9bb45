"""How long a piece of work has taken, but for the time in which nothing of this process ran.

A process that is stopped (SIGSTOP, a debugger) or a machine that sleeps takes its time from whatever is under way. It
shows by a timer that comes far too late, though the process had nothing to do meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from harvester.clock import Clock

BEAT_SECONDS = 1.0
"""How often work that is waited for is looked at."""
LATE_SECONDS = 1.5
"""A look that comes later than this, without our work being the cause, was not let run."""


class Patience:
    """One piece of work that is waited for; `beat` is called every `BEAT_SECONDS` meanwhile."""

    def __init__(self, clock: Clock, cpu_seconds: Callable[[], float] = time.process_time) -> None:
        """`cpu_seconds`: processor time of this process, which tells a busy process from a stopped one."""
        self._clock = clock
        self._cpu_seconds = cpu_seconds
        self._worked = self._stopped = self._slept = 0.0
        self._beat_at = self._times()

    @property
    def worked(self) -> float:
        """Seconds that the work has had so far; a second in which the process stood still is not counted."""
        return self._with_now()[0]

    @property
    def lost(self) -> str:
        """What took time from it, in words; empty where nothing did."""
        _, stopped, slept = self._with_now()
        if stopped:
            return f"the process was stopped or the machine slept for {max(stopped, slept):.0f} s"
        if slept:
            return f"the machine slept for {slept:.0f} s, or its clock was set forward by them"
        return ""

    def beat(self) -> None:
        """The timer has come."""
        self._worked, self._stopped, self._slept = self._with_now()
        self._beat_at = self._times()

    def _with_now(self) -> tuple[float, float, float]:
        """Seconds worked; lost by the monotonic clock, which may stand still while a machine sleeps; by the wall's."""
        passed, passed_wall, used = (now - then for now, then in zip(self._times(), self._beat_at, strict=True))
        late, late_wall = passed - BEAT_SECONDS, passed_wall - BEAT_SECONDS
        if used > max(late, late_wall) / 2:  # busy, not stopped
            late = late_wall = 0.0
        stopped = late if late > LATE_SECONDS else 0.0
        slept = late_wall if late_wall > LATE_SECONDS else 0.0
        return self._worked + (0.0 if stopped else passed), self._stopped + stopped, self._slept + slept

    def _times(self) -> tuple[float, float, float]:
        return self._clock.monotonic(), self._clock.now(), self._cpu_seconds()
