"""The pacer against a small exact model of the server, in virtual time."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harvester.api.pacer import Pacer
from harvester.api.pacer_book import PacerBook
from harvester.api.rate_limit import parse_limits
from harvester.api.restrictions import FILE_NAME, RestrictionFile
from harvester.api.throttle import Throttle
from harvester.api.window import RoundTrips
from harvester.clock import VirtualClock, virtual_time
from harvester.model import Limits

Latency = Callable[[], tuple[float, float]]


@dataclass
class Server:
    """Counts exactly. `bucket` 0 is a sliding window; a `fixed` one starts anew every period."""

    rules: dict[str, str]
    policy: str | None = "p"
    bucket: float = 0.0
    fixed: bool = False
    hits: list[float] = field(default_factory=list)
    violations: list[float] = field(default_factory=list)
    early: int = 0
    locked_until: float = 0.0

    def triplets(self, rule: str) -> list[tuple[int, int, int]]:
        return [tuple(map(int, part.split(":"))) for part in self.rules[rule].split(",")]  # type: ignore[misc]

    def used(self, now: float, period: int) -> int:
        if self.fixed:
            start = now // period * period
            return sum(hit >= start for hit in self.hits[-200:])
        if self.bucket:
            start = (now - period) // self.bucket * self.bucket
            return sum(hit >= start for hit in self.hits[-200:])
        return sum(hit > now - period for hit in self.hits[-200:])

    def arrive(self, now: float, *, ours: bool = True) -> tuple[int, Limits]:
        if now < self.locked_until:
            self.early += ours
            return 429, self.headers(now)
        self.hits.append(now)
        status = 200
        for rule in self.rules:
            for hits, period, restriction in self.triplets(rule):
                if self.used(now, period) > hits:
                    status = 429
                    self.locked_until = max(self.locked_until, now + restriction)
        if status == 429 and ours:
            self.violations.append(now)
        return status, self.headers(now)

    def headers(self, now: float) -> Limits:
        left = max(0, round(self.locked_until - now))
        headers = {"X-Rate-Limit-Rules": ",".join(self.rules)}
        if self.policy:
            headers["X-Rate-Limit-Policy"] = self.policy
        for rule, limits in self.rules.items():
            headers[f"X-Rate-Limit-{rule}"] = limits
            headers[f"X-Rate-Limit-{rule}-State"] = ",".join(
                f"{self.used(now, period)}:{period}:{left}" for _, period, _ in self.triplets(rule)
            )
        if left:
            headers["Retry-After"] = str(left)
        return parse_limits(headers)


def jitter(seed: int, most: float = 0.2, base: float = 0.02) -> Latency:
    rng = random.Random(seed)
    return lambda: (base + rng.uniform(0, most), base + rng.uniform(0, most))


def constant(up: float, down: float) -> Latency:
    return lambda: (up, down)


async def exchange(pacer: Pacer, server: Server, clock: VirtualClock, latency: Latency) -> int:
    slot = await pacer.slot()
    slot.sent()
    return await finish(slot, server, clock, latency)


async def finish(slot: Any, server: Server, clock: VirtualClock, latency: Latency) -> int:
    up, down = latency()
    await clock.sleep(up)
    status, limits = server.arrive(clock.monotonic())
    await clock.sleep(down)
    slot.answered(limits, status)
    return status


async def harvest(
    pacer: Pacer, server: Server, clock: VirtualClock, latency: Latency, seconds: float, *, callers: int = 4
) -> int:
    """Several callers ask as fast as they may, for `seconds`; how many answers came."""
    end = clock.monotonic() + seconds
    count = 0

    async def caller() -> None:
        nonlocal count
        while clock.monotonic() < end:
            await exchange(pacer, server, clock, latency)
            count += 1

    await asyncio.gather(*(caller() for _ in range(callers)))
    return count


def run(main: Callable[[VirtualClock], Coroutine[Any, Any, Any]], start: float = 0.0) -> Any:
    clock = VirtualClock()
    clock.elapsed = start
    return virtual_time(main(clock), clock)


SETS = [
    {"Ip": "2:1:60"},
    {"Ip": "15:10:60,30:300:300"},
    {"Ip": "8:10:60,15:60:120,60:300:1800", "Account": "3:5:60"},
    {"Ip": "60:30:30"},
]


@pytest.mark.parametrize("rules", SETS, ids=lambda rules: " ".join(rules.values()))
@pytest.mark.parametrize("fixed", [False, True], ids=["sliding", "fixed"])
def test_no_limit_is_ever_broken_whatever_the_jitter(rules: dict[str, str], fixed: bool) -> None:
    hours = 0.5 if "60:30:30" in rules.values() else 1
    server = Server(rules, fixed=fixed)

    async def main(clock: VirtualClock) -> int:
        return await harvest(Pacer(clock), server, clock, jitter(len(rules)), hours * 3_600)

    count = run(main, start=0.37)
    assert server.violations == []
    slowest = min(hits / period for rule in rules for hits, period, _ in server.triplets(rule))
    assert count >= 0.6 * hours * 3_600 * slowest


@pytest.mark.parametrize("seed", range(20))
def test_the_first_minutes_are_as_safe_as_the_rest(seed: int) -> None:
    server = Server({"Ip": "2:1:60"})
    run(lambda clock: harvest(Pacer(clock), server, clock, jitter(seed), 120), start=seed / 7)
    assert server.violations == []


@pytest.mark.parametrize("up", [0.02, 0.15, 0.28])
def test_constant_latency_costs_at_most_15_percent_of_the_rate(up: float) -> None:
    server = Server({"Ip": "2:1:60"})
    count = run(lambda clock: harvest(Pacer(clock), server, clock, constant(up, 0.3 - up), 1_200))
    assert server.violations == []
    assert count >= 0.85 * 2 * 1_200


@pytest.mark.parametrize(
    ("limits", "bucket"),
    [("2:1:60", 0.15), ("2:1:60", 0.5), ("2:1:60", 1.0), ("15:10:60", 5.0), ("30:60:60,60:300:300", 60.0)],
)
def test_a_bucketed_server_costs_one_429_at_most(limits: str, bucket: float) -> None:
    server = Server({"Ip": limits}, bucket=bucket)
    run(lambda clock: harvest(Pacer(clock), server, clock, jitter(3), 3_600), start=0.123)
    assert len(server.violations) <= 1
    assert server.early == 0


def test_a_429_is_told_with_what_it_did_to_the_pace() -> None:
    server, told = Server({"Ip": "2:1:60"}, bucket=1.0), list[Throttle]()
    run(
        lambda clock: harvest(Pacer(clock, throttled=told.append), server, clock, jitter(3), 600),
        start=0.123,
    )
    assert len(server.violations) == 1
    (throttle,) = told
    assert (throttle.policy, throttle.http_status) == ("p", 429)
    assert throttle.restricted_seconds >= 60.0
    assert throttle.margin_after > throttle.margin_before
    assert throttle.pace_after > throttle.pace_before


def test_a_margin_widened_by_mistake_shrinks_again() -> None:
    """One 429 that no bucket explains: the States that follow prove it, and most of the rate comes back."""
    server = Server({"Ip": "15:10:60"})

    async def main(clock: VirtualClock) -> tuple[float, float]:
        pacer = Pacer(clock)
        await harvest(pacer, server, clock, constant(0.1, 0.1), 60)
        server.hits += [clock.monotonic()] * 15  # somebody else fills the window at once
        await harvest(pacer, server, clock, constant(0.1, 0.1), 120)
        wide = pacer.snapshot().margin_seconds
        await harvest(pacer, server, clock, constant(0.1, 0.1), 3_600)
        return wide, pacer.snapshot().margin_seconds

    wide, later = run(main)
    assert wide > 10
    assert later < 0.3 * wide
    assert len(server.violations) == 1


def test_neighbours_are_left_room() -> None:
    """A refusal is ours when the hits that the last State showed were still enough to fill the window."""
    server = Server({"Ip": "15:10:60"})
    blamed = 0

    async def main(clock: VirtualClock) -> int:
        nonlocal blamed
        rng = random.Random(7)
        pacer = Pacer(clock)
        seen_at = -1.0

        async def neighbour() -> None:
            while True:
                await clock.sleep(rng.expovariate(0.2))
                server.arrive(clock.monotonic(), ours=False)

        async def caller() -> None:
            nonlocal blamed, seen_at
            latency = jitter(9)
            while clock.monotonic() < 4 * 3_600:
                slot = await pacer.slot()
                slot.sent()
                seen_when_sent = seen_at
                up, down = latency()
                await clock.sleep(up)
                arrived = clock.monotonic()
                broken = len(server.violations)
                status, limits = server.arrive(arrived)
                if len(server.violations) > broken:
                    known = [hit for hit in server.hits if arrived - 10 < hit <= seen_when_sent]
                    blamed += len(known) >= 15
                await clock.sleep(down)
                seen_at = max(seen_at, arrived)
                slot.answered(limits, status)

        noise = asyncio.create_task(neighbour())
        await asyncio.gather(caller(), caller(), caller())
        noise.cancel()
        return 0

    run(main)
    assert blamed == 0


def test_a_hit_that_may_be_a_neighbours_is_waited_out_like_one() -> None:
    """The State counts two: this request, and either our slow earlier one or somebody else's later one."""

    async def main(clock: VirtualClock) -> float:
        pacer = Pacer(clock)
        (await pacer.slot()).answered(parse_limits(HEADERS_2_1), 200)
        await clock.sleep(5)
        first = await pacer.slot()
        first.sent()
        second = await pacer.slot()
        second.sent()  # 0.55 s later
        await clock.sleep(0.05)
        first.answered(parse_limits(HEADERS_2_1), 200)
        await clock.sleep(0.5)
        second.answered(parse_limits({**HEADERS_2_1, "X-Rate-Limit-Ip-State": "2:1:0"}), 200)
        return pacer.next_slot_at() - clock.monotonic()

    assert run(main) == pytest.approx(1.1)


