"""One `hits:period` of a policy: what fills it, what others use, how wide its margin is."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

from harvester.api.reset_phase import ResetPhase

LARGEST_BUCKET = 60.0
"""Seconds. Servers count hits in buckets; none wider than this is known, and none can exceed its period."""

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
    counted: bool = False
    """Its answer came with rate-limit headers: the server's rules saw it."""


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
    """One triplet. `discount` is everywhere the smallest round trip in seconds.

    Whatever the server's windows are, the moment from which on hits count only moves forward: what has stopped to
    count never counts again. So a State bounds everything before it. What it counts beyond those of our hits that
    are surely in the period is taken to be somebody else's, as young as the State itself; our older hits are either
    among them or gone.
    """

    def __init__(self, key: tuple[str, int, int], base_margin: float, born_at: float = -math.inf) -> None:
        """`key` is rule name, hits, period; hits sent before `born_at` may have been forgotten by the server."""
        self.key = key
        self.hits = key[1]
        self.period = float(key[2])
        self._base_margin = base_margin
        self._born_at = born_at
        self._extra = 0.0
        self._others = 0
        self._others_until = -math.inf
        self._neighbours = 0
        self._state_sent_at = -math.inf
        self._horizon = -math.inf
        self._slack = 0.0
        self._reset_at = born_at
        self._phase = ResetPhase(self.period)
        self._proofs = 0
        self._bound = 0.0
        self._times_widened = 0

    @property
    def margin(self) -> float:
        """Seconds beyond the period for which a hit is taken to count."""
        return self._base_margin + self._extra

    @property
    def learned(self) -> float:
        """Seconds for which the server was found to count beyond the period; 0 where nothing speaks for it."""
        return self._extra

    @property
    def memory(self) -> float:
        """Seconds after its answer for which a hit can still matter."""
        return 2 * (self.period + self.margin) + min(self.period, LARGEST_BUCKET)

    def spacing(self, now: float) -> float:
        """Seconds between departures that keep this window evenly filled, the neighbours' share left out."""
        neighbours = self._neighbours if now < self._others_until else 0
        return (self.period + self.margin) / max(1, self.hits - neighbours)

    def room_at(self, hits: Collection[Hit], discount: float) -> float:
        """From when on fewer than `hits` requests fill the window; infinity while answers are awaited."""
        ends = self._ends(hits, discount)
        if self._others:
            ends += [self._others_until] * min(self._others, self.hits)
        if len(ends) < self.hits:
            return -math.inf
        ends.sort()
        return ends[-self.hits]

    def live(self, hits: Collection[Hit], discount: float, now: float) -> int:
        """How many requests must be taken to fill the window now, those of others included."""
        others = self._others if now < self._others_until else 0
        return others + sum(end > now for end in self._ends(hits, discount))

    def observe(self, hit: Hit, used: int | None, hits: Collection[Hit], discount: float, *, refused: bool) -> None:
        """Learn from the State that came with `hit`'s answer."""
        sent_at, settled_at = hit.sent_at, hit.settled_at
        if used is None or sent_at is None or settled_at is None:
            return
        latest = sent_at >= self._state_sent_at
        if not latest and settled_at < self._state_sent_at:
            return
        slack = max(0.0, discount - self._base_margin)
        horizon = settled_at - slack - self.period
        longest = self.period + self.margin
        late = settled_at - sent_at - slack
        possibly = 1
        ours = []
        for other in hits:
            if other is hit or other.sent_at is None or other.sent_at >= settled_at or other.settled_at is None:
                continue
            if other.counted and other.settled_at - slack <= sent_at and other.sent_at > horizon:
                ours.append(other.sent_at)
            possibly += sent_at + (discount if other.answered else 0.0) - other.settled_at < longest
        if used < 1 + sum(at >= self._reset_at for at in ours):
            # It has forgotten hits within the period: its windows start anew at fixed times.
            self._phase.seen(self._state_sent_at, sent_at + late)
        reset_at = max(self._born_at, self._phase.begun(sent_at, late, used))
        surely = 1 + sum(at >= reset_at for at in ours)
        if used < surely:
            reset_at, surely = sent_at, 1
        others, until = max(0, used - surely), settled_at - discount + longest
        if latest:
            self._state_sent_at, self._horizon, self._slack = sent_at, horizon, slack
            self._reset_at = reset_at
            self._others, self._others_until = others, until
            self._neighbours = max(0, used - possibly)
        else:
            # The two were on their way together; which one the server saw first is unknown.
            self._others, self._others_until = max(self._others, others), max(self._others_until, until)
        if self._extra > 0 and not refused:
            self._weigh(hit, used, hits, discount)

    def may_be_known(self, hit: Hit, hits: Collection[Hit]) -> bool:
        """Whether the requests known when `hit` left can explain its refusal, in the widest buckets.

        Ask before the State of the refusal is observed.
        """
        left = hit.granted_at if hit.sent_at is None else hit.sent_at
        longer = min(self.period, LARGEST_BUCKET)
        since = left - self.period - self.margin - longer
        known = sum(other.settled_at is None or other.settled_at > since for other in hits if not self._covered(other))
        if left < self._others_until + longer:
            known += self._others
        return known > self.hits

    def widen(self) -> None:
        """A limit broke although our count had room: the server counts longer. Cover any bucket at once."""
        widest = min(self.period, LARGEST_BUCKET) * _WIDENING
        if self._extra < widest:
            self._extra = widest
            self._times_widened += 1
        self._proofs, self._bound = 0, 0.0

    def widen_once(self) -> None:
        """Another window of the same server was found to count longer: take this one for such a one too."""
        if not self._times_widened:
            self.widen()

    def resume(self, learned: float) -> None:
        """Start with what an earlier process learned."""
        if learned > 0:
            self._extra = min(learned, self.period * _WIDENING)
            self._times_widened = 1

    def _covered(self, hit: Hit) -> bool:
        """Whether the last State speaks for it: it came before, and is not surely among those counted as ours."""
        settled_at, sent_at = hit.settled_at, hit.sent_at
        if settled_at is None or sent_at is None:
            return False
        if settled_at - (self._slack if hit.answered else 0.0) > self._state_sent_at:
            return False
        return not (hit.counted and sent_at > self._horizon and sent_at >= self._reset_at)

    def _ends(self, hits: Collection[Hit], discount: float) -> list[float]:
        """When those of our hits stop to count that the last State does not already speak for."""
        length = self.period + self.margin
        return [
            math.inf if hit.settled_at is None else hit.settled_at + length - (discount if hit.answered else 0.0)
            for hit in hits
            if not self._covered(hit)
        ]

    def _weigh(self, hit: Hit, used: int, hits: Collection[Hit], discount: float) -> None:
        """Shrink a wide margin, slowly: to what many States prove; each relapse asks for four times as many.

        Of our hits the youngest that the State no longer counts shows how long hits count at most; the
        largest such age over many answers, met at many phases of the server's buckets, bounds the bucket.
        Others in the State only make that age larger.
        """
        if hit.settled_at is None or hit.sent_at is None:
            return
        earlier = sorted(
            (
                other.sent_at
                for other in hits
                if other.counted and other.sent_at is not None and self._born_at <= other.sent_at <= hit.sent_at
            ),
            reverse=True,
        )
        if used >= len(earlier):
            return
        self._bound = max(self._bound, hit.settled_at - discount - earlier[used] - self.period)
        self._proofs += 1
        if self._proofs >= _PROOF * 4 ** min(self._times_widened - 1, 8):
            self._extra = min(self._extra, self._bound)
            self._proofs, self._bound = 0, 0.0
