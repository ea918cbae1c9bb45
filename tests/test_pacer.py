"""The pacer against a small exact model of the server, in virtual time."""

from __future__ import annotations

import asyncio
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
    pacer: Pacer, server: Server, clock: VirtualClock, latency: Latency, seconds: float, callers: int = 4
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
    {"Ip": "1:5:60"},
    {"Ip": "15:10:60,30:300:300"},
    {"Ip": "8:10:60,15:60:120,60:300:1800", "Account": "3:5:60"},
    {"Ip": "60:30:30"},
]


@pytest.mark.parametrize("rules", SETS, ids=str)
@pytest.mark.parametrize("fixed", [False, True], ids=["sliding", "fixed"])
def test_never_breaks_a_limit_whatever_the_jitter(rules: dict[str, str], fixed: bool) -> None:
    for seed in range(3):
        server = Server(rules, fixed=fixed)

        async def main(clock: VirtualClock) -> int:
            pacer = Pacer(clock)
            return await harvest(pacer, server, clock, jitter(seed), 3_600)

        count = run(main, start=seed * 0.37)
        assert server.violations == []
        hits, period, _ = min(
            (t for rule in rules for t in server.triplets(rule)), key=lambda t: t[0] / t[1]
        )
        assert count >= 0.6 * 3_600 * hits / period