def test_the_smallest_round_trip_is_trusted_only_as_far_as_it_is_known() -> None:
    def discount(trips: list[float]) -> float:
        seen = RoundTrips()
        for trip in trips:
            seen.add(trip)
        return seen.discount()

    rng = random.Random(1)
    jittery = [0.2 + rng.uniform(0, 0.1) + rng.uniform(0, 0.1) for _ in range(2_000)]
    assert discount(jittery[:5]) == 0
    assert all(discount(jittery[:count]) < 0.2 for count in range(16, 64))
    assert 0.19 < discount(jittery) < 0.22
    assert discount([0.3] * 20) == pytest.approx(0.3)
    assert discount([0.1] * 20 + [0.5] * 2_000) == pytest.approx(0.5, abs=0.02)  # a route that became longer


def test_a_state_without_room_is_waited_out() -> None:
    server = Server({"Ip": "5:60:600"})

    async def main(clock: VirtualClock) -> float:
        server.hits += [clock.monotonic() - 1] * 4
        pacer = Pacer(clock)
        await exchange(pacer, server, clock, constant(0.1, 0.1))
        return pacer.next_slot_at() - clock.monotonic()

    assert run(main, start=100) == pytest.approx(60.1, abs=0.3)


def test_a_restriction_blocks_everybody_until_it_is_over() -> None:
    server = Server({"Ip": "2:1:60"})

    async def main(clock: VirtualClock) -> float:
        pacer = Pacer(clock)
        server.locked_until = clock.monotonic() + 0.1 + 47
        assert await exchange(pacer, server, clock, constant(0.1, 0.1)) == 429
        restricted_until = pacer.snapshot().restricted_until
        assert restricted_until == pytest.approx(clock.now() + 47, abs=0.2)
        sent: list[float] = []

        async def one() -> None:
            slot = await pacer.slot()
            sent.append(clock.monotonic())
            slot.close()

        await asyncio.gather(one(), one())
        return min(sent)

    assert 47.2 <= run(main) <= 48.2
    assert server.early == 1


