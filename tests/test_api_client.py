"""One request, one answer, one record, whatever happens on the way."""

from __future__ import annotations

import asyncio
import gzip
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest
import zstandard

from harvester.api.client import ApiClient, pacing_endpoint
from harvester.api.errors import (
    ApiError,
    BadBody,
    CredentialsRefused,
    EdgeAnswer,
    NetworkFailure,
    RateLimited,
    Refused,
    ServerTrouble,
)
from harvester.api.exchange import open_http
from harvester.api.oauth import TokenSource
from harvester.api.pacer_book import PacerBook
from harvester.clock import VirtualClock, virtual_time
from harvester.model import ApiRequest, Outcome, Queue, RequestRecord

QUEUE = Queue("psapi", "pc")
API = "https://api.example"
SECRET = "s3cr3t-of-the-operator"
TOKEN = "t0ken-of-the-operator"
PAGE = b'{"next_change_id": "1-2", "stashes": []}' * 100
RATE = {
    "X-Rate-Limit-Policy": "p",
    "X-Rate-Limit-Rules": "Ip",
    "X-Rate-Limit-Ip": "2:1:60",
    "X-Rate-Limit-Ip-State": "1:1:0",
}

Reply = Callable[[httpx.Request], Any]


class Body(httpx.AsyncByteStream):
    """Pieces with a pause before each; remembers whether it was closed. An exception among them is raised."""

    def __init__(self, clock: VirtualClock, pieces: list[bytes | Exception], pause: float = 0.0) -> None:
        self.closed = False
        self._clock = clock
        self._pieces = pieces
        self._pause = pause

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await self._clock.sleep(self._pause)
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self.closed = True


