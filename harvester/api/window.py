"""One `hits:period` of a policy: what fills it, what others use, how wide its margin is."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

LARGEST_BUCKET = 60.0
"""Seconds. Servers count hits in buckets; none wider than this is known, and none can exceed its period."""

SUSPICION = 60.0
"""Seconds for which a neighbour once seen is believed to be active (at least two periods)."""

_WIDENING = 1.236  # not a simple fraction: our beat must not lock to the server's buckets
_PROOF = 200
_TRIPS_BEFORE_TRUST = 16
_TRIPS_OF_DOUBT = 32
_TRIPS_IN_BLOCK = 256


@dataclass(slots=True, eq=False)
class Hit:
    """One request of ours. Times are monotonic seconds."""

    granted_at: float
    sent_at: float | None = None
    settled_at: float | None = None
    """When its headers came, or when it failed; None while it may still arrive."""
    answered: bool = False
    """False for a failed one: when (and whether) it was counted is unknown."""


class RoundTrips:
    """The smallest round trip of the recent past, and how far it may be trusted."""

    def __init__(self) -> None:
        self._count = 0
        self._mean = 0.0
        self._minima: deque[float] = deque([math.inf], maxlen=5)

    def add(self, seconds: float) -> None:
        """One more round trip, from sending to headers."""
        self._count += 1
        self._mean += (seconds - self._mean) / min(self._count, _TRIPS_OF_DOUBT)
        if self._count % _TRIPS_IN_BLOCK == 0:
            self._minima.append(math.inf)
        self._minima[-1] = min(self._minima[-1], seconds)

    def discount(self) -> float:
        """Seconds that any round trip takes at least.

        Few samples of a jittery line overstate the minimum, so the distance to the mean is taken off until
        there are many.
        """
        if self._count < _TRIPS_BEFORE_TRUST:
            return 0.0
        smallest = min(self._minima)
        doubt = max(0.0, self._mean - smallest) * min(1.0, _TRIPS_OF_DOUBT / self._count)
        return max(0.0, smallest - doubt)


class Window:
    """One triplet. `discount` is everywhere the smallest round trip in seconds."""

    def __init__(self, key: tuple[str, int, int], base_margin: float) -> None:
        """`key` is rule name, hits, period."""
        self.key = key
        self.hits = key[1]
        self.period = float(key[2])
        self._base_margin = base_margin
        self._extra = 0.0
        self._neighbours = 0
        self._neighbours_until = -math.inf
        self._suspicious_until = -math.inf
        self._state_sent_at = -math.inf
        self._proofs = 0
        self._bound = 0.0
        self._times_widened = 0

    @property
    def margin(self) -> float:
        """Seconds beyond the period for which a hit is taken to count."""
        return self._base_margin + self._extra

    @property
    def memory(self) -> float:
        """Seconds after its answer for which a hit can still matter."""
        return 2 * (self.period + self.margin) + min(self.period, LARGEST_BUCKET)

    def spacing(self, now: float) -> float:
        """Seconds between departures that keep this window evenly filled, the neighbours' share left out."""
        neighbours = self._neighbours if now < self._neighbours_until else 0
        return (self.period + self.margin) / max(1, self.hits - neighbours)

    def room_at(self, hits: Collection[Hit], discount: float) -> float:
        """From when on fewer than `hits` requests fill the window; infinity while answers are awaited."""
        ends = [self._end(hit, discount) for hit in hits]
        ends += [self._neighbours_until] * min(self._neighbours, self.hits)
        if len(ends) < self.hits:
            return -math.inf
        return min(heapq.nlargest(self.hits, ends))

    def live(self, hits: Collection[Hit], discount: float, now: float) -> int:
        """How many requests must be taken to fill the window now, those of others included."""
        neighbours = self._neighbours if now < self._neighbours_until else 0
        return neighbours + sum(self._end(hit, discount) > now for hit in hits)

    def observe(self, hit: Hit, used: int | None, hits: Collection[Hit], discount: float, *, refused: bool) -> None:
        """Learn from the State that came with `hit`'s answer."""
        sent_at, settled_at = hit.sent_at, hit.settled_at
        if used is None or sent_at is None or settled_at is None or sent_at < self._state_sent_at:
            return
        self._state_sent_at = sent_at
        surely = possibly = 1
        for other in hits:
            if other is hit or other.sent_at is None or other.sent_at >= settled_at:
                continue
            arrived_by = math.inf if other.settled_at is None else other.settled_at
            slack = discount if other.answered else 0.0
            if sent_at + slack - arrived_by < self.period + self.margin:
                possibly += 1
                in_window = settled_at - discount - other.sent_at < self.period
                surely += other.answered and arrived_by <= sent_at and in_window
        if used > possibly:
            self._suspicious_until = settled_at + max(SUSPICION, 2 * self.period)
        # A hit at the window's edge may be ours or a neighbour's: take the worse. Only a server that is taken
        # to count longer than the period makes our own old hits look like a neighbour's all the time.
        trusting = self._extra > 0 and settled_at >= self._suspicious_until and used < self.hits
        ours = possibly if trusting else surely
        self._neighbours = max(0, used - ours)
        self._neighbours_until = settled_at - discount + self.period + self.margin
        if self._extra > 0 and not refused:
            self._weigh(hit, used, hits, discount)

    def may_be_ours(self, hit: Hit, hits: Collection[Hit]) -> bool:
        """Whether our own requests alone can explain that `hit` was refused, buckets included."""
        reach = self.period + self.margin + min(self.period, LARGEST_BUCKET)
        since = (hit.granted_at if hit.sent_at is None else hit.sent_at) - reach
        return sum(other.settled_at is None or other.settled_at > since for other in hits) > self.hits

    def widen(self) -> None:
        """A limit broke although our count had room: the server counts longer. Cover any bucket at once."""
        widest = min(self.period, LARGEST_BUCKET) * _WIDENING
        if self._extra < widest:
            self._extra = widest
            self._times_widened += 1
        self._proofs, self._bound = 0, 0.0

    def _end(self, hit: Hit, discount: float) -> float:
        if hit.settled_at is None:
            return math.inf
        return hit.settled_at - (discount if hit.answered else 0.0) + self.period + self.margin

    def _weigh(self, hit: Hit, used: int, hits: Collection[Hit], discount: float) -> None:
        """Shrink a wide margin, slowly: to what many States prove; each relapse asks for four times as many.

        Of our hits the youngest that the State no longer counts shows how long hits count at most; the
        largest such age over many answers, met at many phases of the server's buckets, bounds the bucket.
        """
        if hit.settled_at is None or hit.sent_at is None:
            return
        earlier = sorted(
            (other.sent_at for other in hits if other.sent_at is not None and other.sent_at <= hit.sent_at),
            reverse=True,
        )
        if used >= len(earlier):
            return
        self._bound = max(self._bound, hit.settled_at - discount - earlier[used] - self.period)
        self._proofs += 1
        if self._proofs >= _PROOF * 4 ** (self._times_widened - 1):
            self._extra = min(self._extra, self._bound)
            self._proofs, self._bound = 0, 0.0