def test_a_429_that_says_nothing_waits_longer_each_time() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        pacer, waits = Pacer(clock), []
        for _ in range(4):
            slot = await pacer.slot()
            slot.sent()
            slot.answered(Limits(), 429)
            waits.append(pacer.restricted_for())
        return waits

    assert run(main) == [60, 120, 240, 480]


def test_retry_after_without_a_429_is_obeyed_too() -> None:
    async def main(clock: VirtualClock) -> float:
        pacer = Pacer(clock)
        slot = await pacer.slot()
        slot.answered(parse_limits({"Retry-After": "30"}), 503)
        return pacer.restricted_for()

    assert run(main) == pytest.approx(30, abs=0.2)


def test_a_restriction_told_by_the_state_alone_is_obeyed() -> None:
    headers = {
        "X-Rate-Limit-Policy": "p",
        "X-Rate-Limit-Rules": "Ip",
        "X-Rate-Limit-Ip": "5:10:60",
        "X-Rate-Limit-Ip-State": "1:10:47",
    }

    async def main(clock: VirtualClock) -> float:
        pacer = Pacer(clock)
        slot = await pacer.slot()
        slot.answered(parse_limits(headers), 200)
        return pacer.restricted_for()

    assert run(main) == pytest.approx(47, abs=0.2)


