"""When does a server whose windows start anew at fixed times begin the next one? Learned from States."""

from __future__ import annotations

import math

_BELIEVED = 8
"""Expected beginnings in a row of which no State shows anything: then the windows do not start anew after all."""
_HIDDEN = 6
"""Requests just after a beginning, ours included, that may hide it: others send no more in so short a time."""


class ResetPhase:
    """Times are departures of ours: a beginning stands for the departure that would just have met it.

    The smallest latency upstream drops out that way; what a round trip takes beyond the smallest (`late`) stays.
    """

    def __init__(self, period: float) -> None:
        self._period = period
        self._low = self._high = math.nan
        self._silent = 0
        self._last = -math.inf

    @property
    def known(self) -> bool:
        """Whether the server is taken for one that starts anew."""
        return not math.isnan(self._low)

    def seen(self, after: float, by: float) -> None:
        """A window began after the request that left at `after` was counted, and before that of `by` was."""
        self._silent = 0
        if self.known:
            shift = math.floor((by - self._low) / self._period) * self._period
            low, high = max(after, self._low + shift), min(by, self._high + shift)
            if low < high:
                self._low, self._high = low, high
                self._last = self._low
                return
        self._low, self._high = max(after, by - self._period), by
        self._last = self._low

    def begun(self, sent_at: float, late: float, used: int) -> float:
        """From which departure on our requests surely are in the window that counted this one as its `used`-th.

        Where a beginning may have come just now or not yet, a count that others cannot have filled since says: not yet.
        """
        if not self.known:
            return -math.inf
        turns = math.floor((sent_at + late - self._low) / self._period) * self._period
        if self._low + turns > self._last + self._period / 2:
            self._last = self._low + turns
            self._silent += 1
            if self._silent > _BELIEVED:
                self._low = self._high = math.nan
                return -math.inf
        start = self._high + turns
        if start <= sent_at:
            return start
        return sent_at if used <= _HIDDEN else start - self._period
