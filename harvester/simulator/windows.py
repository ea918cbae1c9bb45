"""Other windows than the sliding one: what a server may do instead, for its documentation does not say."""

from __future__ import annotations

import math
from collections import deque

from harvester.simulator.rules import Limit, SlidingWindow, Window, WindowKind

SHORT_BUCKET = 5.0
LONG_BUCKET = 60.0
"""Seconds; buckets as one author was told: short ones for the short limits, long ones for the long."""


class FixedWindow:
    """Starts anew every `period`, at `phase` past a multiple of it."""

    def __init__(self, limit: Limit, phase: float = 0.0) -> None:
        self._period = limit.period
        self._phase = phase
        self._start = -math.inf
        self._count = 0

    def hit(self, now: float) -> int:
        start = self.since(now)
        if start != self._start:
            self._start, self._count = start, 0
        self._count += 1
        return self._count

    def since(self, now: float) -> float:
        return (now - self._phase) // self._period * self._period + self._phase


class BucketedWindow:
    """Counts whole buckets: a hit counts from its bucket's beginning until the bucket has left the period."""

    def __init__(self, limit: Limit, width: float, phase: float = 0.0) -> None:
        self._period = limit.period
        self._width = width
        self._phase = phase
        self._hits: deque[float] = deque()

    def hit(self, now: float) -> int:
        start = self.since(now)
        while self._hits and self._hits[0] < start:
            self._hits.popleft()
        self._hits.append(now)
        return len(self._hits)

    def since(self, now: float) -> float:
        return (now - self._period - self._phase) // self._width * self._width + self._phase


def sliding() -> WindowKind:
    """Exact windows."""
    return SlidingWindow


def fixed(phase: float = 0.0) -> WindowKind:
    """Windows that start anew at fixed times."""
    return lambda limit: FixedWindow(limit, phase)


def bucketed(width: float | None = None, phase: float = 0.0) -> WindowKind:
    """Windows made of buckets of `width` seconds; without one, as told: 5 s up to a minute's period, 60 s beyond."""

    def kind(limit: Limit) -> Window:
        told = SHORT_BUCKET if limit.period <= 60 else LONG_BUCKET
        return BucketedWindow(limit, min(limit.period, width or told), phase)

    return kind