def test_without_headers_it_is_one_request_a_second() -> None:
    async def main(clock: VirtualClock) -> list[float]:
        pacer, sent = Pacer(clock), []
        for _ in range(4):
            slot = await pacer.slot()
            slot.sent()
            sent.append(clock.monotonic())
            slot.answered(Limits(), 200)
        return sent

    assert run(main) == pytest.approx([0, 1, 2, 3])


def test_requests_overlap_but_departures_are_even() -> None:
    server = Server({"Ip": "10:10:60"})

    async def main(clock: VirtualClock) -> tuple[list[float], int]:
        pacer, sent, most = Pacer(clock), [], 0

        async def caller() -> None:
            nonlocal most
            for _ in range(20):
                slot = await pacer.slot()
                slot.sent()
                sent.append(clock.monotonic())
                most = max(most, pacer.snapshot().in_flight)
                await finish(slot, server, clock, constant(1.5, 1.5))

        await asyncio.gather(*(caller() for _ in range(5)))
        return sent, most

    sent, most = run(main)
    gaps = [after - before for before, after in itertools.pairwise(sent[30:])]
    assert most >= 3
    assert max(gaps) - min(gaps) < 0.3
    assert server.violations == []


def test_requests_without_an_answer_count_as_late_as_they_may_have_arrived() -> None:
    async def main(clock: VirtualClock) -> float:
        pacer = Pacer(clock)
        slot = await pacer.slot()
        slot.answered(parse_limits(HEADERS_2_1), 200)
        lost = [await pacer.slot(), await pacer.slot()]
        for one in lost:
            one.sent()
        assert pacer.snapshot().next_slot_seconds is None
        await clock.sleep(20)
        for one in lost:
            one.failed()
        return pacer.next_slot_at() - clock.monotonic()

    assert run(main) == pytest.approx(1.1)


HEADERS_2_1 = {
    "X-Rate-Limit-Policy": "p",
    "X-Rate-Limit-Rules": "Ip",
    "X-Rate-Limit-Ip": "2:1:60",
    "X-Rate-Limit-Ip-State": "1:1:0",
}


def test_a_cancelled_waiter_and_a_returned_slot_leave_no_trace() -> None:
    async def main(clock: VirtualClock) -> float:
        pacer = Pacer(clock)
        (await pacer.slot()).answered(parse_limits(HEADERS_2_1), 200)
        waiters = [asyncio.create_task(pacer.slot()) for _ in range(3)]
        await clock.sleep(0.01)
        waiters[0].cancel()
        waiters[1].cancel()
        slot = await waiters[2]
        slot.close()
        slot.close()
        assert pacer.snapshot().in_flight == 0
        assert pacer.snapshot().waiting == 0
        return clock.monotonic()

    assert run(main) < 2


