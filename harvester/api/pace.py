"""When may the next request leave? The arithmetic of pacing: no waiting, no I/O, times handed in.

The server counts a request at some moment between our sending it and its headers reaching us. A request
that leaves no earlier than those headers, plus the period, minus the smallest round trip, arrives at least
one period after the counted one, whatever way the two latencies were split. So while fewer than `hits`
requests are live in that sense, one more cannot break `hits:period`, whether the server slides its window
or starts it at fixed times.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

from harvester.api.window import Hit, RoundTrips, Window
from harvester.model import Limits, Rule, Triplet

BASE_MARGIN = 0.1
"""Seconds on top of what is proved. It covers a route that gets faster between two requests by up to this
much; at 2:1 and 300 ms latency it costs 9 % of the rate."""

UNKNOWN_SPACING = 1.0
"""Seconds between requests while no limits are known."""

UNEXPLAINED_RESTRICTION = 60.0
"""Seconds to stay away after a 429 that says nothing; doubled for each further one in a row."""

LONGEST_UNEXPLAINED = 1_800.0
LONGEST_RESTRICTION = 7 * 86_400.0

_KEPT_WITHOUT_LIMITS = 120.0
_RESTART_DOUBT = 5.0


class Pace:
    """The limits of one policy, our own hits, and what others use. Times are monotonic seconds.

    The questions change nothing and may be asked from another thread, for a screen.
    """

    def __init__(self, base_margin: float = BASE_MARGIN) -> None:
        self._base_margin = base_margin
        self._windows: list[Window] = []
        self._hits: deque[Hit] = deque()
        self._trips = RoundTrips()
        self._last_departure = -math.inf
        self._blocked_until = -math.inf
        self._not_before = -math.inf
        self._limits_sent_at = -math.inf
        self._widened_at = -math.inf
        self._unexplained = 0
        self.rules: tuple[Rule, ...] = ()

    # -- asking ----------------------------------------------------------------------------------------

    def earliest(self, now: float) -> float:
        """When the next request may leave; infinity when only an answer can make room."""
        at = max(now, self._blocked_until, self._not_before, self._last_departure + self.spacing(now))
        discount = self._trips.discount()
        hits = tuple(self._hits)
        for window in self._windows:
            at = max(at, window.room_at(hits, discount))
        return at

    def spacing(self, now: float) -> float:
        """Seconds between two departures that keep all windows evenly filled."""
        if not self._windows:
            return UNKNOWN_SPACING
        return max(window.spacing(now) for window in self._windows)

    @property
    def blocked_until(self) -> float:
        """End of the restriction in force; in the past (or minus infinity) when there is none."""
        return self._blocked_until

    @property
    def margin(self) -> float:
        """Seconds of caution in force: the widest window's."""
        return max((window.margin for window in self._windows), default=self._base_margin)

    @property
    def learned(self) -> tuple[float, ...]:
        """For each triplet in order: seconds for which the server was found to count beyond the period."""
        return tuple(window.learned for window in self._windows)

    @property
    def in_flight(self) -> int:
        """Requests granted or sent whose headers have not come."""
        return sum(hit.settled_at is None for hit in tuple(self._hits))

    def usage(self, now: float) -> tuple[Rule, ...]:
        """The rules, with `used` as we must count it now: our live hits and the neighbours seen."""
        discount = self._trips.discount()
        left = math.ceil(max(0.0, self._blocked_until - now))
        hits, windows = tuple(self._hits), {window.key: window for window in self._windows}
        rules = []
        for rule in self.rules:
            triplets = []
            for triplet in rule.triplets:
                window = windows.get((rule.name, triplet.hits, triplet.period))
                used = None if window is None else window.live(hits, discount, now)
                triplets.append(replace(triplet, used=used, active_restriction=left))
            rules.append(Rule(rule.name, tuple(triplets)))
        return tuple(rules)

    # -- telling ---------------------------------------------------------------------------------------

    def grant(self, now: float) -> Hit:
        """Hand out a slot: from now on it counts as a request that may arrive at any time."""
        self._forget(now)
        hit = Hit(granted_at=now)
        self._hits.append(hit)
        self._last_departure = max(self._last_departure, now)
        return hit

    def sent(self, hit: Hit, now: float) -> None:
        """The request leaves now."""
        hit.sent_at = now
        self._last_departure = max(self._last_departure, now)

    def withdraw(self, hit: Hit) -> None:
        """The slot was given back unused."""
        if hit in self._hits:
            self._hits.remove(hit)

    def failed(self, hit: Hit, now: float) -> None:
        """No answer: it may have been counted as late as now."""
        hit.settled_at = now

    def answered(self, hit: Hit, limits: Limits, status: int, now: float) -> None:
        """The headers came."""
        sent_at = hit.granted_at if hit.sent_at is None else hit.sent_at
        hit.sent_at, hit.settled_at, hit.answered, hit.counted = sent_at, now, True, bool(limits.rules)
        self._trips.add(now - sent_at)
        refused = status == 429
        # Before this answer teaches anything: what was known when the request left is what counts.
        explicable = [window for window in self._windows if window.may_be_known(hit, self._hits)] if refused else []
        if limits.rules and sent_at >= self._limits_sent_at:
            self._limits_sent_at = sent_at
            self.adopt(limits.rules, sent_at)
        if self._same_shape(limits.rules):
            discount = self._trips.discount()
            triplets = (triplet for rule in limits.rules for triplet in rule.triplets)
            for window, triplet in zip(self._windows, triplets, strict=True):
                window.observe(hit, triplet.used, self._hits, discount, refused=refused)
        self._restrict(limits, status, now)
        if refused and sent_at >= self._widened_at:
            self._widen(explicable, limits, now)
        elif status < 400:
            self._unexplained = 0

    def adopt(self, rules: tuple[Rule, ...], since: float = -math.inf) -> None:
        """Take the rules over, in force for what was sent from `since` on.

        What was learned stays with each unchanged triplet. Our hits are kept when rules change: they bind at least
        as much as forgetting them would, and the State of the first answer under new rules fills in the rest.
        """
        if not self._same_shape(rules):
            known = {window.key: window for window in self._windows}
            buckets = any(window.learned > 0 for window in self._windows)
            self._windows = []
            for rule in rules:
                for triplet in rule.triplets:
                    key = (rule.name, triplet.hits, triplet.period)
                    window = known.pop(key, None)
                    if window is None:
                        window = Window(key, self._base_margin, since)
                        if buckets:
                            window.widen()
                    self._windows.append(window)
        self.rules = rules

    def resume(
        self, rules: tuple[Rule, ...], blocked_until: float, now: float, learned: tuple[float, ...] = ()
    ) -> None:
        """Start with what an earlier process left: its limits, its restriction, what it `learned`, lost hits."""
        self.adopt(rules)
        self.block(blocked_until)
        for window, seconds in zip(self._windows, learned, strict=False):
            window.resume(seconds)
        for window in self._windows:
            # An evenly spaced predecessor leaves room for one request after one spacing.
            doubt = min(window.period + window.margin, max(window.spacing(now), _RESTART_DOUBT))
            self._not_before = max(self._not_before, now + doubt)

    def block(self, until: float) -> None:
        """Nothing leaves before `until`."""
        self._blocked_until = max(self._blocked_until, until)

    def absorb(self, other: Pace) -> None:
        """Take over what another pace of the same policy counted."""
        self._hits = deque(sorted([*self._hits, *other._hits], key=lambda hit: hit.granted_at))
        self._last_departure = max(self._last_departure, other._last_departure)
        self.block(other._blocked_until)

    def take_over(self, hit: Hit) -> None:
        """Count a request that was granted elsewhere."""
        if hit not in self._hits:
            self._hits.append(hit)
            self._last_departure = max(self._last_departure, hit.granted_at)

    # -- inside ----------------------------------------------------------------------------------------

    def _same_shape(self, rules: tuple[Rule, ...]) -> bool:
        keys = [(rule.name, triplet.hits, triplet.period) for rule in rules for triplet in rule.triplets]
        return bool(keys) and keys == [window.key for window in self._windows]

    def _restrict(self, limits: Limits, status: int, now: float) -> None:
        seconds = max((float(triplet.active_restriction) for triplet in _triplets(limits.rules)), default=0.0)
        seconds = min(max(seconds, limits.retry_after or 0.0), LONGEST_RESTRICTION)
        if seconds > 0:
            # Whole seconds may have been rounded down on the way.
            self.block(now + seconds + self._base_margin)
        elif status == 429:
            self.block(now + min(UNEXPLAINED_RESTRICTION * 2**self._unexplained, LONGEST_UNEXPLAINED))
            self._unexplained = min(self._unexplained + 1, 10)

    def _widen(self, explicable: list[Window], limits: Limits, now: float) -> None:
        self._widened_at = now
        pairs = list(zip(self._windows, _triplets(self.rules), strict=True))
        said = self._same_shape(limits.rules)
        guilty = [
            window
            for window, triplet in pairs
            if said and (triplet.active_restriction > 0 or (triplet.used or 0) > triplet.hits)
        ]
        learning = [window for window in guilty or self._windows if window in explicable]
        for window in learning:
            window.widen()
        if learning:
            for window in self._windows:
                window.widen_once()

    def _forget(self, now: float) -> None:
        keep = max((window.memory for window in self._windows), default=_KEPT_WITHOUT_LIMITS)
        while self._hits and (settled := self._hits[0].settled_at) is not None and settled + keep < now:
            self._hits.popleft()


def _triplets(rules: tuple[Rule, ...]) -> Iterator[Triplet]:
    return (triplet for rule in rules for triplet in rule.triplets)
