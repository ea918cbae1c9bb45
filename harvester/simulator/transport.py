"""The simulated API as an httpx transport, in process: waits on the injected clock, obeys timeouts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

import httpx

from harvester.clock import Clock
from harvester.simulator.answers import Ending, SimResponse
from harvester.simulator.api import SimulatedApi

T = TypeVar("T")

FOREVER = 30.0 * 86_400
"""Seconds that a stuck answer waits; whoever asks has left long before."""


class SimulatorTransport(httpx.AsyncBaseTransport):
    """Give it to `httpx.AsyncClient(transport=…)`; every host is the simulated API."""

    def __init__(self, api: SimulatedApi) -> None:
        self._api = api

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        timeout = request.extensions.get("timeout", {}).get("read")
        asked = self._api.handle(
            request.method, request.url.path, request.url.params.multi_items(), dict(request.headers), body
        )
        answer = await _within(timeout, asked, request)
        if answer.status == 0:
            await _fail(self._api.clock, answer.ending, request, timeout=timeout)
        return httpx.Response(
            answer.status,
            headers=[*answer.headers],
            stream=_Body(self._api.clock, answer, timeout, request),
            extensions={"http_version": b"HTTP/1.1"},
            request=request,
        )


class _Body(httpx.AsyncByteStream):
    """A body that arrives piece by piece, and ends as it is meant to."""

    def __init__(self, clock: Clock, answer: SimResponse, timeout: float | None, request: httpx.Request) -> None:
        self._clock = clock
        self._answer = answer
        self._timeout = timeout
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._answer.chunks:
            await _within(self._timeout, self._clock.sleep(chunk.after), self._request)
            yield chunk.data
        await _fail(self._clock, self._answer.ending, self._request, timeout=self._timeout)


async def _within(timeout: float | None, work: Awaitable[T], request: httpx.Request) -> T:
    try:
        async with asyncio.timeout(timeout):
            return await work
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"no data for {timeout} s", request=request) from error


async def _fail(clock: Clock, ending: Ending, request: httpx.Request, *, timeout: float | None) -> None:
    """Do what an unhappy ending does; a happy one returns."""
    if ending is Ending.STUCK:
        await _within(timeout, clock.sleep(FOREVER), request)
    if ending is Ending.NO_ADDRESS:
        raise httpx.ConnectError("[Errno -3] Temporary failure in name resolution", request=request)
    if ending is Ending.NO_CONNECTION:
        raise httpx.ConnectError("[Errno 111] Connection refused", request=request)
    if ending is Ending.RESET:
        raise httpx.ReadError("connection reset by peer", request=request)
    if ending is Ending.CUT:
        raise httpx.RemoteProtocolError("peer closed connection without sending complete message body", request=request)
