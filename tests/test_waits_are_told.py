"""Every wait shows: as an event when it begins and at growing intervals, and in the Snapshot all the while."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harvester.api.client import pacing_endpoint
from harvester.api.restrictions import RestrictionFile, SavedLimits, SavedPolicy
from harvester.clock import VirtualClock
from harvester.events import Event, Level, moment
from harvester.queue_worker import QueueStopped
from harvester.queue_worker.patience import Patience
from harvester.queue_worker.repeats import Repeats
from harvester.simulator.answers import Latency
from harvester.simulator.edge_guard import BAN_PAGE
from harvester.simulator.fault_plan import FaultPlan, Spell
from harvester.simulator.faults import Override, ScriptedFaults, answer, edge, wrong_body
from harvester.simulator.rules import STASH_POLICY, Policy
from harvester.snapshot import QueueState, Trouble
from harvester.store.errors import StoreError, StoreFault
from tests.worker_bench import BASE, Bench, policy_until_caught_up

DAY = 86_400.0
OUTAGE = 5 * 3600.0
Seen = list[tuple[float, QueueState, Trouble | None]]


def watched(bench: Bench, seconds: float | None = None, every: float = 1.0) -> Seen:
    """Play, and look at the queue every so often, as a screen does."""
    seen: Seen = []

    async def look(bench: Bench) -> None:
        while True:
            await bench.clock.sleep(every)
            seen.append((bench.clock.elapsed, bench.meter.state, bench.meter.trouble))

    bench.run(seconds, beside=look)
    return seen


def events(bench: Bench, words: str) -> list[Event]:
    return [event for event in bench.events.tail(5000) if words in event.what]


def test_two_months_of_the_same_failure_fit_a_log() -> None:
    clock = VirtualClock()
    repeats, told, counted = Repeats(clock), 0, 0
    for number in range(int(60 * DAY / 45)):
        untold = repeats.untold_if_worth_saying("api", f"HTTP 503: request {number} refused", lasts=45)
        if untold is not None:
            told, counted = told + 1, counted + 1 + untold
        clock.elapsed += 45
    assert 24 * 59 < told < 24 * 61 + 20, "hourly in the long run"
    assert int(60 * DAY / 45) - counted < 100, "what is not told is counted"


def test_a_failure_that_comes_and_goes_does_not_flood_either() -> None:
    clock = VirtualClock()
    repeats, told = Repeats(clock), 0
    for _ in range(int(DAY / 4)):
        told += repeats.untold_if_worth_saying("api", "HTTP 502", lasts=1) is not None
        clock.elapsed += 4
    assert told < 40


def test_new_words_are_news_but_not_for_ever() -> None:
    clock = VirtualClock()
    repeats = Repeats(clock)
    for _ in range(5):
        repeats.untold_if_worth_saying("api", "HTTP 502")
    assert repeats.untold_if_worth_saying("api", "no answer") == 2
    told = sum(repeats.untold_if_worth_saying("api", f"words {'x' * n}") is not None for n in range(100))
    assert told < 10


def test_a_failure_that_was_gone_for_long_is_a_new_one() -> None:
    clock = VirtualClock()
    repeats = Repeats(clock)
    for _ in range(10):
        repeats.untold_if_worth_saying("api", "HTTP 502")
    clock.elapsed += 3600
    assert repeats.untold_if_worth_saying("api", "HTTP 502") == 0


def test_hours_without_the_api_are_told_now_and_then_and_shown_all_the_while() -> None:
    bench = Bench(pages=5, faults=FaultPlan(1, [Spell("503 for minutes", 1.0, seconds=OUTAGE)], Bench.START))
    seen = watched(bench, every=60.0)

    told = events(bench, "HTTP 503")
    assert len(told) < 20
    assert all(event.since is not None for event in told)
    assert re.search(r"try \d+ in \d+ s; \d+ more times since the last line", told[-2].then)
    during = [(at, state, trouble) for at, state, trouble in seen if 300 < at < OUTAGE]
    assert all(state is QueueState.RETRYING for _, state, _ in during)
    for at, _, trouble in during:
        assert trouble is not None
        assert trouble.next_try_at is not None
        assert trouble.next_try_at - (Bench.START + at) < 46
        assert trouble.since - Bench.START < 10
    recovered = events(bench, "recovered")
    assert len(recovered) == 1
    assert recovered[0].since == told[-1].since
    assert bench.meter.trouble is None


def test_a_restriction_is_a_state_with_its_end(tmp_path: Path) -> None:
    bench = Bench(pages=5, memory=tmp_path, faults=ScriptedFaults([None, answer(429, b"", ("Retry-After", "120"))]))
    seen = watched(bench)

    held = [trouble for _, state, trouble in seen if state is QueueState.RESTRICTED]
    assert len(held) > 100
    ends = {round(trouble.next_try_at or 0) for trouble in held if trouble}
    assert len(ends) == 1
    assert all(trouble and trouble.todo for trouble in held)
    assert bench.meter.trouble is None
    event, end = events(bench, "rate limited")
    assert "again in 12" in event.then
    assert end.what == "recovered after 1 try: rate limited: HTTP 429"


LONGER_THAN_SAID = answer(
    429, b"{}", ("Retry-After", "1"), ("X-Rate-Limit-Ip", "5:12:6"), ("X-Rate-Limit-Ip-State", "6:12:6")
)
"""A refusal after which the limits leave no room for longer than the restriction lasts."""


def asked_at(bench: Bench) -> list[float]:
    return [record.requested_at for record in bench.stash_requests]


def test_a_rate_limit_names_the_wait_that_really_follows() -> None:
    bench = Bench(pages=12, faults=ScriptedFaults([*[None] * 6, LONGER_THAN_SAID]))
    seen = watched(bench)

    refused = events(bench, "rate limited")[0]
    again = next(at for at in asked_at(bench) if at > refused.at)
    said = re.fullmatch(r"the same page again in (\d+) s", refused.then)
    assert said is not None
    assert int(said[1]) == pytest.approx(again - refused.at, abs=0.6)
    assert again - refused.at > 10
    held = [trouble.next_try_at for _, state, trouble in seen if state is QueueState.RESTRICTED and trouble]
    assert len(held) > 10
    assert held == pytest.approx([again] * len(held), abs=0.1)


def test_a_rate_limit_promises_no_time_where_others_are_before_it() -> None:
    bench = Bench(pages=12, faults=ScriptedFaults([*[None] * 6, answer(429, b"{}", ("Retry-After", "6"))]))

    async def others(bench: Bench) -> None:
        await bench.clock.sleep(4)
        while bench.book is not None:
            slot = await bench.book.slot("psapi:xbox", pacing_endpoint(f"{BASE}/public-stash-tabs"))
            slot.close()
            await bench.clock.sleep(0.01)

    bench.run(seconds=120, beside=others)
    refused = events(bench, "rate limited")[0]
    assert refused.then == "the same page again in 6 s or later, as the limits allow"


@pytest.mark.parametrize("retry_after", [1, 6])
def test_the_end_of_a_rate_limit_is_told_unless_it_cost_a_second_or_so(retry_after: int) -> None:
    limited = answer(429, b"{}", ("Retry-After", str(retry_after)))
    bench = Bench(pages=12, faults=ScriptedFaults([None, None, limited]))
    bench.run()

    ends = [event.what for event in events(bench, "recovered")]
    assert ends == (["recovered after 1 try: rate limited: HTTP 429"] if retry_after > 5 else [])


def test_a_rate_limit_that_gives_way_to_another_trouble_has_not_recovered() -> None:
    limited = answer(429, b"{}", ("Retry-After", "20"))
    bench = Bench(pages=12, faults=ScriptedFaults([None, None, limited, answer(503), answer(503), answer(503)]))
    bench.run()

    (end,) = events(bench, "recovered")
    assert end.what == "recovered after 3 tries: HTTP 503"


def test_the_end_of_an_answer_of_the_edge_is_told() -> None:
    bench = Bench(pages=12, faults=ScriptedFaults([None, None, edge(403)]))
    bench.run()

    told, end = events(bench, "HTTP 403")
    assert end.what == f"recovered after 1 try: {told.what}"
    assert end.since == told.since


def test_a_body_that_is_set_aside_has_not_recovered() -> None:
    rubbish = [wrong_body(b"<html>ray %d</html>" % number) for number in range(10)]
    bench = Bench(pages=5, faults=ScriptedFaults([None, *rubbish]), policy=policy_until_caught_up(ahead=0))
    bench.run()

    assert events(bench, "is no page, again and again")
    assert events(bench, "recovered") == []


def test_a_ban_by_the_edge_shows_from_its_first_try_on_with_what_to_do() -> None:
    bench = Bench(pages=5, faults=ScriptedFaults([None, edge(429, BAN_PAGE)]))
    seen = watched(bench)

    during = [(state, trouble) for _, state, trouble in seen if trouble is not None]
    assert len(during) > 20
    assert all(state is QueueState.RETRYING and "edge error 1015" in trouble.what for state, trouble in during)
    assert all("POE_CONTACT" in trouble.todo for _, trouble in during)
    assert len(events(bench, "recovered after 1 try")) == 1
    assert bench.meter.trouble is None


def test_a_token_endpoint_that_restricted_us_before_the_start_is_a_wait_with_a_cause(tmp_path: Path) -> None:
    now = Bench.START
    RestrictionFile(tmp_path).save(SavedLimits({"token": SavedPolicy(now + 300, 300)}, {"oauth": "token"}))
    bench = Bench(pages=3, memory=tmp_path)
    seen = watched(bench)

    assert min(asked.at for asked in bench.api.truth.asked) >= now + 300
    assert "asking again in 300 s" in [event.then for event in events(bench, "a restriction of the API is in force")]
    assert all(state is QueueState.RESTRICTED for at, state, _ in seen if 2 < at < 299)


def test_an_answer_that_takes_long_is_told_before_it_is_there() -> None:
    bench = Bench(pages=3, faults=ScriptedFaults([None, Override("late", delay=28)]))
    bench.run()
    (first, *_) = events(bench, "no answer of the API")
    assert first.level is Level.INFO
    assert first.then
    assert first.since is not None
    assert first.at - first.since >= 15


def test_limits_that_leave_no_room_are_told() -> None:
    bench = Bench(pages=12, rules=Policy(STASH_POLICY, {"Ip": ["5:300:60"]}), policy=policy_until_caught_up(ahead=0))
    bench.run()
    told = events(bench, "leave no room")
    assert told
    assert all(re.match(r"asking again in \d+ s", event.then) for event in told)


def test_a_commit_that_takes_long_is_told_while_it_runs() -> None:
    bench = Bench(pages=2, commit_seconds=100.0)
    bench.run()
    told = events(bench, "on its way into the store for 30 s")
    assert told
    assert "ClickHouse" in told[0].then


def test_a_full_spool_shows_since_when_and_what_to_do_and_does_not_flood() -> None:
    latency = Latency(thinking=(0.05, 0.05))
    bench = Bench(pages=200, latency=latency, spool_bytes=3_000, commit_seconds=6.0)
    seen = watched(bench)

    full = [trouble for _, state, trouble in seen if state is QueueState.SPOOL_FULL]
    assert full
    assert all(trouble and "ClickHouse" in trouble.todo for trouble in full)
    assert len(events(bench, "the spool is full")) < 12


def test_a_pause_shows_as_a_pause_whatever_the_store_does() -> None:
    bench = Bench(pages=40, commit_seconds=2.0)
    bench.store.fail_commit = lambda _seq: (
        StoreError(StoreFault.UNREACHABLE, "refused") if bench.clock.elapsed < 40 else None
    )
    states: list[QueueState] = []

    async def meanwhile(bench: Bench) -> None:
        await bench.clock.sleep(5)
        assert bench.worker
        bench.worker.pause()
        await bench.clock.sleep(5)
        for _ in range(100):
            states.append(bench.meter.state)
            await bench.clock.sleep(1)
        bench.worker.resume()

    bench.run(beside=meanwhile)
    assert set(states) == {QueueState.PAUSED}
    assert bench.committed_chain == bench.expected_chain
    assert [event.then for event in events(bench, "paused")] == ["nothing is asked until it is resumed"]


def test_what_stopped_a_queue_stays_in_the_snapshot() -> None:
    bench = Bench(pages=5, faults=ScriptedFaults([None, answer(403, b'{"error":{"code":6,"message":"Forbidden"}}')]))
    with pytest.raises(QueueStopped) as caught:
        bench.run()
    assert bench.meter.state is QueueState.FAILED
    assert bench.meter.trouble is not None
    assert (bench.meter.trouble.what, bench.meter.trouble.todo) == (str(caught.value), caught.value.todo)


def test_an_event_says_since_when() -> None:
    event = Event(Bench.START + 100_000, Level.WARNING, "psapi:pc", "HTTP 503", "try 9 in 30 s", "", Bench.START)
    assert event.line() == "psapi:pc: HTTP 503 (since 2026-01-01 00:00:00Z) — try 9 in 30 s"
    assert moment(Bench.START + 5, Bench.START + 10) == "00:00:05Z"
    assert "since" not in Event(Bench.START, Level.INFO, "", "now", since=Bench.START).line()


def test_a_wait_whose_line_is_not_told_shows_in_the_snapshot() -> None:
    late = answer(503, b"", ("Retry-After", "45"))
    bench = Bench(pages=12, faults=ScriptedFaults([None, *(late if n % 2 else None for n in range(14))]))
    seen = watched(bench)
    told = {round(event.at) for event in events(bench, "HTTP 503")}
    asked = [asked.at for asked in bench.api.truth.asked if asked.status == 503]
    untold = [at for at in asked if not told & {round(at), round(at) + 1}]
    assert untold
    for at in untold:
        shown = [trouble for elapsed, _, trouble in seen if at + 2 < Bench.START + elapsed < at + 44]
        assert all(trouble is not None and trouble.next_try_at is not None for trouble in shown)


def test_a_slow_disk_shows_while_it_is_slow() -> None:
    bench = Bench(pages=6, put_seconds=lambda: 9.0)
    seen = watched(bench)
    shown = [trouble for _, _, trouble in seen if trouble and "the disk has been at a page" in trouble.what]
    assert len(shown) > 20
    assert bench.meter.trouble is None


@pytest.mark.parametrize(("used", "worked", "lost"), [(0.0, 2.0, True), (9.0, 12.0, False)])
def test_a_process_that_was_busy_was_not_stopped(used: float, worked: float, lost: bool) -> None:
    clock, cpu = VirtualClock(), 0.0
    patience = Patience(clock, lambda: cpu)
    for seconds in (1.0, 10.0, 1.0):  # a look that comes 9 s late
        clock.elapsed += seconds
        cpu += used if seconds == 10.0 else 0.0
        patience.beat()

    assert patience.worked == worked
    assert bool(patience.lost) is lost


def test_a_slow_disk_is_told_as_one() -> None:
    bench = Bench(pages=3, put_seconds=lambda: 9.0)
    bench.run()
    assert events(bench, "the disk took 9 s to take a page")
    assert not events(bench, "stopped or the machine slept")


@pytest.mark.parametrize(
    ("wall_only", "said"),
    [
        (False, "the process was stopped or the machine slept for 599 s"),
        (True, "the machine slept for 599 s, or its clock was set forward by them"),
    ],
)
def test_a_process_that_was_stopped_is_not_told_as_a_slow_disk(wall_only: bool, said: str) -> None:
    """As SIGSTOP does it, or a lid that is closed: nothing runs, and the clocks go on."""
    puts = []

    def stopped_once() -> float:
        puts.append(1)
        if len(puts) == 2:
            if wall_only:
                bench.clock._start += 600
            else:
                bench.clock.elapsed += 600
        return 0.0

    bench = Bench(pages=5, put_seconds=stopped_once)
    bench.run()

    assert len(bench.store.committed) == 5
    assert len(events(bench, said)) == 1
    assert not events(bench, "disk")
