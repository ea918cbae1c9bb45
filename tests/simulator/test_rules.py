"""The rules: exact at their edges, told in the headers, all at once."""

from __future__ import annotations

import pytest

from harvester.simulator.rules import Limit, Policy, stash_policy, token_policy


def test_two_a_second_holds_to_the_instant() -> None:
    policy = stash_policy()
    assert [policy.ask(at).allowed for at in (0.0, 0.25, 1.0, 1.25, 2.0)] == [True] * 5


def test_a_hair_too_early_is_a_broken_rule_and_a_minutes_lock() -> None:
    policy = stash_policy()
    policy.ask(0.0)
    policy.ask(0.5)
    verdict = policy.ask(0.9999)
    (broken,) = verdict.broken
    assert (broken.rule, broken.limit, broken.used, broken.locked) == ("Ip", "2:1:60", 3, False)
    assert dict(verdict.headers)["Retry-After"] == "60"
    assert dict(verdict.headers)["X-Rate-Limit-Ip-State"] == "3:1:60"


def test_the_restriction_lasts_to_the_instant_and_is_not_prolonged() -> None:
    policy = stash_policy()
    for at in (0.0, 0.125, 0.25):
        policy.ask(at)
    early = policy.ask(60.125)
    assert [broken.locked for broken in early.broken] == [True]
    assert dict(early.headers)["Retry-After"] == "1"
    assert dict(early.headers)["X-Rate-Limit-Ip-State"] == "1:1:1"
    assert policy.ask(60.25).allowed


def test_asking_while_locked_is_broken_each_time_and_ends_no_later() -> None:
    policy = stash_policy()
    for at in (0.0, 0.125, 0.25):
        policy.ask(at)
    assert [len(policy.ask(at).broken) for at in (58.0, 58.125, 58.25, 58.5)] == [1] * 4
    assert policy.ask(60.25).allowed


def test_the_headers_tell_policy_rules_limits_and_state_with_this_request_in_it() -> None:
    assert stash_policy().ask(5.0).headers == (
        ("X-Rate-Limit-Policy", "public-stash-tabs-request-limit-pc"),
        ("X-Rate-Limit-Rules", "Ip"),
        ("X-Rate-Limit-Ip", "2:1:60"),
        ("X-Rate-Limit-Ip-State", "1:1:0"),
    )


def test_all_triplets_of_all_rules_hold_at_once() -> None:
    policy = Policy("p", {"Ip": ["8:10:60", "15:60:120"], "Account": ["3:5:30"]})
    verdicts = [policy.ask(float(at)) for at in (0, 1, 2, 3)]
    assert [verdict.allowed for verdict in verdicts] == [True, True, True, False]
    assert {broken.rule for broken in verdicts[-1].broken} == {"Account"}
    headers = dict(verdicts[-1].headers)
    assert headers["X-Rate-Limit-Rules"] == "Ip,Account"
    assert headers["X-Rate-Limit-Ip"] == "8:10:60,15:60:120"
    assert headers["X-Rate-Limit-Ip-State"] == "4:10:0,4:60:0"
    assert headers["X-Rate-Limit-Account-State"] == "4:5:30"


def test_the_longest_lock_names_the_wait() -> None:
    policy = Policy("p", {"Ip": ["1:10:60", "1:60:120"]})
    policy.ask(0.0)
    assert dict(policy.ask(1.0).headers)["Retry-After"] == "120"


def test_a_neighbour_counts_and_is_named() -> None:
    policy = stash_policy()
    policy.ask(0.0, "neighbour")
    assert dict(policy.ask(0.1).headers)["X-Rate-Limit-Ip-State"] == "2:1:0"
    assert [broken.who for broken in policy.ask(0.2, "neighbour").broken] == ["neighbour"]


def test_rules_can_change_in_mid_stream() -> None:
    policy = stash_policy()
    policy.ask(0.0)
    policy.change({"Ip": ["1:5:10"], "Client": ["9:9:9"]})
    assert dict(policy.ask(0.1).headers)["X-Rate-Limit-Ip-State"] == "1:5:0"
    assert not policy.ask(4.0).allowed


def test_another_kind_of_window_takes_the_same_place() -> None:
    class Never:
        def hit(self, now: float) -> int:
            return 0

    policy = Policy("p", {"Ip": ["1:1:1"]}, window=lambda limit: Never())
    assert all(policy.ask(0.0).allowed for _ in range(9))


def test_the_token_endpoint_has_its_own_limit() -> None:
    policy = token_policy()
    assert [policy.ask(0.0).allowed for _ in range(61)] == [True] * 60 + [False]


@pytest.mark.parametrize("text", ["", "2:1", "a:b:c", "2:1:60:9"])
def test_what_is_no_triplet_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is Python's own
        Limit.parse(text)