def test_changed_limits_hold_from_the_answer_that_tells_them() -> None:
    server = Server({"Ip": "2:1:60"})

    async def main(clock: VirtualClock) -> int:
        pacer = Pacer(clock)
        for limits in ("2:1:60", "10:60:60,2:5:10", "30:60:60", "1:2:30", "2:1:60"):
            server.rules = {"Ip": limits}
            # The server enforces from the answer that tells: what came before is not held against us.
            server.hits.clear()
            await harvest(pacer, server, clock, constant(0.1, 0.1), 600, callers=1)
        return 0

    run(main)
    assert server.violations == []


def test_limits_that_tighten_keep_what_was_already_sent() -> None:
    server = Server({"Ip": "20:1:60"})

    async def main(clock: VirtualClock) -> float:
        pacer = Pacer(clock)
        await harvest(pacer, server, clock, constant(0.1, 0.1), 5)
        server.rules = {"Ip": "200:60:60"}
        await harvest(pacer, server, clock, constant(0.1, 0.1), 600)
        return 0

    run(main)
    assert server.violations == []


def test_the_wall_clock_may_jump() -> None:
    server = Server({"Ip": "2:1:60"})

    class Jumping(VirtualClock):
        def now(self) -> float:
            return super().now() - 1e6 * (int(self.elapsed) % 2)

    clock = Jumping()
    count = virtual_time(harvest(Pacer(clock), server, clock, constant(0.1, 0.1), 300), clock)
    assert server.violations == []
    assert count >= 500


def test_the_snapshot_tells_what_the_screen_shows() -> None:
    server = Server({"Ip": "2:1:60"})

    async def main(clock: VirtualClock) -> None:
        pacer = Pacer(clock, name="api/x")
        assert (pacer.snapshot().name, pacer.snapshot().rules) == ("api/x", ())
        await exchange(pacer, server, clock, constant(0.1, 0.1))
        snapshot = pacer.snapshot()
        assert (snapshot.name, snapshot.policy) == ("p", "p")
        (triplet,) = snapshot.rules[0].triplets
        assert (triplet.hits, triplet.period, triplet.used) == (2, 1, 1)
        assert snapshot.pace_seconds == pytest.approx(0.55)
        assert snapshot.next_slot_seconds == pytest.approx(0.35)
        assert snapshot.restricted_until is None
        assert snapshot.margin_seconds == pytest.approx(0.1)

    run(main)


# -- the book ------------------------------------------------------------------------------------------


def named(policy: str, **more: str) -> Limits:
    return parse_limits({**HEADERS_2_1, "X-Rate-Limit-Policy": policy, **more})


def test_queues_of_one_policy_share_a_pacer_and_its_history() -> None:
    async def main(clock: VirtualClock) -> None:
        book = PacerBook(clock)
        first, second = await book.slot("a:pc", "host/a"), await book.slot("b:pc", "host/b")
        assert book.pacer("a:pc", "host/a") is not book.pacer("b:pc", "host/b")
        waiter = asyncio.create_task(book.slot("b:pc", "host/b"))
        first.sent()
        second.sent()
        await clock.sleep(0.1)
        first.answered(named("one"), 200)
        second.answered(named("one"), 200)
        assert book.pacer("a:pc", "host/a") is book.pacer("b:pc", "host/b")
        assert [snapshot.name for snapshot in book.snapshots()] == ["one"]
        assert book.snapshots()[0].rules[0].triplets[0].used == 2
        slot = await waiter  # it waited at the pacer that is gone
        assert clock.monotonic() >= 1
        slot.close()

    run(main)


def test_realms_of_one_endpoint_part_when_their_policies_differ() -> None:
    async def main(clock: VirtualClock) -> None:
        book = PacerBook(clock)
        for queue in ("psapi:pc", "psapi:xbox"):
            slot = await book.slot(queue, "host/stashes")
            slot.answered(named(f"limit-{queue}"), 200)
        names = {queue: book.pacer(queue, "host/stashes").policy for queue in ("psapi:pc", "psapi:xbox")}
        assert names == {"psapi:pc": "limit-psapi:pc", "psapi:xbox": "limit-psapi:xbox"}

    run(main)


