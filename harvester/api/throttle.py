"""What the API did to slow us down, and what we made of it."""

from __future__ import annotations

from dataclasses import dataclass

from harvester.model import Count, Epoch, Seconds


@dataclass(frozen=True, slots=True)
class Throttle:
    """A 429, or a restriction that an answer told of."""

    at: Epoch
    policy: str
    """Its name; before one is known, the endpoint's."""
    queue_key: str
    http_status: Count
    retry_after: float | None
    """Seconds, as the answer says."""
    restricted_seconds: Seconds
    """How long we ask nothing more of this policy."""
    pace_before: Seconds
    """Seconds between two requests."""
    pace_after: Seconds
    margin_before: Seconds
    """Seconds of caution beyond the period."""
    margin_after: Seconds
