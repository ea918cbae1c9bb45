"""Which lines of the log are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harvester.events import Event, Level

_WEIGHT = {Level.INFO: 0, Level.WARNING: 1, Level.ERROR: 2}


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A level, a queue and words; all must fit."""

    level: Level = Level.INFO
    queue_key: str = ""
    """Empty: all queues."""
    search: str = ""
    """Words in any order, any case; each must be somewhere in the line."""

    def passes(self, event: Event) -> bool:
        """Whether a line is shown."""
        if _WEIGHT[event.level] < _WEIGHT[self.level] or (self.queue_key and event.queue_key != self.queue_key):
            return False
        line = event.line().casefold()
        return all(word in line for word in self.search.casefold().split())

    @property
    def passes_all(self) -> bool:
        """Whether nothing is hidden."""
        return self == EventFilter()

    def at_least(self, level: Level) -> EventFilter:
        """This level and what is worse."""
        return replace(self, level=level)

    def holding(self, search: str) -> EventFilter:
        """Only lines with these words."""
        return replace(self, search=search.strip())

    def next_queue(self, keys: Sequence[str]) -> EventFilter:
        """Only the queue after the present one; behind the last, all."""
        place = list(keys).index(self.queue_key) + 1 if self.queue_key in keys else 0
        return replace(self, queue_key=keys[place] if place < len(keys) else "")

    def words(self) -> str:
        """What is shown, for people."""
        parts = {Level.INFO: [], Level.WARNING: ["warnings and errors"], Level.ERROR: ["errors"]}[self.level]
        if self.queue_key:
            parts.append(self.queue_key)
        if self.search:
            parts.append(f"with '{self.search}'")
        return "only " + ", ".join(parts) if parts else "all levels, all queues"
