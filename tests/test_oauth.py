"""The token: one request for all who ask, renewed when refused, and no secret anywhere it could be read."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from harvester.api.errors import ApiError, CredentialsRefused, TokenUnavailable
from harvester.api.exchange import open_http
from harvester.api.oauth import TokenSource
from harvester.api.pacer_book import PacerBook
from harvester.clock import VirtualClock, virtual_time
from harvester.model import Outcome, RequestRecord

SECRET = "s3cr3t-of-the-operator"
TOKEN = "t0ken-of-the-operator"

Answer = Callable[[httpx.Request], httpx.Response]


def granted(**more: Any) -> httpx.Response:
    answer = {"access_token": TOKEN, "expires_in": None, "token_type": "bearer", "scope": "service:psapi"}
    return httpx.Response(200, json={**answer, **more})


class Bench:
    """A token source before a scripted endpoint, in virtual time."""

    def __init__(self, *answers: httpx.Response | Exception | Answer, latency: float = 0.1) -> None:
        self.clock = VirtualClock()
        self.requests: list[httpx.Request] = []
        self.records: list[RequestRecord] = []
        self.secret = SECRET
        self._answers = list(answers)
        self._latency = latency
        self.http = open_http("OAuth test/1 (contact: a@b)", 30, httpx.MockTransport(self._answer))
        self.source = TokenSource(
            self.http,
            PacerBook(self.clock),
            self.clock,
            self.records.append,
            auth_base_url="https://auth.example/oauth",
            client_id="client",
            client_secret=lambda: self.secret,
        )

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await self.clock.sleep(self._latency)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer

    def run(self, main: Coroutine[Any, Any, Any]) -> Any:
        return virtual_time(main, self.clock)


def test_the_request_is_the_one_the_api_documents() -> None:
    bench = Bench(granted())
    assert bench.run(bench.source.token()) == TOKEN
    (request,) = bench.requests
    assert (request.method, str(request.url)) == ("POST", "https://auth.example/oauth/token")
    assert parse_qs(request.content.decode()) == {
        "client_id": ["client"],
        "client_secret": [SECRET],
        "grant_type": ["client_credentials"],
        "scope": ["service:psapi"],
    }
    assert request.headers["user-agent"].startswith("OAuth ")
    assert "authorization" not in request.headers
    (record,) = bench.records
    assert (record.endpoint, record.outcome, record.http_status) == ("oauth/token", Outcome.OK, 200)
    assert record.headers_ms == pytest.approx(100)


def test_callers_at_the_same_time_share_one_request() -> None:
    bench = Bench(granted())

    async def main() -> list[str]:
        return await asyncio.gather(*(bench.source.token() for _ in range(10)))

    assert bench.run(main()) == [TOKEN] * 10
    assert len(bench.requests) == 1


def test_callers_at_the_same_time_share_one_failure() -> None:
    bench = Bench(httpx.Response(400, json={"error": "invalid_client"}))

    async def main() -> list[Any]:
        return await asyncio.gather(*(bench.source.token() for _ in range(5)), return_exceptions=True)

    assert all(isinstance(error, CredentialsRefused) for error in bench.run(main()))
    assert len(bench.requests) == 1


@pytest.mark.parametrize("expires_in", [None, 0, -5, "soon", True, [1], 1e300])
def test_a_token_without_a_readable_lifetime_holds(expires_in: Any) -> None:
    bench = Bench(granted(expires_in=expires_in))

    async def main() -> None:
        await bench.source.token()
        await bench.clock.sleep(365 * 86_400)
        await bench.source.token()

    bench.run(main())
    assert len(bench.requests) == 1


@pytest.mark.parametrize("expires_in", [3600, "3600", 3600.0])
def test_a_token_with_a_lifetime_is_renewed_shortly_before_its_end(expires_in: Any) -> None:
    bench = Bench(granted(expires_in=expires_in))

    async def main() -> list[int]:
        counts = []
        for pause in (0, 3500, 60):
            await bench.clock.sleep(pause)
            await bench.source.token()
            counts.append(len(bench.requests))
        return counts

    assert bench.run(main()) == [1, 1, 2]


def test_a_token_without_expires_in_holds() -> None:
    bench = Bench(httpx.Response(200, json={"access_token": TOKEN}))
    assert bench.run(bench.source.token()) == TOKEN


def test_an_invalidated_token_is_renewed_once_however_many_say_so() -> None:
    bench = Bench(granted(), granted(access_token="second"))

    async def main() -> list[str]:
        old = await bench.source.token()
        bench.source.invalidate(old)
        first = await bench.source.token()
        bench.source.invalidate(old)  # somebody who still held the old one
        return [first, await bench.source.token()]

    assert bench.run(main()) == ["second", "second"]
    assert len(bench.requests) == 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(400, json={"error": "invalid_client"}), "POE_OAUTH_CLIENT_SECRET"),
        (httpx.Response(401, json={"error": {"code": 8, "message": "Unauthorized"}}), "POE_OAUTH_CLIENT_ID"),
        (httpx.Response(403, json={"error": {"code": 6, "message": "Forbidden"}}), "POE_OAUTH_CLIENT_ID"),
        (httpx.Response(400, json={"error": "invalid_scope"}), "POE_OAUTH_SCOPE"),
        (httpx.Response(400, json={"error": "unsupported_grant_type"}), "POE_OAUTH_GRANT_TYPE"),
        (httpx.Response(404, json={"error": {"code": 1, "message": "Not found"}}), "POE_AUTH_BASE_URL"),
    ],
)
def test_refused_credentials_are_not_tried_again(answer: httpx.Response, words: str) -> None:
    bench = Bench(answer)

    async def main() -> None:
        for _ in range(5):
            with pytest.raises(CredentialsRefused, match=words):
                await bench.source.token()
            await bench.clock.sleep(3600)

    bench.run(main())
    assert len(bench.requests) == 1
    assert bench.records[0].outcome == Outcome.REFUSED


def test_the_words_of_a_refusal_name_the_settings_before_a_screen_cuts_them() -> None:
    bench = Bench(httpx.Response(400, json={"error": "invalid_client"}))

    async def main() -> str:
        with pytest.raises(CredentialsRefused) as refused:
            await bench.source.token()
        return str(refused.value)

    shown = f"!! FAILED for 1m 00s: {bench.run(main())}"
    assert "mend POE_OAUTH_CLIENT_SECRET(_FILE) or POE_OAUTH_CLIENT_ID" in shown[:110]
    assert ", then start again" in shown
    assert "invalid_client" in shown


def test_a_rotated_secret_is_read_anew_and_tried() -> None:
    bench = Bench(httpx.Response(400, json={"error": "invalid_client"}), granted())

    async def main() -> str:
        with pytest.raises(CredentialsRefused):
            await bench.source.token()
        bench.secret = "another"
        return await bench.source.token()

    assert bench.run(main()) == TOKEN
    assert parse_qs(bench.requests[1].content.decode())["client_secret"] == ["another"]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(503, text="patching"),
        httpx.Response(522, html="<html>"),
        httpx.Response(403, html="<html>", headers={"cf-mitigated": "challenge"}),
        httpx.Response(429, headers={"Retry-After": "7"}),
        httpx.ConnectError("no route"),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"access_token": 5}),
        httpx.Response(200, json={"access_token": ""}),
        httpx.Response(200, json={"access_token": "two\r\nlines"}),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.Response(302, headers={"Location": "https://evil.example/"}),
    ],
    ids=str,
)
def test_trouble_that_may_pass_is_retryable(answer: httpx.Response | Exception) -> None:
    bench = Bench(answer, granted())

    async def main() -> str:
        with pytest.raises(TokenUnavailable):
            await bench.source.token()
        return await bench.source.token()

    assert bench.run(main()) == TOKEN
    assert len(bench.requests) == 2


def test_the_endpoint_has_its_own_policy_and_it_is_obeyed() -> None:
    headers = {
        "X-Rate-Limit-Policy": "token-request-limit",
        "X-Rate-Limit-Rules": "Ip",
        "X-Rate-Limit-Ip": "2:30:30",
        "X-Rate-Limit-Ip-State": "1:30:0",
    }
    bench = Bench(lambda _request: httpx.Response(200, json={"access_token": TOKEN}, headers=headers))

    async def main() -> float:
        for _ in range(3):
            bench.source.invalidate(await bench.source.token())
        return bench.clock.monotonic()

    assert bench.run(main()) >= 30


@pytest.mark.parametrize("fault", [OSError("no such file"), ValueError("POE_OAUTH_CLIENT_SECRET_FILE is empty")])
def test_a_secret_that_cannot_be_read_is_told_and_tried_again_later(fault: Exception) -> None:
    bench = Bench(granted())
    faults = [fault]

    def secret() -> str:
        if faults:
            raise faults.pop()
        return SECRET

    bench.source._client_secret = secret

    async def main() -> str:
        with pytest.raises(CredentialsRefused, match=str(fault)):
            await bench.source.token()
        return await bench.source.token()

    assert bench.run(main()) == TOKEN


def test_without_a_client_the_error_says_what_to_set() -> None:
    bench = Bench(granted())
    bench.secret = ""
    with pytest.raises(CredentialsRefused, match="POE_OAUTH_CLIENT_ID"):
        bench.run(bench.source.token())
    assert bench.requests == []


def test_a_cancelled_caller_leaves_the_others_their_token() -> None:
    bench = Bench(granted(), latency=5)

    async def main() -> str:
        first, second = asyncio.create_task(bench.source.token()), asyncio.create_task(bench.source.token())
        await bench.clock.sleep(1)
        first.cancel()
        return await second

    assert bench.run(main()) == TOKEN
    assert len(bench.requests) == 1


def test_the_last_caller_takes_the_request_with_it_and_a_later_one_starts_anew() -> None:
    bench = Bench(granted(), latency=5)

    async def main() -> str:
        first = asyncio.create_task(bench.source.token())
        await bench.clock.sleep(1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await bench.source.token()

    assert bench.run(main()) == TOKEN
    assert [record.outcome for record in bench.records] == [Outcome.CANCELLED, Outcome.OK]


def test_a_caller_who_comes_while_the_last_one_leaves_is_not_cancelled_with_him() -> None:
    bench = Bench(granted(), latency=5)

    async def main() -> str:
        first = asyncio.create_task(bench.source.token())
        await bench.clock.sleep(1)
        first.cancel()
        return await asyncio.create_task(bench.source.token())

    assert bench.run(main()) == TOKEN


def test_no_secret_and_no_token_in_anything_that_can_be_read() -> None:
    echo = {"error": "invalid_client", "error_description": f"no client with secret {SECRET}"}
    said = []
    for answer in (
        httpx.Response(400, json=echo),
        httpx.Response(500, json={"error": {"code": 4, "message": SECRET}}),
        httpx.ConnectError(f"while sending client_secret={SECRET}"),
        httpx.Response(200, json={"access_token": f"{TOKEN}\n"}),
        granted(),
    ):
        bench = Bench(answer)
        try:
            bench.run(bench.source.token())
        except ApiError as error:
            said += [str(error), repr(error), *traceback.format_exception(error)]
        said += [repr(bench.source), repr(bench.records), repr(bench.source.__dict__["_url"])]
    text = "\n".join(said)
    assert "***" in text
    assert SECRET not in text
    assert TOKEN not in text
