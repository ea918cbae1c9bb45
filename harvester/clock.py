"""Time as a seam: everything that waits or measures takes a `Clock`.

`SystemClock` is the wall. `virtual_time` runs a coroutine on an event loop whose time jumps to the next
timer whenever nothing is ready, so that a month of harvest takes seconds and no test sleeps.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Clock(Protocol):
    """What waits and measures needs of time. All values are in seconds."""

    def now(self) -> float:
        """Seconds since the Unix epoch, UTC: what is written down."""

    def monotonic(self) -> float:
        """Seconds that never go back: what intervals are measured with."""

    async def sleep(self, seconds: float) -> None:
        """Wait; cancellation ends it at once."""


class SystemClock:
    """The time of this machine."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class VirtualClock:
    """The time of a `virtual_time` run: it starts at `start` and moves only when the program waits.

    Asyncio's own timers (`asyncio.timeout`, `wait_for`) follow it too, for they ask the same event loop.
    """

    def __init__(self, start: float = 1_767_225_600.0) -> None:
        self._start = start
        self.elapsed = 0.0

    def now(self) -> float:
        return self._start + self.elapsed

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: where the loop would block for a timer, the clock jumps to it."""

    clock: VirtualClock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("virtual time: every task waits for something that no timer will bring")
        self.clock.elapsed += max(0.0, timeout)
        return super().select(0)


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._virtual_clock = clock
        selector = _JumpingSelector()
        selector.clock = clock
        super().__init__(selector)
        # Timers closer than this count as due; finer than the clock can count after years, the loop would spin.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        return self._virtual_clock.elapsed


def virtual_time(main: Coroutine[Any, Any, T], clock: VirtualClock) -> T:
    """Run `main` to its end in virtual time.

    Work in other threads is not waited for: whoever simulates runs blocking calls in place.
    A program in which every task waits for something no timer brings raises `RuntimeError` instead of hanging.
    """
    with asyncio.Runner(loop_factory=lambda: _VirtualTimeLoop(clock)) as runner:
        return runner.run(main)


def utc(epoch_seconds: float) -> datetime:
    """Epoch seconds as an aware UTC datetime, cut to the milliseconds that the tables keep."""
    milliseconds = round(epoch_seconds * 1000)
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
