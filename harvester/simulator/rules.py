"""The rate limits as the API enforces them: policies, rules, triplets, and a record of what broke one.

A `Window` says what counts; sliding windows are exact. Other kinds (`harvester.simulator.windows`) take the same place.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

STASH_POLICY = "public-stash-tabs-request-limit-pc"
TOKEN_POLICY = "token-request-limit"  # noqa: S105 - a name
OURS = "ours"
"""Who asks, where nobody else is named: the client under test."""
NEIGHBOUR = "neighbour"

OBSERVED_GROWTH = (60.0, 300.0, 1_800.0, 3_600.0)
"""Seconds of restriction on repeats, as harvesters have seen them."""


@dataclass(frozen=True, slots=True)
class Limit:
    """`hits:period:restriction`: at most `hits` in `period` seconds, else locked for `restriction`."""

    hits: int
    period: float
    restriction: float

    def __str__(self) -> str:
        return f"{self.hits}:{self.period:g}:{self.restriction:g}"

    @classmethod
    def parse(cls, text: str) -> Limit:
        """From the header's own writing; raises `ValueError`."""
        hits, period, restriction = text.split(":")
        return cls(int(hits), float(period), float(restriction))


class Window(Protocol):
    """Counts hits in the time that a limit looks back on."""

    def hit(self, now: float) -> int:
        """Count one hit and return all that count at `now`, this one included."""

    def since(self, now: float) -> float:
        """The earliest moment whose hits count at `now`."""


class SlidingWindow:
    """Exact: a hit counts for `period` seconds and not one instant longer."""

    def __init__(self, limit: Limit) -> None:
        self._period = limit.period
        self._hits: deque[float] = deque()

    def hit(self, now: float) -> int:
        while self._hits and now - self._hits[0] >= self._period:
            self._hits.popleft()
        self._hits.append(now)
        return len(self._hits)

    def since(self, now: float) -> float:
        return math.nextafter(now - self._period, math.inf)


WindowKind = Callable[[Limit], Window]


@dataclass(frozen=True, slots=True)
class Broken:
    """One request that broke a rule."""

    at: float
    policy: str
    rule: str
    limit: str
    used: int
    who: str
    locked: bool
    """It came while a restriction was in force."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the rules say of one request."""

    headers: tuple[tuple[str, str], ...]
    """Policy, rules, limits and State; on a refusal also `Retry-After`."""
    broken: tuple[Broken, ...]

    @property
    def allowed(self) -> bool:
        """Whether the request may be answered; else 429."""
        return not self.broken


class Neighbour(Protocol):
    """Somebody else who eats from the same counters."""

    def hits_until(self, now: float) -> Sequence[float]:
        """The moments of its requests since the last call, in order."""


class Counter:
    """One triplet with its window and its restriction."""

    def __init__(self, limit: Limit, kind: WindowKind) -> None:
        self.limit = limit
        self.window = kind(limit)
        self.locked_until = -math.inf
        self.lock_seconds = 0.0
        """How long the last restriction was."""
        self.used = 0

    def active(self, now: float) -> int:
        """Seconds of restriction left, as the State says it."""
        return ceil(max(0.0, self.locked_until - now))

    def state(self, now: float) -> str:
        """The triplet of the State header."""
        return f"{self.used}:{self.limit.period:g}:{self.active(now)}"


class Policy:
    """A named set of rules. Endpoints that share a policy share this object, and so its counters."""

    def __init__(
        self,
        name: str,
        rules: Mapping[str, Sequence[str]],
        window: WindowKind = SlidingWindow,
        *,
        growth: Sequence[float] = (),
        memory: float = 3_600.0,
        neighbour: Neighbour | None = None,
        changes: Sequence[tuple[float, Mapping[str, Sequence[str]]]] = (),
    ) -> None:
        """`rules`: triplets by rule name, for example `{"Ip": ["2:1:60"]}`.

        `growth`: a restriction within `memory` seconds of the end of the one before takes the next longer of these
        seconds (as seen: 60, 300, 1800, 3600). `neighbour` shares the counters. `changes`: other rules from given
        moments on.
        """
        self.name = name
        self._window = window
        self._growth = tuple(sorted(growth))
        self._memory = memory
        self._neighbour = neighbour
        self._changes = deque(sorted(changes, key=lambda change: change[0]))
        self.counters: dict[str, list[Counter]] = {}
        """By rule, in the order of the headers."""
        self.change(rules)

    def change(self, rules: Mapping[str, Sequence[str]]) -> None:
        """Other rules from now on; counters begin anew."""
        self.counters = {
            name: [Counter(Limit.parse(text), self._window) for text in triplets] for name, triplets in rules.items()
        }

    def ask(self, now: float, who: str = OURS) -> Verdict:
        """Count a request and judge it; the answer's headers tell the state after it."""
        broken = self.count(now, who)
        headers = self._headers(now)
        if broken:
            headers.append(("Retry-After", str(self.retry_after(now))))
        return Verdict(tuple(headers), broken)

    def count(self, now: float, who: str = OURS) -> tuple[Broken, ...]:
        """Count a request and judge it. Refused ones count too; a restriction in force is not prolonged."""
        if self._neighbour is not None:
            for at in self._neighbour.hits_until(now):
                self._count(at, NEIGHBOUR)
        return self._count(now, who)

    def retry_after(self, now: float) -> int:
        """Seconds until the longest restriction ends; 1 at least."""
        return max(1, *(counter.active(now) for counters in self.counters.values() for counter in counters))

    def _count(self, now: float, who: str) -> tuple[Broken, ...]:
        while self._changes and self._changes[0][0] <= now:
            self.change(self._changes.popleft()[1])
        broken: list[Broken] = []
        for rule, counters in self.counters.items():
            for counter in counters:
                limit = counter.limit
                locked = now < counter.locked_until
                counter.used = counter.window.hit(now)
                if not locked and counter.used > limit.hits:
                    self._lock(counter, now)
                if locked or counter.used > limit.hits:
                    broken.append(Broken(now, self.name, rule, str(limit), counter.used, who, locked))
        return tuple(broken)

    def _lock(self, counter: Counter, now: float) -> None:
        seconds = counter.limit.restriction
        if now - counter.locked_until < self._memory:
            longer = (step for step in self._growth if step > counter.lock_seconds)
            seconds = next(longer, max(seconds, counter.lock_seconds))
        counter.lock_seconds = seconds
        counter.locked_until = now + seconds

    def _headers(self, now: float) -> list[tuple[str, str]]:
        headers = [("X-Rate-Limit-Policy", self.name), ("X-Rate-Limit-Rules", ",".join(self.counters))]
        for rule, counters in self.counters.items():
            limits = ",".join(str(counter.limit) for counter in counters)
            states = ",".join(counter.state(now) for counter in counters)
            headers += [(f"X-Rate-Limit-{rule}", limits), (f"X-Rate-Limit-{rule}-State", states)]
        return headers


def stash_policy() -> Policy:
    """The public stash policy as seen: two requests a second, a minute's lock."""
    return Policy(STASH_POLICY, {"Ip": ["2:1:60"]})


def token_policy() -> Policy:
    """The policy of the token endpoint."""
    return Policy(TOKEN_POLICY, {"Ip": ["60:30:30"]})
