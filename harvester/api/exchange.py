"""One request and its one answer, recorded exactly once however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from urllib.parse import urlsplit

import httpx

from harvester.api.body import ACCEPT_ENCODING, BodyDecoder, BodyFaultError
from harvester.api.errors import AnswerHead, ApiError, BadBody, EdgeAnswer, NetworkFailure, clean_text, error_for
from harvester.api.pacer import Slot
from harvester.api.rate_limit import date_of, parse_limits
from harvester.clock import Clock
from harvester.model import Limits, Outcome, RequestRecord

CONNECT_TIMEOUT = 10.0
ERROR_BODY_LIMIT = 64 << 10
"""Bytes read of an answer that is an error."""

_UNFOLDED_ERROR_LIMIT = 1 << 20

Recorder = Callable[[RequestRecord], None]

_NO_AUTH = httpx.Auth()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long and how large an answer may be. Seconds and bytes."""

    headers_timeout: float
    """From sending (and connecting) to the last header, and between two pieces of the body."""
    body_timeout: float
    """From the headers to the last byte: ends a body that drips."""
    max_body: int = 64 << 20
    """After decompression."""


@dataclass(frozen=True, slots=True)
class Label:
    """How the request is named in its record."""

    queue_key: str
    endpoint: str
    change_id: str = ""


def open_http(
    user_agent: str, request_timeout: float, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    """The HTTP client of a harvest: keep-alive, no cookies, no redirects, no credentials of its own.

    Proxies of the environment are used; a netrc file is not. The caller closes it.
    """
    return httpx.AsyncClient(
        transport=transport,
        headers={
            "User-Agent": user_agent,
            "Accept": "application/json",
            "Accept-Encoding": ACCEPT_ENCODING,
        },
        timeout=httpx.Timeout(request_timeout, connect=CONNECT_TIMEOUT),
        limits=httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=60.0),
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
    )


