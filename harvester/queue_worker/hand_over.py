"""What lies between the two tasks of a queue: pages that are safe on disk and not yet in the store."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable


class HandOver:
    """The spooled pages in order. One task adds, the other takes the first, commits it and removes it."""

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()
        self._added_or_closed = asyncio.Event()
        self._emptied = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def start_with(self, sequences: Iterable[int]) -> None:
        """What waits already when the store is opened."""
        self._waiting = deque(sequences)

    def add(self, seq: int) -> None:
        """A page is safe on disk."""
        self._waiting.append(seq)
        self._added_or_closed.set()

    def close(self) -> None:
        """No page comes any more."""
        self._closed = True
        self._added_or_closed.set()

    async def first(self) -> int | None:
        """The next page to commit; None when there is none and none will come."""
        while not self._waiting:
            if self._closed:
                return None
            self._added_or_closed.clear()
            await self._added_or_closed.wait()
        return self._waiting[0]

    def done(self) -> None:
        """The first page is in the store for good."""
        self._waiting.popleft()
        if not self._waiting:
            self._emptied.set()

    async def empty(self) -> None:
        """Wait until every page is in the store."""
        if self._waiting:
            self._emptied.clear()
            await self._emptied.wait()
