"""Asks the API for pages: in the pacer's time, with the token where it belongs, always recorded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx

from harvester.api.errors import Refused
from harvester.api.exchange import Bounds, Exchange, Label, Recorder
from harvester.api.oauth import TokenSource
from harvester.api.pacer_book import PacerBook
from harvester.clock import Clock
from harvester.model import ApiRequest


class ApiClient:
    """One `exchange` is one request and one answer; only a refused token makes it ask a second time."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        book: PacerBook,
        clock: Clock,
        record: Recorder,
        *,
        api_base_url: str,
        request_timeout: float,
        tokens: TokenSource | None = None,
        body_timeout: float | None = None,
        max_body: int = 64 << 20,
    ) -> None:
        """`http` comes from `open_http`; the token goes to the origin of `api_base_url` and nowhere else.

        `request_timeout` (seconds) bounds the wait for headers and for each piece of a body, `body_timeout`
        (default four times that) a whole body, `max_body` its size in bytes after decompression.
        """
        self._http = http
        self._book = book
        self._clock = clock
        self._record = record
        self._api_origin = _origin(api_base_url)
        self._tokens = tokens
        self._bounds = Bounds(
            headers_timeout=request_timeout,
            body_timeout=4 * request_timeout if body_timeout is None else body_timeout,
            max_body=max_body,
        )

    def restricted_for(self, request: ApiRequest) -> float:
        """Seconds until the restriction ends that keeps such a request waiting; 0 without one."""
        seconds = self._book.pacer(request.queue.key, pacing_endpoint(request.url)).restricted_for()
        if request.needs_token and self._tokens is not None:
            seconds = max(seconds, self._tokens.restricted_for())
        return seconds

    def room_in(self, request: ApiRequest) -> float:
        """Seconds until the limits leave room for another request, where one waits for that; else 0."""
        seen = self._book.pacer(request.queue.key, pacing_endpoint(request.url)).snapshot()
        return (seen.next_slot_seconds or 0.0) if seen.waiting else 0.0

    def next_in(self, request: ApiRequest, *, waits: bool) -> float | None:
        """Seconds until such a request may leave: restrictions, limits and pace together.

        None where that is not known: an answer still awaited decides it, or others are before it. `waits` says
        whether it has asked for its turn already.
        """
        seen = self._book.pacer(request.queue.key, pacing_endpoint(request.url)).snapshot()
        if seen.next_slot_seconds is None or seen.waiting > waits:
            return None
        return max(seen.next_slot_seconds, self.restricted_for(request))

    @asynccontextmanager
    async def exchange(
        self, request: ApiRequest, *, accept_statuses: Iterable[int] = (), change_id: str | None = None
    ) -> AsyncIterator[Exchange]:
        """Wait for the pacer, send, and enter the block when the headers are there; `read` gives the body.

        Answers with one of `accept_statuses` are handed out like a success. `change_id` names the cursor in
        the record (default: the `id` parameter). Leaving the block, or cancelling, closes the connection.

        Raises:
            ApiError: see `harvester.api.errors`; `CredentialsRefused` and `TokenUnavailable` where the token
                is the trouble.
            ValueError: a token was asked for, but for another host, or none is configured.
        """
        if request.needs_token and (self._tokens is None or _origin(request.url) != self._api_origin):
            raise ValueError(f"a token is sent to {self._api_origin[1]} only, with an OAuth client configured")
        if change_id is None:
            change_id = dict(request.params).get("id", "")
        exchange = await self._open(request, frozenset(accept_statuses), change_id)
        try:
            yield exchange
        finally:
            await exchange.close()

    async def _open(self, request: ApiRequest, accept: frozenset[int], change_id: str) -> Exchange:
        tokens = self._tokens if request.needs_token else None
        label = Label(request.queue.key, urlsplit(request.url).path, change_id)
        if tokens is not None:
            await tokens.token()  # renewed before a slot is held
        renewed = False
        while True:
            slot = await self._book.slot(request.queue.key, pacing_endpoint(request.url))
            try:
                token = await tokens.token() if tokens is not None else ""
                exchange = Exchange(
                    self._http,
                    self._http.build_request(
                        "GET",
                        request.url,
                        params=dict(request.params) or None,
                        headers={"Authorization": f"Bearer {token}"} if token else None,
                    ),
                    slot,
                    label,
                    clock=self._clock,
                    record=self._record,
                    bounds=self._bounds,
                    accept_statuses=accept,
                    secrets=(token,),
                )
                await exchange.send()
            except Refused as error:
                if tokens is None or error.status != 401 or renewed:
                    raise
                if not tokens.invalidate(token):
                    raise
                renewed = True
            else:
                return exchange
            finally:
                slot.close()


def pacing_endpoint(url: str) -> str:
    """What stands in for a policy that is not known yet: host and first part of the path."""
    parts = urlsplit(url)
    return f"{parts.netloc.rpartition('@')[2]}/{parts.path.strip('/').partition('/')[0]}"


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", parts.port or default
