"""Blocking work beside the event loop, as a seam: threads in production, in place under a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class Offload(Protocol):
    """Runs blocking calls one after the other and gives their results to the event loop."""

    async def run(self, work: Callable[[], T]) -> T:
        """The result of `work`, or its exception. Work that has begun is not interrupted by cancellation."""

    def close(self) -> None:
        """Wait for what runs; nothing may be given afterwards."""


class ThreadOffload:
    """One thread of its own: what it owns (a store handle) is used by that thread alone."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)

    def close(self) -> None:
        self._executor.shutdown(wait=True)


class InPlace:
    """Runs the work where it stands; for simulations, whose clock must not move meanwhile."""

    async def run(self, work: Callable[[], T]) -> T:
        return work()

    def close(self) -> None:
        return
