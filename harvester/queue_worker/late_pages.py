"""Streams that say when a page will be there: how long to wait for one, and when to go on without it."""

from __future__ import annotations

from random import Random

from harvester.backoff import Backoff
from harvester.clock import Clock
from harvester.events import Level
from harvester.feeds.base import Feed
from harvester.queue_worker.telling import Teller
from harvester.telemetry import QueueMeter

WAKING_SPREAD = 5.0
"""Seconds over which the first look after a planned wake-up is spread by chance: many keep the same hours."""
OVERDUE_BACKOFF = Backoff(5.0, 600.0, 0.5)
"""Pauses while a page that should be there is not."""
OVERDUE_TOLD_AFTER = 4
"""Looks in vain before it is told."""
MISSING_BEFORE_LEFT_OUT = 3600.0
"""Seconds for which a page must have been missing before it is left out; caches serve stale answers for minutes."""
BEYOND_EVERY = 3600.0
"""Seconds at least between two looks at the page behind a missing one."""
HOLES_BEFORE_SLOWING = 3
"""Pages that the API does not have, one after the other, before the next is asked for more slowly."""
HOLES_BACKOFF = Backoff(600.0, 3600.0, 0.5)


class LatePages:
    """What is known of the page that should be there and is not, and of those that were not before it."""

    def __init__(self, feed: Feed, clock: Clock, meter: QueueMeter, teller: Teller, random: Random) -> None:
        self._feed = feed
        self._clock = clock
        self._meter = meter
        self._teller = teller
        self._random = random
        self._looks = 0
        self._missing_since: float | None = None
        self._beyond_asked_at = float("-inf")
        self._holes = 0

    def came(self) -> None:
        """The page is there."""
        self._looks = 0
        self._missing_since = None

    def pause_until(self, cursor: str, there_at: float) -> float:
        """Seconds until the next look at a page that is there from `there_at` on, in epoch seconds."""
        now = self._clock.now()
        self._meter.wakes_at = there_at
        self._meter.behind_hours = self._feed.behind_hours(cursor, now)
        if now < there_at:
            self._looks = 0
            return there_at - now + self._random.uniform(0, WAKING_SPREAD)
        self._looks += 1
        pause = OVERDUE_BACKOFF.seconds(self._looks, self._random)
        if self._looks >= OVERDUE_TOLD_AFTER:
            late = f"{self._feed.shown(cursor)} should be there since {now - there_at:,.0f} s and is not"
            self._teller.say(Level.WARNING, late, f"look {self._looks + 1} in {pause:.0f} s")
        return pause

    def due_beyond(self, cursor: str) -> str:
        """The cursor of the page behind a missing one, where it is time to look whether that is there; else empty."""
        beyond, now = self._feed.beyond(cursor, self._clock.now()), self._clock.monotonic()
        if not beyond:
            return ""
        if self._missing_since is None:
            self._missing_since = now
        if now - self._missing_since < MISSING_BEFORE_LEFT_OUT or now - self._beyond_asked_at < BEYOND_EVERY:
            return ""
        self._beyond_asked_at = now
        return beyond

    def leave_out(self, cursor: str, beyond: str) -> None:
        """The page behind it is there: go on without it."""
        missing = self._clock.monotonic() - (self._missing_since or 0.0)
        self._teller.say(
            Level.WARNING,
            f"{self._feed.shown(cursor)} is missing, but {self._feed.shown(beyond)} is there",
            f"it has been missing for {missing:,.0f} s: it is left out",
        )
        self.came()

    async def slow_down(self, http_status: int) -> None:
        """Wait before the next page where one after the other was denied: each 4xx may count toward a ban."""
        self._holes = self._holes + 1 if http_status >= 400 else 0
        if self._holes < HOLES_BEFORE_SLOWING:
            return
        tries = self._holes - HOLES_BEFORE_SLOWING + 1
        what = f"{self._holes} pages one after the other are not there"
        await self._teller.retry_pause(what, tries, self._clock.now(), backoff=HOLES_BACKOFF)
        self._teller.dismiss()
