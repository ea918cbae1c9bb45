"""The rate limits as the API enforces them: policies, rules, triplets, and a record of what broke one.

A `Window` says what counts; sliding windows are exact. Other kinds of windows take the same place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

STASH_POLICY = "public-stash-tabs-request-limit-pc"
TOKEN_POLICY = "token-request-limit"  # noqa: S105 - a name
OURS = "ours"
"""Who asks, where nobody else is named: the client under test."""


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


class _Counter:
    """One triplet with its window and its restriction."""

    def __init__(self, limit: Limit, kind: WindowKind) -> None:
        self.limit = limit
        self.window = kind(limit)
        self.locked_until = float("-inf")
        self.used = 0

    def state(self, now: float) -> str:
        return f"{self.used}:{self.limit.period:g}:{ceil(max(0.0, self.locked_until - now))}"


class Policy:
    """A named set of rules. Endpoints that share a policy share this object, and so its counters."""

    def __init__(
        self, name: str, rules: Mapping[str, Sequence[str]], window: WindowKind = SlidingWindow
    ) -> None:
        """`rules`: triplets by rule name, for example `{"Ip": ["2:1:60"]}`."""
        self.name = name
        self._window = window
        self._rules: dict[str, list[_Counter]] = {}
        self.change(rules)

    def change(self, rules: Mapping[str, Sequence[str]]) -> None:
        """Other rules from now on; counters begin anew."""
        self._rules = {
            name: [_Counter(Limit.parse(text), self._window) for text in triplets]
            for name, triplets in rules.items()
        }

    def ask(self, now: float, who: str = OURS) -> Verdict:
        """Count a request and judge it. Refused ones count too; a restriction in force is not prolonged."""
        broken = []
        wait = 0.0
        for rule, counters in self._rules.items():
            for counter in counters:
                limit = counter.limit
                locked = now < counter.locked_until
                counter.used = counter.window.hit(now)
                if not locked and counter.used > limit.hits:
                    counter.locked_until = now + limit.restriction
                if locked or counter.used > limit.hits:
                    broken.append(Broken(now, self.name, rule, str(limit), counter.used, who, locked))
                    wait = max(wait, counter.locked_until - now)
        headers = self._headers(now)
        if broken:
            headers.append(("Retry-After", str(max(1, ceil(wait)))))
        return Verdict(tuple(headers), tuple(broken))

    def _headers(self, now: float) -> list[tuple[str, str]]:
        headers = [("X-Rate-Limit-Policy", self.name), ("X-Rate-Limit-Rules", ",".join(self._rules))]
        for rule, counters in self._rules.items():
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
