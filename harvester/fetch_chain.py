"""Requests of one queue in flight: the next one starts when the headers of the one before it name its cursor."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from harvester.api.client import ApiClient
from harvester.clock import Clock
from harvester.feeds.base import Feed
from harvester.feeds.cursor_order import goes_back
from harvester.model import Queue


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, not yet read."""

    cursor: str
    body: bytes
    http_status: int
    received_at: float
    """Epoch seconds of the last byte."""
    response_ms: float
    early_next_cursor: str | None


@dataclass(slots=True)
class _Fetch:
    cursor: str
    task: asyncio.Task[Answer]
    early: asyncio.Future[str | None] = field(repr=False)


class FetchChain:
    """The answers of a queue in order, a bounded number of requests ahead."""

    def __init__(self, queue: Queue, feed: Feed, api: ApiClient, clock: Clock) -> None:
        self._queue = queue
        self._feed = feed
        self._api = api
        self._clock = clock
        self._fetches: deque[_Fetch] = deque()

    async def answer(self, cursor: str, *, ahead: int) -> Answer:
        """The answer for `cursor`, which is either the front of the chain or starts a new one.

        While it is awaited, requests for the cursors that headers name are started, at most `ahead` of them.
        Raises what the request raises (`harvester.api.errors`); the successors in flight stay.
        """
        if not self._fetches or self._fetches[0].cursor != cursor:
            self._put_in_front(cursor)
        front = self._fetches[0]
        while not front.task.done():
            last = self._fetches[-1]
            room = len(self._fetches) <= ahead
            if room and self._extend(last):
                continue
            waiting: set[asyncio.Future[object]] = {front.task}  # type: ignore[arg-type]
            if room and not last.early.done():
                waiting.add(last.early)  # type: ignore[arg-type]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        self._fetches.popleft()
        return front.task.result()

    def restricted_for(self, cursor: str) -> float:
        """Seconds for which the API has asked us to stay away; 0 where it has not."""
        return self._api.restricted_for(self._feed.request(self._queue, cursor))

    def room_in(self, cursor: str) -> float:
        """Seconds until the limits leave room for another request, where one waits for that; else 0."""
        return self._api.room_in(self._feed.request(self._queue, cursor))

    def next_in(self, cursor: str, *, waits: bool) -> float | None:
        """Seconds until the request may leave; see `ApiClient.next_in`."""
        return self._api.next_in(self._feed.request(self._queue, cursor), waits=waits)

    async def drop(self) -> None:
        """Cancel everything in flight and wait until it is gone."""
        tasks = [fetch.task for fetch in self._fetches]
        self._fetches.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def expects(self) -> str | None:
        """The cursor of the request that follows; None where none is in flight."""
        return self._fetches[0].cursor if self._fetches else None

    def _extend(self, last: _Fetch) -> bool:
        if not last.early.done():
            return False
        following = last.early.result()
        if following is None or following == last.cursor:
            return False
        self._fetches.append(self._start(following))
        return True

    def _put_in_front(self, cursor: str) -> None:
        """A cursor asked for again after a failure goes before its successors."""
        self._fetches.appendleft(self._start(cursor))

    def _start(self, cursor: str) -> _Fetch:
        early: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        return _Fetch(cursor, asyncio.create_task(self._fetch(cursor, early)), early)

    async def _fetch(self, cursor: str, early: asyncio.Future[str | None]) -> Answer:
        try:
            request = self._feed.request(self._queue, cursor)
            accepted = self._feed.accept_statuses
            async with self._api.exchange(request, accept_statuses=accepted, change_id=cursor) as exchange:
                following = self._feed.early_next_cursor(exchange.headers)
                if following is not None and goes_back(cursor, following):
                    following = None
                if not early.done():
                    early.set_result(following)
                body = await exchange.read()
                return Answer(
                    cursor=cursor,
                    body=body,
                    http_status=exchange.status,
                    received_at=self._clock.now(),
                    response_ms=exchange.response_ms,
                    early_next_cursor=following,
                )
        finally:
            if not early.done():
                early.set_result(None)
