"""How far a queue has come with the hours it is behind: done, rate, time left."""

from __future__ import annotations

from dataclasses import dataclass

from harvester.commands.output import duration
from harvester.snapshot import QueueSnapshot

WORTH_SHOWING = 3
"""Hours behind from which on it is a fill, and not just the newest hour."""
_SOON = 5.0
"""Seconds of measuring before a rate is said."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A fill at one instant."""

    done: int
    total: int
    per_second: float | None
    """None until it can be told."""

    @property
    def left_seconds(self) -> float | None:
        """At the rate so far; None where that is not known."""
        return (self.total - self.done) / self.per_second if self.per_second else None

    def words(self) -> str:
        """`1,234 of 8,760 hours, 1.0 hours/s, 2 h 5 min left`."""
        parts = [f"{self.done:,} of {self.total:,} hours"]
        if self.per_second:
            parts.append(f"{self.per_second:.1f} hours/s")
        if self.left_seconds is not None:
            parts.append(f"{duration(self.left_seconds)} left")
        return ", ".join(parts)


class FillProgress:
    """Follows the queues from Snapshot to Snapshot."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}

    def of(self, queue: QueueSnapshot, now: float) -> Filled | None:
        """Where the queue's fill stands at `now`, epoch seconds; None where it is not behind."""
        if queue.behind_hours is None:
            return None
        waiting = queue.spool_pages
        if queue.queue_key not in self._began:
            if queue.behind_hours + waiting < WORTH_SHOWING:
                return None
            self._began[queue.queue_key] = now, queue.pages
        since, pages = self._began[queue.queue_key]
        if queue.behind_hours + waiting == 0:
            del self._began[queue.queue_key]
            return None
        done = queue.pages - pages
        spent = now - since
        rate = done / spent if spent >= _SOON and done else None
        return Filled(done, done + queue.behind_hours + waiting, rate)