class Exchange:
    """After `send`: status, headers and limits; then `read` for the body. `close` in every path."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        request: httpx.Request,
        slot: Slot,
        label: Label,
        *,
        clock: Clock,
        record: Recorder,
        bounds: Bounds,
        accept_statuses: frozenset[int] = frozenset(),
        secrets: tuple[str, ...] = (),
    ) -> None:
        """`secrets` are blotted out of anything a stranger's answer makes us say."""
        self.status = 0
        self.headers = httpx.Headers()
        self.limits = Limits()
        self.date_skew: float | None = None
        """Seconds by which the server's clock is ahead of ours, to about a second; None without a `Date`."""
        self.requested_at = 0.0
        self.headers_ms = 0.0
        """From sending to the last header."""
        self.response_ms = 0.0
        """From sending to the last byte."""
        self._http = http
        self._request = request
        self._slot = slot
        self._label = label
        self._clock = clock
        self._record = record
        self._bounds = bounds
        self._accept = accept_statuses
        self._secrets = tuple(secret for secret in secrets if secret)
        self._response: httpx.Response | None = None
        self._started: float | None = None
        self._recorded = False
        self._wire_bytes = 0
        self._body_bytes = 0

    def __repr__(self) -> str:
        return f"Exchange({self._label.endpoint!r}, status={self.status})"

    async def send(self) -> None:
        """Send and wait for the headers.

        Raises:
            ApiError: no answer, or one that is neither below 300 nor accepted. It is recorded.
        """
        self.requested_at = self._clock.now()
        self._started = self._clock.monotonic()
        self._slot.sent()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT + self._bounds.headers_timeout):
                self._response = await self._http.send(
                    self._request, stream=True, auth=_NO_AUTH, follow_redirects=False
                )
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            self._slot.failed()
            raise await self._fail(NetworkFailure(self._words(error, "no answer"))) from None
        except BaseException:
            self._slot.failed()
            self._finish(Outcome.CANCELLED, "cancelled before an answer came")
            raise
        self._read_head(self._response)
        if self.status >= 300 and self.status not in self._accept:
            raise await self._fail(await self._judge(self._response))

    async def read(self) -> bytes:
        """The whole body, decompressed. Once only.

        Raises:
            NetworkFailure: it broke off, was shorter than announced, or took too long.
            BadBody: it cannot be decompressed or is too large.
            ApiError: the status was accepted, but the body is an error of the API or a page of the edge.
        """
        response = self._response
        if response is None or self._recorded:
            raise RuntimeError("the body can be read once, after send")
        try:
            async with asyncio.timeout(self._bounds.body_timeout):
                body = await self._body(response)
        except BodyFaultError as error:
            raise await self._fail(BadBody(f"HTTP {self.status}: {error}", status=self.status)) from error
        except (TimeoutError, httpx.HTTPError, httpx.StreamError, OSError) as error:
            words = self._words(error, f"the body broke off after {self._wire_bytes:,} bytes")
            raise await self._fail(NetworkFailure(words, status=self.status)) from None
        except BaseException:
            self._finish(Outcome.CANCELLED, "cancelled while the body came")
            raise
        announced = response.headers.get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced) != self._wire_bytes:
            words = f"the body has {self._wire_bytes:,} bytes of {int(announced):,} announced"
            raise await self._fail(NetworkFailure(words, status=self.status))
        said = self._spoken_error(response, body) if self.status >= 300 else None
        if said is not None:
            raise await self._fail(said)
        self._finish(Outcome.OK)
        return body

    async def close(self) -> None:
        """End the exchange. An unread body is abandoned: its connection is closed and that is recorded."""
        self._slot.close()
        self._finish(Outcome.CANCELLED, "the body was not wanted")
        if self._response is not None:
            await self._response.aclose()

    # -- inside ----------------------------------------------------------------------------------------

    def _read_head(self, response: httpx.Response) -> None:
        self.headers_ms = self._elapsed_ms()
        now = self._clock.now()
        self.status = response.status_code
        self.headers = response.headers
        self.limits = parse_limits(response.headers, now=now)
        date = date_of(response.headers.get("date"))
        self.date_skew = None if date is None else date - now
        self._slot.answered(self.limits, self.status)

    async def _body(self, response: httpx.Response) -> bytes:
        decoder = BodyDecoder(response.headers.get("content-encoding", ""), self._bounds.max_body)
        async for chunk in _raw(response):
            self._wire_bytes += len(chunk)
            decoder.feed(chunk)
            self._body_bytes = decoder.size
        return decoder.finish()

    async def _judge(self, response: httpx.Response) -> ApiError:
        """The error of an answer we did not ask for, in its own words where it has some."""
        decoder = BodyDecoder("", 0)
        try:
            async with asyncio.timeout(self._bounds.headers_timeout):
                encoding = response.headers.get("content-encoding", "")
                decoder = BodyDecoder(encoding, _UNFOLDED_ERROR_LIMIT)
                async for chunk in _raw(response):
                    self._wire_bytes += len(chunk)
                    decoder.feed(chunk[:ERROR_BODY_LIMIT])
                    self._body_bytes = decoder.size
                    if self._wire_bytes >= ERROR_BODY_LIMIT:
                        break
        except (BodyFaultError, TimeoutError, httpx.HTTPError, httpx.StreamError, OSError):
            pass  # what came so far, or the status alone, must do
        except BaseException:
            self._finish(Outcome.CANCELLED, "cancelled while the body came")
            raise
        return error_for(self._head_of(response), self._blot_bytes(decoder.so_far()))

    def _spoken_error(self, response: httpx.Response, body: bytes) -> ApiError | None:
        """What an accepted answer says, where it is no answer but an error all the same."""
        error = error_for(self._head_of(response), self._blot_bytes(body[:ERROR_BODY_LIMIT]))
        return error if isinstance(error, EdgeAnswer) or error.api_code is not None else None

    def _head_of(self, response: httpx.Response) -> AnswerHead:
        return AnswerHead(
            status=self.status,
            content_type=response.headers.get("content-type", ""),
            cf_mitigated=clean_text(response.headers.get("cf-mitigated", ""), 60),
            location_host=clean_text(self._blot(_host(response.headers.get("location", ""))), 100),
            limits=self.limits,
        )

    async def _fail(self, error: ApiError) -> ApiError:
        self._finish(error.outcome, error.message)
        if self._response is not None:
            await self._response.aclose()
        return error

    def _finish(self, outcome: Outcome, error: str = "") -> None:
        if self._recorded or self._started is None:
            return
        self._recorded = True
        self.response_ms = self._elapsed_ms()
        self._record(
            RequestRecord(
                requested_at=self.requested_at,
                queue_key=self._label.queue_key,
                endpoint=self._label.endpoint,
                change_id=self._label.change_id,
                outcome=outcome,
                http_status=self.status,
                headers_ms=self.headers_ms,
                response_ms=self.response_ms,
                wire_bytes=self._wire_bytes,
                body_bytes=self._body_bytes,
                limits=self.limits,
                error=error,
            )
        )

    def _elapsed_ms(self) -> float:
        started = self._clock.monotonic() if self._started is None else self._started
        return (self._clock.monotonic() - started) * 1000

    def _words(self, error: Exception, what: str) -> str:
        """An exception of the network stack, in words: never its request, which carries the secrets."""
        if isinstance(error, TimeoutError | httpx.TimeoutException):
            return f"{what}: timed out after {self._elapsed_ms() / 1000:.1f} s"
        said = self._blot(str(error))
        if isinstance(error, httpx.ConnectError):
            return f"{what}: {self._request.url.host} cannot be reached ({said}); is this machine online?"
        return f"{what}: {type(error).__name__}{': ' + said if said else ''}"

    def _blot(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text

    def _blot_bytes(self, text: bytes) -> bytes:
        for secret in self._secrets:
            text = text.replace(secret.encode(), b"***")
        return text


def _raw(response: httpx.Response) -> httpx.AsyncByteStream:
    """The body as transferred, also of a response that a mock transport made of ready bytes."""
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError("an answer without an asynchronous stream")
    return response.stream


def _host(location: str) -> str:
    try:
        return urlsplit(location).hostname or ""
    except ValueError:
        return ""