class Ready(httpx.AsyncByteStream):
    """A body that is there at once, and left as it is (a ready `content` would be decompressed by the mock)."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


class Bench:
    """A client before a scripted server, in virtual time."""

    def __init__(self, *replies: Any, latency: float = 0.1, **client: Any) -> None:
        self.clock = VirtualClock()
        self.requests: list[httpx.Request] = []
        self.token_requests: list[httpx.Request] = []
        self.records: list[RequestRecord] = []
        self.replies = list(replies)
        self.latency = latency
        self.token_reply: Reply = lambda _request: httpx.Response(200, json={"access_token": TOKEN})
        self.http = open_http("OAuth test/1 (contact: a@b)", 30, httpx.MockTransport(self._answer))
        self.book = PacerBook(self.clock)
        self.tokens = TokenSource(
            self.http,
            self.book,
            self.clock,
            self.records.append,
            auth_base_url="https://auth.example/oauth",
            client_id="client",
            client_secret=lambda: SECRET,
        )
        self.client = ApiClient(
            self.http,
            self.book,
            self.clock,
            self.records.append,
            api_base_url=API,
            request_timeout=client.pop("request_timeout", 30.0),
            tokens=self.tokens,
            **client,
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "auth.example":
            self.token_requests.append(request)
            return self.token_reply(request)
        self.requests.append(request)
        await self.clock.sleep(self.latency)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply(request) if callable(reply) else reply

    @property
    def pages(self) -> list[RequestRecord]:
        """The records without those of the token."""
        return [record for record in self.records if record.endpoint != "oauth/token"]

    async def fetch(self, request: ApiRequest | None = None, **options: Any) -> bytes:
        async with self.client.exchange(request or ask(), **options) as exchange:
            return await exchange.read()

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return virtual_time(main, self.clock)


def ask(url: str = f"{API}/public-stash-tabs", cursor: str = "1-1", *, needs_token: bool = False) -> ApiRequest:
    return ApiRequest(QUEUE, url, (("id", cursor),) if cursor else (), needs_token)


def test_a_page_and_its_record() -> None:
    packed = gzip.compress(PAGE)

    async def main() -> None:
        bench.replies = [
            httpx.Response(
                200,
                headers={**RATE, "Content-Encoding": "gzip", "X-Next-Change-Id": "1-2"},
                stream=Body(bench.clock, [packed[:10], packed[10:]], pause=0.2),
            )
        ]
        async with bench.client.exchange(ask(needs_token=True)) as exchange:
            assert bench.clock.elapsed == pytest.approx(0.1)
            assert exchange.status == 200
            assert exchange.headers["x-next-change-id"] == "1-2"
            assert exchange.limits.policy == "p"
            assert bench.records[-1].endpoint == "oauth/token"
            assert await exchange.read() == PAGE

    bench = Bench()
    bench.run(main())
    (request,) = bench.requests
    assert str(request.url) == f"{API}/public-stash-tabs?id=1-1"
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["user-agent"] == "OAuth test/1 (contact: a@b)"
    assert "gzip" in request.headers["accept-encoding"]
    (record,) = bench.pages
    assert record.requested_at == bench.clock.now() - bench.clock.elapsed
    assert (record.queue_key, record.endpoint, record.change_id) == ("psapi:pc", "/public-stash-tabs", "1-1")
    assert (record.outcome, record.http_status, record.error) == (Outcome.OK, 200, "")
    assert record.headers_ms == pytest.approx(100)
    assert record.response_ms == pytest.approx(500)
    assert (record.wire_bytes, record.body_bytes) == (len(packed), len(PAGE))
    assert record.limits.rules[0].triplets[0].used == 1


def test_no_id_no_query() -> None:
    bench = Bench(httpx.Response(200, content=PAGE))
    bench.run(bench.fetch(ask(cursor="")))
    assert str(bench.requests[0].url) == f"{API}/public-stash-tabs"


def answer(status: int, code: int | None = None, **headers: str) -> httpx.Response:
    body = {"error": {"code": code, "message": "in its\x1b[31m own\n words"}} if code is not None else {}
    return httpx.Response(status, json=body, headers=headers)


HTML = "<html><title>Attention Required!</title>"
REFUSALS: list[tuple[Any, type[ApiError], Outcome, int, int | None, float | None]] = [
    (answer(400, 2), Refused, Outcome.REFUSED, 400, 2, None),
    (answer(401, 8), Refused, Outcome.REFUSED, 401, 8, None),
    (answer(403, 6), Refused, Outcome.REFUSED, 403, 6, None),
    (answer(404, 1), Refused, Outcome.REFUSED, 404, 1, None),
    (httpx.Response(405), Refused, Outcome.REFUSED, 405, None, None),
    (answer(429, 3, **{"Retry-After": "60"}), RateLimited, Outcome.RATE_LIMITED, 429, 3, 60),
    (httpx.Response(429, headers=RATE), RateLimited, Outcome.RATE_LIMITED, 429, None, None),
    (httpx.Response(429), RateLimited, Outcome.RATE_LIMITED, 429, None, None),
    (httpx.Response(429, text="error code: 1015"), EdgeAnswer, Outcome.RATE_LIMITED, 429, None, None),
    (httpx.Response(429, html=HTML), EdgeAnswer, Outcome.RATE_LIMITED, 429, None, None),
    (httpx.Response(403, html=HTML), EdgeAnswer, Outcome.REFUSED, 403, None, None),
    (
        httpx.Response(403, headers={"cf-mitigated": "challenge"}),
        EdgeAnswer,
        Outcome.REFUSED,
        403,
        None,
        None,
    ),
    (answer(500, 4), ServerTrouble, Outcome.SERVER_ERROR, 500, 4, None),
    (answer(503, 7, **{"Retry-After": "30"}), ServerTrouble, Outcome.SERVER_ERROR, 503, 7, 30),
    (httpx.Response(502, html=HTML), EdgeAnswer, Outcome.SERVER_ERROR, 502, None, None),
    (httpx.Response(522, text=""), EdgeAnswer, Outcome.SERVER_ERROR, 522, None, None),
    (
        httpx.Response(302, headers={"Location": "https://elsewhere.example/x"}),
        EdgeAnswer,
        Outcome.SERVER_ERROR,
        302,
        None,
        None,
    ),
    (httpx.Response(500, content=b"[" * 100_000), ServerTrouble, Outcome.SERVER_ERROR, 500, None, None),
    (
        httpx.Response(500, stream=Ready(b"no gzip"), headers={"Content-Encoding": "gzip"}),
        ServerTrouble,
        Outcome.SERVER_ERROR,
        500,
        None,
        None,
    ),
    (httpx.ConnectError("no route"), NetworkFailure, Outcome.NETWORK_ERROR, 0, None, None),
    (httpx.ConnectTimeout(""), NetworkFailure, Outcome.NETWORK_ERROR, 0, None, None),
    (httpx.ReadError("reset"), NetworkFailure, Outcome.NETWORK_ERROR, 0, None, None),
    (OSError("no buffer space"), NetworkFailure, Outcome.NETWORK_ERROR, 0, None, None),
]


@pytest.mark.parametrize(
    ("reply", "kind", "outcome", "status", "code", "retry_after"), REFUSALS, ids=lambda value: str(value)[:40]
)
def test_every_refusal_is_told_apart_and_recorded(
    reply: Any, kind: type[ApiError], outcome: Outcome, status: int, code: int | None, retry_after: float | None
) -> None:
    bench = Bench(reply)
    with pytest.raises(kind) as caught:
        bench.run(bench.fetch())
    error = caught.value
    assert type(error) is kind
    assert (error.outcome, error.status, error.api_code, error.retry_after) == (
        outcome,
        status,
        code,
        retry_after,
    )
    assert error.message.isprintable()
    (record,) = bench.records
    assert (record.outcome, record.http_status, record.error) == (outcome, status, error.message)
    assert len(bench.requests) == 1
    if code is not None:
        assert "own words" in error.message


def test_a_redirect_is_not_followed_and_says_where_to() -> None:
    bench = Bench(httpx.Response(301, headers={"Location": "https://elsewhere.example/x?token=1"}))
    with pytest.raises(EdgeAnswer, match=r"redirected to elsewhere\.example"):
        bench.run(bench.fetch(ask(needs_token=True)))
    assert [request.url.host for request in bench.requests] == ["api.example"]


def test_a_wanted_404_is_handed_out_with_its_body() -> None:
    bench = Bench(httpx.Response(404, content=b'{"next_change_id": 7, "markets": []}'))

    async def main() -> None:
        async with bench.client.exchange(ask(), accept_statuses={404}, change_id="hour 7") as exchange:
            assert exchange.status == 404
            assert b"markets" in await exchange.read()

    bench.run(main())
    assert (bench.records[0].outcome, bench.records[0].change_id) == (Outcome.OK, "hour 7")


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("", PAGE),
        ("identity", PAGE),
        ("gzip", gzip.compress(PAGE)),
        ("gzip", gzip.compress(PAGE[:99]) + gzip.compress(PAGE[99:]) + b"\0\0"),
        ("zstd", zstandard.compress(PAGE)),
        ("zstd", zstandard.compress(PAGE[:99]) + zstandard.compress(PAGE[99:])),
    ],
    ids=["none", "identity", "gzip", "gzip members", "zstd", "zstd frames"],
)
def test_bodies_are_unpacked_in_pieces_of_any_size(encoding: str, body: bytes) -> None:
    for size in (1, 7, 10_000):
        bench = Bench()
        pieces: list[bytes | Exception] = [body[at : at + size] for at in range(0, len(body), size)]
        bench.replies = [httpx.Response(200, headers={"Content-Encoding": encoding}, stream=Body(bench.clock, pieces))]
        assert bench.run(bench.fetch()) == PAGE
        assert bench.records[0].wire_bytes == len(body)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", b"this is no gzip"),
        ("gzip", gzip.compress(PAGE)[:-12]),
        ("gzip", gzip.compress(PAGE) + b"tail"),
        ("gzip", gzip.compress(bytes(3 << 20))),
        ("zstd", b"this is no zstd"),
        ("zstd", zstandard.compress(PAGE)[:-5]),
        ("zstd", zstandard.compress(bytes(3 << 20))),
        ("br", PAGE),
        ("", bytes(3 << 20)),
    ],
    ids=["no gzip", "cut gzip", "gzip tail", "gzip bomb", "no zstd", "cut zstd", "zstd bomb", "brotli", "large"],
)
def test_a_broken_or_too_large_body_is_a_bad_body(encoding: str, body: bytes) -> None:
    bench = Bench(
        httpx.Response(200, headers={"Content-Encoding": encoding}, stream=Ready(body)),
        max_body=1 << 20,
    )
    with pytest.raises(BadBody):
        bench.run(bench.fetch())
    (record,) = bench.records
    assert (record.outcome, record.http_status) == (Outcome.BAD_BODY, 200)
    assert record.error


def test_a_bomb_does_not_fill_the_memory() -> None:
    bench = Bench(
        httpx.Response(
            200,
            headers={"Content-Encoding": "zstd"},
            stream=Ready(zstandard.compress(bytes(1 << 30), 1)),
        ),
        max_body=1 << 20,
    )
    with pytest.raises(BadBody, match="larger"):
        bench.run(bench.fetch())


def test_a_body_shorter_than_announced_is_a_network_failure() -> None:
    bench = Bench()
    bench.replies = [httpx.Response(200, headers={"Content-Length": "100"}, stream=Body(bench.clock, [b"x" * 60]))]
    with pytest.raises(NetworkFailure, match="60 bytes of 100"):
        bench.run(bench.fetch())
    assert bench.records[0].outcome == Outcome.NETWORK_ERROR
    assert bench.records[0].wire_bytes == 60


def test_a_body_that_breaks_off_is_a_network_failure() -> None:
    bench = Bench()
    body = Body(bench.clock, [b"x" * 60, httpx.RemoteProtocolError("peer closed connection")])
    bench.replies = [httpx.Response(200, stream=body)]
    with pytest.raises(NetworkFailure, match="after 60 bytes"):
        bench.run(bench.fetch())
    assert body.closed


def test_headers_that_never_come_time_out() -> None:
    bench = Bench(httpx.Response(200), latency=1e6, request_timeout=20)
    with pytest.raises(NetworkFailure, match="timed out"):
        bench.run(bench.fetch())
    assert bench.clock.elapsed == pytest.approx(30)
    assert bench.records[0].headers_ms == 0
    assert bench.records[0].response_ms == pytest.approx(30_000)


def test_a_body_that_drips_times_out() -> None:
    bench = Bench(request_timeout=20)
    body = Body(bench.clock, [b"x"] * 1_000_000, pause=10)
    bench.replies = [httpx.Response(200, stream=body)]
    with pytest.raises(NetworkFailure, match="timed out"):
        bench.run(bench.fetch())
    assert bench.clock.elapsed == pytest.approx(80.1)
    assert body.closed


@pytest.mark.parametrize("after", [0.05, 5.0])
def test_cancelling_closes_the_connection_and_is_recorded(after: float) -> None:
    """Before the headers, and while the body comes."""
    bench = Bench()
    body = Body(bench.clock, [b"x"] * 1000, pause=1)
    bench.replies = [httpx.Response(200, stream=body)]

    async def main() -> None:
        task = asyncio.create_task(bench.fetch())
        await bench.clock.sleep(after)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    bench.run(main())
    assert bench.clock.elapsed == pytest.approx(after)
    (record,) = bench.records
    assert record.outcome == Outcome.CANCELLED
    assert body.closed == (after > 1)
    assert bench.book.snapshots()[0].in_flight == 0


def test_cancelling_while_waiting_for_the_pacer_leaves_no_record() -> None:
    bench = Bench(httpx.Response(200, content=PAGE))

    async def main() -> None:
        await bench.fetch()
        task = asyncio.create_task(bench.fetch())
        await bench.clock.sleep(0.3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    bench.run(main())
    assert len(bench.records) == 1
    snapshot = bench.book.snapshots()[0]
    assert (snapshot.in_flight, snapshot.waiting) == (0, 0)


def test_an_unread_body_is_abandoned() -> None:
    bench = Bench()
    body = Body(bench.clock, [b"x"] * 1000, pause=1)
    bench.replies = [httpx.Response(200, stream=body)]

    async def main() -> None:
        async with bench.client.exchange(ask()):
            pass

    bench.run(main())
    assert body.closed
    assert bench.records[0].outcome == Outcome.CANCELLED
    assert bench.records[0].wire_bytes == 0


def test_a_fault_of_the_caller_inside_the_block_is_recorded_once() -> None:
    bench = Bench(httpx.Response(200, content=PAGE))

    async def main() -> None:
        async with bench.client.exchange(ask()) as exchange:
            await exchange.read()
            raise KeyError("of the caller")

    with pytest.raises(KeyError):
        bench.run(main())
    assert [record.outcome for record in bench.records] == [Outcome.OK]


def test_the_next_request_leaves_while_this_body_still_comes() -> None:
    bench = Bench()

    def reply(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=RATE, stream=Body(bench.clock, [b"x"] * 10, pause=1))

    bench.replies = [reply]

    async def main() -> list[float]:
        await asyncio.gather(*(bench.fetch() for _ in range(4)))
        return [record.requested_at - bench.records[0].requested_at for record in bench.records]

    sent = bench.run(main())
    assert sent[-1] < 4
    assert bench.clock.elapsed < 15


def test_a_refused_token_is_renewed_once() -> None:
    tokens = iter([TOKEN, "fresh"])
    bench = Bench(answer(401, 8), httpx.Response(200, content=PAGE))
    bench.token_reply = lambda _request: httpx.Response(200, json={"access_token": next(tokens)})
    assert bench.run(bench.fetch(ask(needs_token=True))) == PAGE
    assert [request.headers["authorization"] for request in bench.requests] == [f"Bearer {TOKEN}", "Bearer fresh"]
    assert [record.http_status for record in bench.pages] == [401, 200]
    assert bench.requests[1].url == bench.requests[0].url


def test_a_token_refused_twice_is_a_refusal() -> None:
    bench = Bench(answer(401, 8))
    with pytest.raises(Refused):
        bench.run(bench.fetch(ask(needs_token=True)))
    assert len(bench.requests) == 2
    assert len(bench.token_requests) == 2


def test_refused_credentials_send_nothing_to_the_api() -> None:
    bench = Bench(httpx.Response(200))
    bench.token_reply = lambda _request: httpx.Response(400, json={"error": "invalid_client"})
    with pytest.raises(CredentialsRefused):
        bench.run(bench.fetch(ask(needs_token=True)))
    assert bench.requests == []


@pytest.mark.parametrize(
    "url",
    ["https://web.example/api/x", "http://api.example/x", "https://api.example:8443/x", "https://api.example.evil/x"],
)
def test_the_token_goes_to_the_api_host_only(url: str) -> None:
    bench = Bench(httpx.Response(200, content=PAGE))
    with pytest.raises(ValueError, match=r"api\.example"):
        bench.run(bench.fetch(ask(url, needs_token=True)))
    bench.run(bench.fetch(ask(url)))
    assert [("authorization" in request.headers) for request in bench.requests] == [False]


def test_no_cookie_is_kept_and_no_netrc_is_read(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.example login me password hidden\n")
    monkeypatch.setenv("NETRC", str(netrc))
    bench = Bench(httpx.Response(200, content=PAGE, headers={"Set-Cookie": "a=b; Path=/"}))

    async def main() -> None:
        await bench.fetch()
        await bench.fetch()

    bench.run(main())
    assert len(bench.requests) == 2
    for request in bench.requests:
        assert "cookie" not in request.headers
        assert "authorization" not in request.headers


def test_the_difference_of_the_clocks_is_told() -> None:
    bench = Bench(httpx.Response(200, headers={"Date": "Thu, 01 Jan 2026 00:01:00 GMT"}))

    async def main() -> float | None:
        async with bench.client.exchange(ask()) as exchange:
            return exchange.date_skew

    assert bench.run(main()) == pytest.approx(59.9)


def test_the_pacer_hears_every_answer_and_every_silence() -> None:
    bench = Bench(
        httpx.ConnectError("no route"),
        httpx.Response(429, headers={**RATE, "Retry-After": "60"}),
        httpx.Response(200, headers=RATE),
    )

    async def main() -> None:
        for _ in range(2):
            with pytest.raises(ApiError):
                await bench.fetch()
        await bench.fetch()

    bench.run(main())
    assert bench.records[2].requested_at - bench.records[1].requested_at >= 60
    assert bench.book.snapshots()[0].policy == "p"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("https://api.example/public-stash-tabs", "api.example/public-stash-tabs"),
        ("https://api.example/public-stash-tabs/xbox", "api.example/public-stash-tabs"),
        ("https://u:p@web.example/api/currency-exchange/1", "web.example/api"),
    ],
)
def test_realms_of_a_feed_start_with_one_pacer(url: str, endpoint: str) -> None:
    assert pacing_endpoint(url) == endpoint


def test_no_token_in_anything_that_can_be_read() -> None:
    said = []
    for reply in (
        httpx.Response(400, json={"error": {"code": 2, "message": f"bad header Bearer {TOKEN}"}}),
        httpx.ConnectError(f"Illegal header value b'Bearer {TOKEN}'"),
        httpx.Response(200, stream=Ready(b"x"), headers={"Content-Encoding": "gzip"}),
        httpx.Response(302, headers={"Location": f"https://{TOKEN}.example/"}),
    ):
        bench = Bench(reply)
        try:
            bench.run(bench.fetch(ask(needs_token=True)))
        except ApiError as error:
            said += [str(error), repr(error), error.message, *traceback.format_exception(error)]
        said += [repr(bench.records), repr(bench.client), repr(bench.tokens), repr(bench.book.snapshots())]
    text = "\n".join(said)
    assert "***" in text
    assert TOKEN not in text
    assert SECRET not in text
