"""What happened, for people: every stop, wait and retry with its cause, what happens next and what to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from harvester.model import Epoch

SINCE_SHOWN_AFTER = 1.0
"""Seconds; what has just begun needs no second time beside its own."""


def moment(epoch_seconds: float, now: float) -> str:
    """A moment in UTC as people read it beside `now`: with its date where that is another one."""
    told, today = datetime.fromtimestamp(epoch_seconds, UTC), datetime.fromtimestamp(now, UTC).date()
    return f"{told:%H:%M:%SZ}" if told.date() == today else f"{told:%Y-%m-%d %H:%M:%SZ}"


class Level(StrEnum):
    """How much an event matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @classmethod
    def _missing_(cls, value: object) -> Level:  # noqa: ARG003
        return cls.WARNING  # a word of another program version


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log. Texts are clean: one line, no control characters, no secrets."""

    at: Epoch
    level: Level
    queue_key: str
    """Empty where no single queue is meant."""
    what: str
    """What happened, with its cause."""
    then: str = ""
    """What happens next."""
    todo: str = ""
    """What the operator can do; empty where nothing is needed."""
    since: Epoch | None = None
    """When what goes on began; None for what has just happened."""

    def line(self) -> str:
        """The event as one line, without its time."""
        parts = [f"{self.queue_key}: {self.what}" if self.queue_key else self.what]
        if self.since is not None and self.at - self.since >= SINCE_SHOWN_AFTER:
            parts[0] += f" (since {moment(self.since, self.at)})"
        parts += [part for part in (self.then, self.todo) if part]
        return " — ".join(parts)


Listener = Callable[[Event], None]


class EventLog:
    """Keeps the newest events and tells listeners. Safe from every thread."""

    def __init__(self, keep: int = 1000) -> None:
        self._events: deque[Event] = deque(maxlen=keep)
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every later event, on the thread that adds it."""
        with self._lock:
            self._listeners.append(listener)

    def add(self, event: Event) -> None:
        """Keep an event and tell everybody."""
        with self._lock:
            self._events.append(event)
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(event)

    def tail(self, count: int) -> tuple[Event, ...]:
        """The newest events, oldest first."""
        with self._lock:
            return tuple(self._events)[-count:]