def test_a_restriction_outlives_a_restart(tmp_path: Path) -> None:
    async def before(clock: VirtualClock) -> None:
        book = PacerBook(clock, RestrictionFile(tmp_path))
        slot = await book.slot("psapi:pc", "host/stashes")
        slot.answered(named("p", **{"Retry-After": "600"}), 429)

    async def after(clock: VirtualClock) -> float:
        book = PacerBook(clock, RestrictionFile(tmp_path))
        slot = await book.slot("psapi:pc", "host/stashes")
        assert book.snapshots()[0].policy == "p"
        slot.close()
        return clock.now()

    run(before)
    later = VirtualClock(start=VirtualClock().now() + 100)
    ended = virtual_time(after(later), later)
    assert ended - VirtualClock().now() == pytest.approx(600, abs=1)
    # A wall clock that was set back makes nobody wait longer than the restriction lasted.
    back = VirtualClock(start=VirtualClock().now() - 86_400)
    virtual_time(after(back), back)
    assert back.elapsed == pytest.approx(600, abs=1)


def test_a_restart_leaves_room_for_hits_nobody_remembers(tmp_path: Path) -> None:
    server = Server({"Ip": "2:1:60"})
    clock = VirtualClock()
    for life in range(50):

        async def one_life(pages: int) -> None:
            book = PacerBook(clock, RestrictionFile(tmp_path))
            for _ in range(pages):
                slot = await book.slot("psapi:pc", "host/stashes")
                slot.sent()
                await finish(slot, server, clock, constant(0.01, 0.01))

        elapsed = clock.elapsed
        virtual_time(one_life(2 + life % 3), clock)
        assert clock.elapsed > elapsed
    assert server.violations == []


def test_a_restriction_without_a_policy_outlives_a_restart_too(tmp_path: Path) -> None:
    async def before(clock: VirtualClock) -> None:
        book = PacerBook(clock, RestrictionFile(tmp_path))
        (await book.slot("cxapi:pc", "cdn/api")).answered(Limits(retry_after=90), 429)

    async def after(clock: VirtualClock) -> float:
        return PacerBook(clock, RestrictionFile(tmp_path)).pacer("cxapi:pc", "cdn/api").restricted_for()

    run(before)
    assert run(after) == pytest.approx(90, abs=1)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"policies": 3}', b'{"version": 9}', b"\xff"])
def test_a_torn_file_is_none_and_says_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    warnings: list[str] = []

    async def main(clock: VirtualClock) -> None:
        book = PacerBook(clock, RestrictionFile(tmp_path), warn=warnings.append)
        (await book.slot("psapi:pc", "host/stashes")).answered(named("p"), 200)

    run(main)
    assert len(warnings) == 1
    assert FILE_NAME in warnings[0]
    assert json.loads((tmp_path / FILE_NAME).read_bytes())["queues"] == {"psapi:pc": "p"}
    assert [path.name for path in tmp_path.iterdir()] == [FILE_NAME]


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    warnings: list[str] = []

    async def main(clock: VirtualClock) -> None:
        book = PacerBook(clock, RestrictionFile(tmp_path / "file"), warn=warnings.append)
        for _ in range(3):
            (await book.slot("psapi:pc", "host/stashes")).answered(named("p"), 200)

    run(main)
    assert any("cannot be written" in warning for warning in warnings)
    assert len(warnings) <= 2


def test_the_file_is_written_only_when_it_has_news(tmp_path: Path) -> None:
    saved: list[Any] = []

    class Counting(RestrictionFile):
        def save(self, limits: Any) -> None:
            saved.append(limits)
            super().save(limits)

    async def main(clock: VirtualClock) -> None:
        book = PacerBook(clock, Counting(tmp_path))
        for _ in range(20):
            slot = await book.slot("psapi:pc", "host/stashes")
            slot.sent()
            slot.answered(named("p"), 200)

    run(main)
    assert len(saved) == 1
