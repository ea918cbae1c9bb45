"""The simulated exchange: the same hour for everybody, prices that the river shares, and the ends of its range."""

from __future__ import annotations

import asyncio
import json

import pytest

from harvester.clock import VirtualClock, virtual_time
from harvester.feeds.hour_scan import scan_hour
from harvester.simulator.api import SimulatedApi
from harvester.simulator.exchange import GOODS, HOUR, PATHS_SINCE, CurrencyExchange, NotYet
from harvester.simulator.exchange_endpoint import EXCHANGE, ExchangeEndpoint
from harvester.simulator.notes import Market
from harvester.simulator.river import River

AT = PATHS_SINCE + 500 * HOUR
PATHS = {good.path: good.code for good in GOODS}


def test_an_hour_is_the_same_whoever_asks_and_every_market_of_it_is_good() -> None:
    body = CurrencyExchange(5, oldest=0, markets=150).body(AT)
    assert body == CurrencyExchange(5, oldest=AT, markets=150).body(AT)
    assert body != CurrencyExchange(6, oldest=0, markets=150).body(AT)
    scan = scan_hour(body)
    assert scan.next_change_id == AT + HOUR
    assert len(scan.markets) > 100
    assert scan.rejected == ()


def test_prices_are_those_of_the_river() -> None:
    exchange, market = CurrencyExchange(5, oldest=0, markets=300), Market(5)
    seen = 0
    for hour in range(AT, AT + 3 * HOUR, HOUR):
        for entry in json.loads(exchange.body(hour))["markets"]:
            a, b = entry["market_pair"]
            volume = entry["volume_traded"]
            if PATHS[a] != "chaos" or not volume[b]:
                continue
            price = volume[a] / volume[b]
            low, high = (entry[side][a] / entry[side][b] for side in ("lowest_ratio", "highest_ratio"))
            assert low <= price <= high
            worth = market.chaos_value(PATHS[b], entry["league"])
            if 0.1 < worth < 50:
                assert price == pytest.approx(worth, rel=0.15)
                seen += 1
    assert seen > 30


def test_hours_before_the_change_have_short_codes_and_no_pair() -> None:
    (first, *_) = json.loads(CurrencyExchange(5, oldest=0).body(PATHS_SINCE - HOUR))["markets"]
    assert set(first["volume_traded"]) <= {good.code for good in GOODS}
    assert "market_pair" not in first


@pytest.mark.parametrize(
    ("path", "status", "following"),
    [
        (f"/{AT - HOUR}", 200, AT),
        (f"/{AT}", 404, AT + HOUR),
        (f"/{AT - 90 * HOUR}", 404, AT - 50 * HOUR),
        ("", 200, AT - 49 * HOUR),
        (f"/poe2/{AT - HOUR}", 200, AT),
    ],
)
def test_what_the_endpoint_answers(path: str, status: int, following: int) -> None:
    answered, body, complaints = ask(EXCHANGE + path)
    assert (answered, json.loads(body)["next_change_id"]) == (status, following)
    assert complaints == []


@pytest.mark.parametrize("path", [f"/{AT + 1}", f"/pc/{AT - HOUR}", "/mars", f"/poe2/{AT - HOUR}/x"])
def test_what_it_refuses_is_an_error_of_the_api(path: str) -> None:
    answered, body, complaints = ask(EXCHANGE + path)
    assert (answered, json.loads(body)["error"]["code"]) == (404, 1)
    assert complaints


def test_an_hour_that_is_not_over_may_be_a_200_with_the_same_id() -> None:
    exchange = CurrencyExchange(oldest=0, not_yet=NotYet.SAME_ID)
    assert exchange.answer(AT, AT + HOUR) == (200, b'{"next_change_id":%d,"markets":[]}' % AT)
    assert exchange.answer(AT, AT + HOUR + 1.0)[1] == exchange.body(AT)


def ask(path: str) -> tuple[int, bytes, list[str]]:
    """One request at the start of the hour `AT`."""
    clock = VirtualClock(float(AT) + 2)
    exchanges = [CurrencyExchange(realm=realm, oldest=AT - 50 * HOUR) for realm in ("pc", "poe2")]
    api = SimulatedApi(clock, River(1, pages=1), endpoints=[ExchangeEndpoint(exchanges)])

    async def one() -> tuple[int, bytes]:
        answer = await api.handle("GET", path, headers={"User-Agent": "poe-ledger/1.0 (contact: a@b)"})
        await asyncio.sleep(0)
        return answer.status, b"".join(chunk.data for chunk in answer.chunks)

    status, body = virtual_time(one(), clock)
    return status, body, [str(complaint) for complaint in api.truth.complaints]
