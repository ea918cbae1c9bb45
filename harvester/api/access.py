"""Everything it takes to ask the API, opened and closed together, on one event loop."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import httpx

from harvester.api.client import ApiClient
from harvester.api.exchange import Recorder, open_http
from harvester.api.oauth import TokenSource
from harvester.api.pacer import PacerSnapshot
from harvester.api.pacer_book import PacerBook
from harvester.api.restrictions import ReadOnlyRestrictions, RestrictionFile
from harvester.api.throttle import Throttle
from harvester.clock import Clock
from harvester.events import Event, EventLog, Level
from harvester.files import create_directory
from harvester.settings import Settings


class ApiAccess:
    """An HTTP client, the pacers and the operator's token, shared by all queues. Use as `async with`."""

    def __init__(
        self,
        settings: Settings,
        *,
        transport: httpx.AsyncBaseTransport | None,
        clock: Clock,
        record: Recorder,
        events: EventLog,
        writes: bool = True,
    ) -> None:
        """`transport` None is the network. Without `writes` restrictions are obeyed, and nothing is kept."""
        if writes:
            create_directory(settings.cursor_dir)
        self._http = open_http(settings.user_agent, settings.request_timeout, transport)
        self._book = PacerBook(
            clock,
            RestrictionFile(settings.cursor_dir) if writes else ReadOnlyRestrictions(settings.cursor_dir),
            warn=lambda text: events.add(Event(clock.now(), Level.WARNING, "", text)),
        )
        self.tokens: TokenSource | None = None
        """None without an OAuth client."""
        if settings.has_oauth_client:
            self.tokens = TokenSource(
                self._http,
                self._book,
                clock,
                record,
                auth_base_url=settings.auth_base_url,
                client_id=settings.oauth_client_id,
                client_secret=settings.client_secret,
                scope=settings.oauth_scope,
                grant_type=settings.oauth_grant_type,
                request_timeout=settings.request_timeout,
            )
        self.client = ApiClient(
            self._http,
            self._book,
            clock,
            record,
            api_base_url=settings.api_base_url,
            request_timeout=settings.request_timeout,
            tokens=self.tokens,
        )

    def pacer_snapshots(self) -> tuple[PacerSnapshot, ...]:
        """What each pacer would do now."""
        return self._book.snapshots()

    def throttles(self) -> tuple[Throttle, ...]:
        """The latest 429s and restrictions, the newest last."""
        return self._book.throttles()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
