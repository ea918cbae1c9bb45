"""The undocumented limit behind the documented ones: who collects too many 4xx is banned at the edge for hours."""

from __future__ import annotations

from collections import deque

from harvester.simulator.answers import HTML, Headers

BAN_PAGE = (
    b"<!DOCTYPE html><html><head><title>Access denied | Error 1015</title></head>"
    b"<body><h1>Error 1015</h1><p>You are being rate limited</p></body></html>"
)
BAN_STATUS = 429
BAN_HEADERS: Headers = (("Content-Type", HTML),)


class EdgeGuard:
    """Counts every 4xx of one address. More than `threshold` within `period` seconds: banned for `ban` seconds."""

    def __init__(self, threshold: int = 60, period: float = 600.0, ban: float = 4 * 3_600.0) -> None:
        self._threshold = threshold
        self._period = period
        self._ban = ban
        self._refusals: deque[float] = deque()
        self.banned_until = float("-inf")
        self.bans = 0

    def is_banned(self, now: float) -> bool:
        """Whether the edge answers in the API's place."""
        return now < self.banned_until

    def note(self, status: int, now: float) -> None:
        """An answer of the API went out."""
        if not 400 <= status < 500:
            return
        while self._refusals and now - self._refusals[0] >= self._period:
            self._refusals.popleft()
        self._refusals.append(now)
        if len(self._refusals) > self._threshold:
            self._refusals.clear()
            self.banned_until = now + self._ban
            self.bans += 1
