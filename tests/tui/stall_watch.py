"""Finds what holds the event loop up: every callback is measured, on a machine that may be busy with other things.

Of the time a callback takes, what the thread spent waiting for a processor (the kernel tells) is not its own. What is
left is either computing, judged by the speed this machine has just now, or blocking: sleeping, reading, waiting for a
lock. Nothing may block for `LIMIT_SECONDS`, nor compute for longer than that would be on a quiet machine.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

LIMIT_SECONDS = 0.1
_NOMINAL_SECONDS = 0.002
"""What `_calibrate` takes on a quiet machine of the kind this is developed on."""
_SCHEDSTAT = "/proc/thread-self/schedstat"
_open_files = threading.local()


@dataclass(frozen=True, slots=True)
class Instant:
    """Three clocks of one thread, in seconds."""

    wall: float
    computing: float
    queueing: float
    """Ready to run, with no processor free."""


def read_clocks() -> Instant:
    """The clocks of this thread; without the kernel's help all that is not computing counts as queueing."""
    wall, computing = time.perf_counter(), time.thread_time()
    try:
        queueing = int(os.pread(_schedstat(), 100, 0).split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        queueing = wall - computing
    return Instant(wall, computing, queueing)


def _schedstat() -> int:
    """This thread's file, kept open: it is read twice for every callback of the loop."""
    if not hasattr(_open_files, "schedstat"):
        _open_files.schedstat = os.open(_SCHEDSTAT, os.O_RDONLY | os.O_CLOEXEC)
    return int(_open_files.schedstat)


@dataclass(frozen=True, slots=True)
class Stall:
    """A callback that held the loop up."""

    what: str
    computing: float
    blocking: float


class StallWatch:
    """Judges what callbacks took. `clocks` and `slowness` are given, so that it can be tested itself."""

    def __init__(
        self, clocks: Callable[[], Instant] = read_clocks, slowness: Callable[[], float] | None = None
    ) -> None:
        self._clocks = clocks
        self._slowness = slowness or _slowness
        self.stalls: list[Stall] = []

    def forget_the_beginning(self) -> None:
        """How long it takes until the app stands is measured in `benchmarks`; from here on nothing may hold it up."""
        self.stalls.clear()

    def measure(self, what: Callable[[], str], call: Callable[[], None]) -> None:
        before = self._clocks()
        try:
            call()
        finally:
            after = self._clocks()
            computing = after.computing - before.computing
            blocking = (after.wall - before.wall) - computing - (after.queueing - before.queueing)
            if blocking > LIMIT_SECONDS or (
                computing > LIMIT_SECONDS and computing > LIMIT_SECONDS * max(1.0, self._slowness())
            ):
                self.stalls.append(Stall(what(), computing, blocking))


@contextmanager
def watching(watch: StallWatch) -> Iterator[StallWatch]:
    """Measure every callback of the event loop on this thread meanwhile: that of the app, not that of a harvest."""
    plain, here = asyncio.Handle._run, threading.get_ident()

    def measured(handle: asyncio.Handle) -> None:
        if threading.get_ident() != here:
            plain(handle)
            return
        watch.measure(lambda: repr(handle)[:300], lambda: plain(handle))

    asyncio.Handle._run = measured  # type: ignore[method-assign]
    try:
        yield watch
    finally:
        asyncio.Handle._run = plain  # type: ignore[method-assign]


def _slowness() -> float:
    """How much slower this machine is just now than a quiet one: a processor shared with a busy twin is."""
    before = time.thread_time()
    _calibrate()
    return (time.thread_time() - before) / _NOMINAL_SECONDS


def _calibrate() -> int:
    total = 0
    for number in range(60_000):
        total += number * number % 7
    return total
