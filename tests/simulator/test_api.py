"""The simulated API in process: tokens, pages, errors, faults, latency, and the truth beside it."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from harvester.clock import VirtualClock, virtual_time
from harvester.simulator import faults
from harvester.simulator.answers import Latency
from harvester.simulator.api import CLIENT_ID, CLIENT_SECRET, SimulatedApi
from harvester.simulator.endpoints import Call, Reply
from harvester.simulator.faults import ScriptedFaults
from harvester.simulator.river import River
from harvester.simulator.rules import Policy
from harvester.simulator.transport import SimulatorTransport

AGENT = "OAuth demo/1.0 (contact: nobody@example.org)"
FORM = {
    "client_id": CLIENT_ID,
    "client_secret": CLIENT_SECRET,
    "grant_type": "client_credentials",
    "scope": "service:psapi",
}
PATH = "/public-stash-tabs"
Client = httpx.AsyncClient


def play(story: Callable[[Client, SimulatedApi], Awaitable[None]], **options: Any) -> SimulatedApi:
    """Run a story against a fresh API in virtual time."""
    clock = VirtualClock()
    rivers = options.pop("rivers", None) or River(3, pages=4)
    options.setdefault("policy", Policy("wide", {"Ip": ["100:1:60"]}))
    api = SimulatedApi(clock, rivers, **options)

    async def main() -> None:
        async with Client(
            transport=SimulatorTransport(api),
            base_url="http://simulator",
            headers={"User-Agent": AGENT},
            timeout=30,
        ) as client:
            await story(client, api)

    virtual_time(main(), clock)
    return api


async def sign_in(client: Client) -> None:
    answer = await client.post("/oauth/token", data=FORM)
    client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"


async def walk(client: Client, path: str = PATH) -> list[httpx.Response]:
    cursor, pages = "", []
    while True:
        answer = await client.get(path, params={"id": cursor} if cursor else {})
        following = answer.headers["X-Next-Change-Id"]
        if following == cursor:
            return pages
        pages.append(answer)
        cursor = following


def test_a_token_for_good_credentials_never_expires() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        answer = await client.post("/oauth/token", data=FORM)
        assert answer.status_code == 200
        assert answer.json()["expires_in"] is None
        assert answer.json()["token_type"] == "bearer"
        assert answer.headers["X-Rate-Limit-Policy"] == "token-request-limit"
        assert answer.headers["X-Rate-Limit-Ip"] == "60:30:30"

    assert play(story).truth.complaints == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"client_secret": "wrong"}, "invalid_client"),
        ({"client_id": ""}, "invalid_client"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "account:stashes"}, "invalid_scope"),
    ],
)
def test_bad_credentials_are_a_400_in_the_oauth_form(change: dict[str, str], error: str) -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        answer = await client.post("/oauth/token", data=FORM | change)
        assert (answer.status_code, answer.json()) == (400, {"error": error})

    play(story)


def test_without_a_good_token_there_are_no_pages() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        answer = await client.get(PATH)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, 8)
        await sign_in(client)
        assert (await client.get(PATH)).status_code == 200
        api.tokens.revoke()
        assert (await client.get(PATH)).status_code == 401

    api = play(story)
    assert [asked.status for asked in api.truth.asked] == [401, 200, 200, 401]


def test_a_token_with_a_term_ends_with_it() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        await api.clock.sleep(9.5)
        assert (await client.get(PATH)).status_code == 200
        await api.clock.sleep(0.5)
        assert (await client.get(PATH)).status_code == 401

    play(story, token_expires_in=10)


def test_a_walk_gets_every_page_and_the_truth_counts_it() -> None:
    bodies: list[bytes] = []

    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        bodies.extend([page.content for page in await walk(client)])
        await walk(client)

    truth = play(story).truth
    assert bodies == [page.body for page in River(3, pages=4).walk(0.0)]
    assert [page.sha256 for page in truth.published] == [hashlib.sha256(body).hexdigest() for body in bodies]
    assert [body for _, body in truth.bodies()] == bodies
    assert [(page.times, page.whole) for page in truth.published] == [(2, 2)] * 4
    assert [page.stashes for page in truth.published] == [len(json.loads(body)["stashes"]) for body in bodies]
    assert len([asked for asked in truth.asked if asked.path == PATH]) == 10  # both ends are asked, not published
    assert truth.summary()["items"] == sum(page.items for page in truth.published)
    assert truth.broken == []
    assert truth.complaints == []


def test_realms_have_rivers_of_their_own_and_pc_has_no_name() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        pc, xbox = await client.get(PATH), await client.get(f"{PATH}/xbox")
        assert pc.content != xbox.content
        for name in ("pc", "sony", "poe2"):
            answer = await client.get(f"{PATH}/{name}")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, 1)

    api = play(story, rivers=[River(3, pages=2), River(3, "xbox", pages=2)])
    assert [complaint.what for complaint in api.truth.complaints] == [
        "unknown realm pc",
        "unknown realm sony",
        "unknown realm poe2",
    ]
    assert {page.realm for page in api.truth.published} == {"pc", "xbox"}


def test_a_parameter_beside_id_changes_nothing_and_is_complained_of() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        assert (await client.get(PATH, params={"league": "Standard"})).content == (await client.get(PATH)).content

    api = play(story)
    assert [complaint.what for complaint in api.truth.complaints] == ["unknown parameter league"]
    assert api.truth.asked[1].params == (("league", "Standard"),)


def test_a_nameless_client_is_complained_of() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        client.headers["User-Agent"] = "python-httpx/1"
        await client.get(PATH)

    assert "python-httpx" in play(story).truth.complaints[0].what


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", f"{PATH}?id=nonsense", 400, 2), ("POST", PATH, 405, 9), ("GET", "/nowhere", 404, 1)],
)
def test_errors_have_the_form_of_the_api(method: str, path: str, status: int, code: int) -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)

    play(story)


def test_the_limits_are_enforced_and_what_broke_them_is_kept() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        answers = [await client.get(PATH) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[1].headers["X-Rate-Limit-Ip-State"] == "2:1:0"
        assert answers[2].headers["Retry-After"] == "60"
        assert answers[2].json()["error"]["code"] == 3
        await api.clock.sleep(60)
        assert (await client.get(PATH)).status_code == 200

    api = play(story, policy=None)
    assert [broken.policy for broken in api.truth.broken] == ["public-stash-tabs-request-limit-pc"]


def test_a_refused_token_counts_too() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        statuses = [(await client.post("/oauth/token", data=FORM | {"client_id": "x"})).status_code for _ in range(61)]
        assert statuses == [400] * 60 + [429]

    play(story)


def test_bodies_are_compressed_for_those_who_accept_it() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        zipped = await api.handle("GET", PATH, (), {**client.headers, "accept-encoding": "gzip, deflate"})
        plain = await api.handle("GET", PATH, (), {**client.headers, "accept-encoding": "identity"})
        assert dict(zipped.headers)["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in dict(plain.headers)
        assert gzip.decompress(zipped.body) == plain.body
        assert int(dict(zipped.headers)["Content-Length"]) == len(zipped.body) < len(plain.body) / 4

    play(story)


def test_time_passes_before_the_headers_and_while_the_body_comes() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        client.headers["Accept-Encoding"] = "identity"
        await sign_in(client)
        begin = api.clock.monotonic()
        async with client.stream("GET", PATH) as answer:
            assert api.clock.monotonic() - begin == pytest.approx(0.3)
            assert answer.headers["X-Next-Change-Id"]
            size = len(await answer.aread())
        assert api.clock.monotonic() - begin == pytest.approx(0.3 + size / 1_000_000)

    play(story, latency=Latency(upstream=(0.1, 0.1), thinking=(0.2, 0.2), bytes_per_second=1_000_000))


def test_the_rules_count_when_a_request_arrives_and_date_may_run_ahead() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        begin = api.clock.now()
        answer = await client.get(PATH)
        assert api.truth.asked[0].at == pytest.approx(begin + 0.1)
        assert answer.headers["Date"] == "Thu, 01 Jan 2026 01:00:00 GMT"

    play(story, latency=Latency(upstream=(0.1, 0.1), thinking=(5, 5)), date_skew=3600)


def test_a_request_in_flight_can_be_cancelled_at_once() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        begin = api.clock.monotonic()
        asking = asyncio.create_task(client.get(PATH))
        await api.clock.sleep(1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert api.clock.monotonic() - begin == pytest.approx(1)

    play(story, latency=Latency(thinking=(20, 20)))


def test_scripted_answers_replace_the_right_one() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        busy, edge, wrong, changed, twice, right = [await client.get(PATH) for _ in range(6)]
        assert (busy.status_code, busy.headers["Retry-After"]) == (503, "30")
        assert "X-Rate-Limit-Policy" in busy.headers
        assert (edge.status_code, edge.headers["cf-mitigated"]) == (403, "challenge")
        assert edge.headers["Content-Type"].startswith("text/html")
        assert "X-Rate-Limit-Policy" not in edge.headers
        assert (wrong.status_code, wrong.content) == (200, b"{}")
        assert wrong.headers["X-Next-Change-Id"] == right.headers["X-Next-Change-Id"]
        assert b"harvester" in changed.content
        assert twice.headers["X-Next-Change-Id"] == ""
        assert twice.json()["stashes"] == right.json()["stashes"]
        assert twice.json()["next_change_id"] == ""

    script = [
        faults.answer(503, b"busy", ("Retry-After", "30")),
        faults.edge(403, b"<html>", ("cf-mitigated", "challenge")),
        faults.wrong_body(b"{}"),
        faults.changed(lambda body: body.replace(b"stashes", b"harvester", 1)),
        faults.same_id(),
    ]
    api = play(story, faults=ScriptedFaults(script))
    assert [asked.fault for asked in api.truth.asked] == [
        "", "status 503", "status 403", "wrong body", "changed body", "same id", "",
    ]  # fmt: skip
    (page,) = api.truth.published
    assert (page.times, page.whole) == (4, 1)


@pytest.mark.parametrize(
    ("fault", "error", "waits"),
    [
        (faults.cut(1_000), httpx.RemoteProtocolError, 0),
        (faults.reset(1_000), httpx.ReadError, 0),
        (faults.refused(), httpx.ReadError, 0),
        (faults.stuck(1_000), httpx.ReadTimeout, 30),
    ],
)
def test_a_connection_that_breaks_raises_what_httpx_would(
    fault: faults.Override, error: type[Exception], waits: float
) -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        await sign_in(client)
        begin = api.clock.monotonic()
        with pytest.raises(error):
            await client.get(PATH)
        assert api.clock.monotonic() - begin == pytest.approx(waits)
        assert (await client.get(PATH)).status_code == 200

    play(story, faults=ScriptedFaults([fault]))


def test_slow_headers_end_in_a_timeout() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        with pytest.raises(httpx.ReadTimeout):
            await client.get(PATH)

    play(story, latency=Latency(thinking=(31, 31)))


def test_the_newest_cursor_is_told_and_a_token_there_is_complained_of() -> None:
    async def story(client: Client, api: SimulatedApi) -> None:
        answer = await client.get("/api/trade/data/change-ids")
        assert answer.json() == {"psapi": River(3, pages=4).head(0.0)}
        await sign_in(client)
        await client.get("/api/trade/data/change-ids")

    assert [c.what for c in play(story).truth.complaints] == ["Authorization sent to the trade site"]


def test_more_endpoints_can_be_added() -> None:
    class Leagues:
        policy = None

        def serves(self, path: str) -> bool:
            return path == "/league"

        def answer(self, call: Call) -> Reply:
            return Reply(200, b"[]")

    async def story(client: Client, api: SimulatedApi) -> None:
        assert (await client.get("/league")).json() == []

    play(story, endpoints=[Leagues()])
