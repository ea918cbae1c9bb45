"""The watch that guards every other test here."""

from __future__ import annotations

import asyncio
import time

from tests.tui.stall_watch import Instant, StallWatch


def judged(wall: float, computing: float, queueing: float, slowness: float = 1.0) -> bool:
    clocks = iter([Instant(0, 0, 0), Instant(wall, computing, queueing)])
    watch = StallWatch(lambda: next(clocks), lambda: slowness)
    watch.measure(lambda: "a callback", lambda: None)
    return bool(watch.stalls)


def test_blocking_and_computing_count_and_waiting_for_a_processor_does_not() -> None:
    assert judged(wall=0.15, computing=0.01, queueing=0.0)
    assert judged(wall=0.15, computing=0.15, queueing=0.0)
    assert not judged(wall=5.0, computing=0.05, queueing=4.94)
    assert not judged(wall=0.09, computing=0.05, queueing=0.0)


def test_computing_is_judged_by_the_speed_of_the_machine_and_blocking_is_not() -> None:
    assert not judged(wall=0.15, computing=0.15, queueing=0.0, slowness=2.0)
    assert judged(wall=0.15, computing=0.01, queueing=0.0, slowness=2.0)


def test_a_callback_that_sleeps_is_found(stall_watch: StallWatch) -> None:
    async def blocks() -> None:
        time.sleep(0.15)  # the one test that must

    asyncio.run(blocks())

    assert stall_watch.stalls
    assert stall_watch.stalls[0].blocking > 0.1
    stall_watch.stalls.clear()
