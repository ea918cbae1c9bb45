"""When a test may look at the screen: as soon as the event loop has nothing left to do.

Textual's own pilot waits until the whole process computes nothing: twenty milliseconds at least, and up to a second
where an engine is at work on other threads, several times for every key. What the screen shows depends on its loop
alone; what other threads will post is waited for by `driving.until`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

NEAR_SECONDS = 0.012
"""A timer that is due so soon belongs to what is going on: the screen's own, which draws what has changed."""


async def until_the_loop_rests(min_sleep: float = 0.0, max_sleep: float = 1.0) -> None:
    """Wait until nothing is ready to run and no timer is about to; in place of `textual._wait.wait_for_idle`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + max_sleep
    if min_sleep:
        await asyncio.sleep(min_sleep)
    while loop.time() < end:
        await asyncio.sleep(0)
        if loop._ready:  # type: ignore[attr-defined]
            continue
        due = min(
            (timer.when() for timer in loop._scheduled if not timer.cancelled()),  # type: ignore[attr-defined]
            default=float("inf"),
        )
        if due > loop.time() + NEAR_SECONDS:
            return
        await asyncio.sleep(max(0.0, due - loop.time()))


@contextmanager
def quick_pilot() -> Iterator[None]:
    """Let pilots wait for the loop, not for the process."""
    with (
        patch("textual.pilot.wait_for_idle", until_the_loop_rests),
        patch("textual.app.wait_for_idle", until_the_loop_rests),
    ):
        yield
