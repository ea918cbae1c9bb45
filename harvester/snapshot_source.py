"""One face for wherever Snapshots come from: this process, another one through its socket, or the store.

A source is used from one thread, and may block for a moment (two seconds at most).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from harvester.events import Event, EventLog
from harvester.snapshot import Snapshot

EVENTS_WAITING = 1000


class SourceKind(StrEnum):
    """Where a Snapshot comes from; the word is what stands beside it."""

    LIVE = "live"
    """The harvest of this process."""
    ATTACHED = "attached"
    """A harvest in another process, through its socket."""
    STORED = "stored"
    """The newest one in the store."""
    PAST = "past"
    """One of the store that was asked for by its time."""


class SourceLostError(Exception):
    """No Snapshot can be had just now; the message says why and what will happen. Ask again a second later."""


class SnapshotSource(Protocol):
    """Gives Snapshots, one after the other."""

    @property
    def kind(self) -> SourceKind:
        """What sort the newest Snapshot is of."""

    @property
    def remark(self) -> str:
        """What there is to say beside the newest Snapshot (of another version, nothing earlier); empty for most."""

    def read(self) -> Snapshot:
        """The newest Snapshot; its age is that of its `taken_at`.

        Raises:
            SourceLostError: there is none just now.
        """

    def new_events(self) -> tuple[Event, ...]:
        """The events since the last call, oldest first; the first call gives what is there."""

    def close(self) -> None:
        """Give back what it holds. Called once, on the thread that reads."""


class LiveSource:
    """The harvest of this process."""

    kind = SourceKind.LIVE
    remark = ""

    def __init__(self, snapshot: Callable[[], Snapshot], events: EventLog) -> None:
        """`snapshot` is `Supervisor.snapshot`."""
        self._snapshot = snapshot
        self._waiting: deque[Event] = deque(events.tail(EVENTS_WAITING), maxlen=EVENTS_WAITING)
        events.listen(self._waiting.append)

    def read(self) -> Snapshot:
        return self._snapshot()

    def new_events(self) -> tuple[Event, ...]:
        return tuple(self._waiting.popleft() for _ in range(len(self._waiting)))

    def close(self) -> None:
        return


class EventsSeen:
    """Tells the new events of a Snapshot from those that an earlier one of the same harvest held."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=EVENTS_WAITING)
        self._last: tuple[Event, ...] = ()

    def look(self, snapshot: Snapshot) -> None:
        """Take the events of a Snapshot."""
        events, known = snapshot.events, self._last
        # What was the tail a moment ago begins anew somewhere in the present one: what follows is new.
        overlap = next((n for n in range(min(len(known), len(events)), 0, -1) if known[-n:] == events[:n]), 0)
        if not overlap and known and known[-1] in events:
            overlap = len(events) - events[::-1].index(known[-1])
        self._waiting.extend(events[overlap:])
        self._last = events

    def take(self) -> tuple[Event, ...]:
        """The new ones since the last call, oldest first."""
        taken = tuple(self._waiting)
        self._waiting.clear()
        return taken


def without_countdowns(snapshot: Snapshot) -> Snapshot:
    """What is still true of a Snapshot read later: what only the living know becomes None."""
    return replace(
        snapshot,
        pacers=tuple(replace(pacer, next_slot_seconds=None) for pacer in snapshot.pacers),
        queues=tuple(
            replace(queue, trouble=replace(queue.trouble, next_try_at=None)) if queue.trouble else queue
            for queue in snapshot.queues
        ),
    )
