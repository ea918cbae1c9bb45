"""The rules: exact at their edges, told in the headers, all at once."""

from __future__ import annotations

import pytest

from harvester.clock import VirtualClock, virtual_time
from harvester.simulator.api import SimulatedApi
from harvester.simulator.edge_guard import EdgeGuard
from harvester.simulator.neighbours import NoisyNeighbour
from harvester.simulator.river import River
from harvester.simulator.rules import NEIGHBOUR, OBSERVED_GROWTH, Limit, Policy, stash_policy, token_policy
from harvester.simulator.windows import bucketed, fixed


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


def used(policy: Policy, at: float) -> int:
    return int(dict(policy.ask(at).headers)["X-Rate-Limit-Ip-State"].split(":")[0])


def test_a_fixed_window_starts_anew_at_its_times_and_not_before() -> None:
    policy = Policy("p", {"Ip": ["9:10:60"]}, fixed(phase=3.0))
    assert [used(policy, at) for at in (4.0, 12.5, 12.99, 13.0, 13.5, 33.0)] == [1, 2, 3, 1, 2, 1]


def test_a_bucketed_window_counts_a_hit_until_its_whole_bucket_has_left_the_period() -> None:
    policy = Policy("p", {"Ip": ["9:10:60"]}, bucketed(5.0))
    assert [used(policy, at) for at in (0.1, 14.9, 15.0, 24.99, 25.0)] == [1, 2, 2, 3, 3]
    exact = Policy("p", {"Ip": ["9:10:60"]})
    assert [used(exact, at) for at in (0.1, 14.9, 15.0, 24.99, 25.0)] == [1, 1, 2, 2, 2]


def test_buckets_are_five_seconds_for_short_limits_and_sixty_for_long_ones() -> None:
    policy = Policy("p", {"Ip": ["99:10:60"], "Account": ["99:300:60"]}, bucketed())
    for at in (4.0, 6.0, 16.0, 305.0, 361.0):
        headers = dict(policy.ask(at).headers)
    assert headers["X-Rate-Limit-Ip-State"] == "1:10:0"
    assert headers["X-Rate-Limit-Account-State"] == "2:300:0"


def test_restrictions_grow_on_repeats_and_are_forgiven_in_time() -> None:
    policy = Policy("p", {"Ip": ["1:1:60"]}, growth=OBSERVED_GROWTH)
    now, locks = 0.0, []
    for pause in (1, 1, 1, 1, 4_000):
        policy.ask(now)
        lock = int(dict(policy.ask(now + 0.25).headers)["Retry-After"])
        locks.append(lock)
        now += 0.25 + lock + pause
    policy.ask(now)
    assert locks == [60, 300, 1_800, 3_600, 3_600]
    assert dict(policy.ask(now + 0.25).headers)["Retry-After"] == "60"


def test_rules_can_change_by_themselves_at_a_given_moment() -> None:
    policy = Policy("p", {"Ip": ["2:1:60"]}, changes=[(100.0, {"Ip": ["1:5:10"], "Client": ["9:9:9"]})])
    assert dict(policy.ask(99.0).headers)["X-Rate-Limit-Rules"] == "Ip"
    assert dict(policy.ask(101.0).headers)["X-Rate-Limit-Rules"] == "Ip,Client"
    assert not policy.ask(102.0).allowed


def test_a_noisy_neighbour_eats_from_the_counters_and_is_seen_in_the_state() -> None:
    quiet, noisy = (
        Policy("p", {"Ip": ["1000:100:60"]}, neighbour=neighbour) for neighbour in (None, NoisyNeighbour(3, 0.5))
    )
    ours = [float(at) for at in range(0, 2_000, 10)]
    extra = [used(noisy, at) - used(quiet, at) for at in ours]
    assert 30 < sum(extra[20:]) / len(extra[20:]) < 70
    again = Policy("p", {"Ip": ["1000:100:60"]}, neighbour=NoisyNeighbour(3, 0.5))
    quiet = Policy("p", {"Ip": ["1000:100:60"]})
    assert [used(again, at) - used(quiet, at) for at in ours] == extra


def test_a_neighbour_can_lock_us_out() -> None:
    policy = Policy("p", {"Ip": ["2:10:60"]}, neighbour=NoisyNeighbour(3, 2.0, burst=3))
    (broken,) = policy.ask(30.0).broken
    assert broken.locked
    assert broken.who != NEIGHBOUR


def test_realms_share_one_policy_and_so_one_counter() -> None:
    clock = VirtualClock()
    rivers = [River(1, realm, clock.now(), pages=3, stashes_per_page=2, population=40) for realm in ("pc", "xbox")]
    api = SimulatedApi(clock, rivers)

    async def main() -> list[str]:
        paths = ("/public-stash-tabs", "/public-stash-tabs/xbox", "/public-stash-tabs")
        answers = [await api.handle("GET", path) for path in paths]
        return [dict(answer.headers)["X-Rate-Limit-Ip-State"] for answer in answers]

    assert virtual_time(main(), clock) == ["1:1:0", "2:1:0", "3:1:60"]


def test_too_many_4xx_end_in_a_ban_at_the_edge_for_hours() -> None:
    clock = VirtualClock()
    api = SimulatedApi(
        clock,
        River(1, "pc", clock.now(), pages=3, stashes_per_page=2, population=40),
        guard=EdgeGuard(5, 600.0, 7_200.0),
    )

    async def main() -> list[int]:
        statuses = []
        for _ in range(8):
            answer = await api.handle("GET", "/nowhere")
            statuses.append(answer.status)
            await clock.sleep(10)
        assert b"1015" in answer.body
        assert not any(name.lower().startswith("x-rate-limit") for name, _ in answer.headers)
        await clock.sleep(7_200)
        statuses.append((await api.handle("GET", "/nowhere")).status)
        return statuses

    assert virtual_time(main(), clock) == [404] * 6 + [429, 429, 404]


def test_4xx_that_lie_far_apart_never_add_up() -> None:
    guard = EdgeGuard(5, 600.0)
    for number in range(100):
        guard.note(404, number * 150.0)
    assert guard.bans == 0
