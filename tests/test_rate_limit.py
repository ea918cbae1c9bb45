"""Reading the rate-limit headers."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.api.rate_limit import LONGEST_WAIT, parse_limits
from harvester.model import Limits, Rule, Triplet

CAPTURE = Path(__file__).parents[2] / "shared/data/rate-limit/2026-08-14-capture.json"


def test_rules_triplets_and_state_are_read_in_any_case() -> None:
    limits = parse_limits(
        {
            "X-RATE-LIMIT-POLICY": "public-stash-tabs-request-limit-pc",
            "x-rate-limit-rules": "Ip, Account",
            "X-Rate-Limit-Ip": "8:10:60,15:60:120",
            "x-rate-limit-ip-state": "1:10:0,2:60:5",
            "X-Rate-Limit-Account": "3:5:60",
            "X-Rate-Limit-Account-State": "1:5:0",
        }
    )
    assert limits == Limits(
        policy="public-stash-tabs-request-limit-pc",
        rules=(
            Rule("Ip", (Triplet(8, 10, 60, 1, 0), Triplet(15, 60, 120, 2, 5))),
            Rule("Account", (Triplet(3, 5, 60, 1, 0),)),
        ),
    )


def test_an_answer_without_rate_headers_has_no_limits_and_no_problem() -> None:
    assert parse_limits({"Content-Type": "text/html"}) == Limits()


def test_a_state_in_another_order_is_matched_by_its_period() -> None:
    limits = parse_limits(
        {
            "X-Rate-Limit-Rules": "Ip",
            "X-Rate-Limit-Ip": "8:10:60,15:60:120",
            "X-Rate-Limit-Ip-State": "2:60:0,1:10:0",
        }
    )
    assert [triplet.used for triplet in limits.rules[0].triplets] == [1, 2]


def test_a_state_of_another_period_is_not_ours() -> None:
    limits = parse_limits(
        {
            "X-Rate-Limit-Rules": "Ip",
            "X-Rate-Limit-Ip": "8:10:60,8:10:60",
            "X-Rate-Limit-Ip-State": "2:60:0,1:10:0",
        }
    )
    assert sorted(str(triplet.used) for triplet in limits.rules[0].triplets) == ["1", "None"]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "60"}, 60),
        ({"Retry-After": " 0 "}, 0),
        ({"retry-after": "1.5"}, 1.5),
        (
            {"Retry-After": "Wed, 21 Oct 2026 07:29:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"},
            60,
        ),
        ({"Retry-After": "Wed, 21 Oct 2026 07:27:00 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(headers: dict[str, str], seconds: float) -> None:
    limits = parse_limits(headers)
    assert (limits.retry_after, limits.problem) == (seconds, None)


def test_a_retry_after_date_is_compared_with_our_clock_where_the_server_names_no_date() -> None:
    date = {"Retry-After": "Wed, 21 Oct 2026 07:29:00 GMT"}
    assert parse_limits(date, now=1_792_567_680.0).retry_after == 60
    assert parse_limits(date).retry_after is None


@pytest.mark.parametrize(
    ("headers", "word"),
    [
        ({"X-Rate-Limit-Rules": "Ip"}, "Ip"),
        ({"X-Rate-Limit-Rules": "Ip", "X-Rate-Limit-Ip": "a:b:c"}, "a:b:c"),
        ({"X-Rate-Limit-Rules": "Ip", "X-Rate-Limit-Ip": "2:1"}, "2:1"),
        ({"X-Rate-Limit-Rules": "Ip", "X-Rate-Limit-Ip": "2:0:60"}, "2:0"),
        ({"X-Rate-Limit-Rules": "Ip", "X-Rate-Limit-Ip": "0:1:60"}, "0:1"),
        ({"X-Rate-Limit-Rules": "Ip", "X-Rate-Limit-Ip": "²:1:60"}, "x-rate-limit-ip"),
        ({"X-Rate-Limit-Rules": "Ip", "X-Rate-Limit-Ip": "9" * 5000 + ":1:60"}, "x-rate-limit-ip"),
        ({"X-Rate-Limit-Rules": "Ip", "X-Rate-Limit-Ip": ",".join(["2:1:60"] * 99)}, "triplets"),
        ({"X-Rate-Limit-Ip": "2:1:60"}, "X-Rate-Limit-Rules"),
        ({"Retry-After": "soon"}, "Retry-After"),
        ({"Retry-After": "-5"}, "Retry-After"),
        ({"Retry-After": "999999999"}, "Retry-After"),
    ],
)
def test_what_cannot_be_read_is_named(headers: dict[str, str], word: str) -> None:
    problem = parse_limits(headers).problem
    assert problem is not None
    assert word in problem
    assert len(problem) <= 300


def test_what_can_be_read_beside_garbage_is_kept() -> None:
    limits = parse_limits(
        {
            "X-Rate-Limit-Policy": "p",
            "X-Rate-Limit-Rules": "Ip,,Ghost,Ip",
            "X-Rate-Limit-Ip": "2:1:60,what",
            "X-Rate-Limit-Ip-State": "no",
            "Retry-After": "5",
        }
    )
    assert limits.rules == (Rule("Ip", (Triplet(2, 1, 60),)),)
    assert limits.retry_after == 5


def test_names_from_strangers_hold_no_control_characters() -> None:
    limits = parse_limits(
        {
            "X-Rate-Limit-Policy": "p\x1b[31m\u202eq" * 99,
            "X-Rate-Limit-Rules": "I\x1bp",
            "X-Rate-Limit-Ip": "2:1:60",
        }
    )
    assert limits.policy is not None
    assert limits.policy.isprintable()
    assert len(limits.policy) <= 128
    assert limits.rules[0].name == "Ip"


_numbers = st.integers(1, 10**6)
_triplets = st.lists(
    st.builds(Triplet, _numbers, _numbers, _numbers, st.integers(0, 10**6), st.integers(0, 10**6)),
    min_size=1,
    max_size=5,
    unique_by=lambda triplet: triplet.period,
)
_names = st.text("ABCDEFGHabcdefgh", min_size=1, max_size=8)
_rules = st.lists(
    st.builds(lambda name, triplets: Rule(name, tuple(triplets)), _names, _triplets),
    min_size=1,
    max_size=4,
    unique_by=lambda rule: rule.name.lower(),
)
_limits = st.builds(
    lambda rules, policy, retry: Limits(policy, tuple(rules), retry),
    _rules,
    st.text("abc-", min_size=1, max_size=20),
    st.one_of(st.none(), st.integers(0, int(LONGEST_WAIT)).map(float)),
)


@given(_limits, st.randoms(use_true_random=False))
def test_headers_say_what_they_were_made_from(limits: Limits, rng: random.Random) -> None:
    headers = {
        "x-rate-limit-policy": limits.policy or "",
        "x-rate-limit-rules": ",".join(rule.name for rule in limits.rules),
    }
    if limits.retry_after is not None:
        headers["retry-after"] = str(int(limits.retry_after))
    for rule in limits.rules:
        key = f"x-rate-limit-{rule.name}"
        headers[key] = ",".join(f"{one.hits}:{one.period}:{one.restriction}" for one in rule.triplets)
        headers[f"{key}-state"] = ",".join(f"{one.used}:{one.period}:{one.active_restriction}" for one in rule.triplets)
    shouted = {name.upper() if rng.random() < 0.5 else name: text for name, text in headers.items()}
    assert parse_limits(shouted) == limits


_texts = st.one_of(st.text(max_size=60), st.text("0123456789:,. -+", max_size=40), st.binary(max_size=30).map(str))
_keys = st.one_of(
    st.sampled_from(
        [
            "X-Rate-Limit-Policy",
            "X-Rate-Limit-Rules",
            "X-Rate-Limit-Ip",
            "X-Rate-Limit-Ip-State",
            "Retry-After",
        ]
    ),
    st.sampled_from(["Date", "X-Rate-Limit-", "X-Rate-Limit--State", "x-rate-limit-state"]),
    st.text(max_size=20),
)


@given(st.dictionaries(_keys, st.one_of(_texts, st.just("Ip")), max_size=8), st.one_of(st.none(), st.floats()))
def test_reading_never_raises(headers: dict[str, str], now: float | None) -> None:
    limits = parse_limits(headers, now=now)
    assert limits.retry_after is None or 0 <= limits.retry_after <= LONGEST_WAIT
    assert all(triplet.hits > 0 and triplet.period > 0 for rule in limits.rules for triplet in rule.triplets)


@pytest.mark.shared
def test_every_captured_answer_is_read_whole() -> None:
    if not CAPTURE.exists():
        pytest.skip("the captured headers are not here (../shared/data)")
    records: list[dict[str, Any]] = json.loads(CAPTURE.read_text())["records"]
    assert len(records) > 300
    for record in records:
        limits = parse_limits(record["headers"])
        assert limits.problem is None
        assert limits.policy == record["headers"]["x-rate-limit-policy"]
        (rule,) = limits.rules
        assert rule.name == "Account"
        again = ",".join(f"{one.hits}:{one.period}:{one.restriction}" for one in rule.triplets)
        state = ",".join(f"{one.used}:{one.period}:{one.active_restriction}" for one in rule.triplets)
        assert again == record["headers"]["x-rate-limit-account"]
        assert state == record["headers"]["x-rate-limit-account-state"]
