"""What threads tell the screen. Every value is frozen; a thread posts, and never touches a widget.

`post_message` is safe from every thread and returns False once the app is closing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from textual.message import Message

from harvester.events import Event
from harvester.snapshot import Snapshot
from harvester.snapshot_source import SourceKind


class Stage(StrEnum):
    """How far the engine room has come."""

    COLD = "cold"
    """Nothing was opened yet: the state of the first paint."""
    OPENING = "opening"
    MIGRATING = "migrating"
    """A new store gets its tables."""
    BLOCKED = "blocked"
    """The store is open, and the harvest may not run: `RoomState.words` says why and what to do."""
    LOST = "lost"
    """The store cannot be reached; it is tried again by itself."""
    WATCHING = "watching"
    """Another process has the store, or only watching is wanted: its harvest is shown, and nothing is done here."""
    READY = "ready"
    """Open; the harvest runs or may be started."""
    CLOSING = "closing"
    CLOSED = "closed"
    BROKEN = "broken"
    """A fault of this program or of the configuration; `words` says which."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How the schema of the store stands to the files; None figures are not known yet."""

    total: int | None = None
    pending: int | None = None
    drifted: int | None = None
    blocking: tuple[str, ...] = ()
    """Pending migrations without which the harvest must not run."""
    failed: str = ""
    """Name of a migration that failed halfway; empty where none did."""


@dataclass(frozen=True, slots=True)
class RoomState:
    """The engine room at one instant: the store, the schema, and what is being done."""

    stage: Stage = Stage.COLD
    words: str = ""
    """What is being done or what is wrong, for people. May hold a stranger's text: draw it by `safe_text`."""
    todo: str = ""
    """What the operator can do."""
    tries: int = 0
    next_try_at: float | None = None
    """Epoch seconds."""
    store: str = ""
    """Where the store is: `embedded` or the server's host."""
    database: str = ""
    schema: SchemaState = SchemaState()
    harvest_wanted: bool = False
    """Whether the operator wants the harvest to run; it does as soon as the stage allows it."""
    demo: bool = False
    monitor: bool = False
    """Watch only: nothing is started, stopped or changed from here."""
    has_client: bool = True
    """Whether the operator's OAuth client is configured; without it the public stash feed cannot run."""
    queues_left_out: tuple[str, ...] = ()
    """Configured queues that cannot run, for want of an OAuth client or of a feed."""


class SnapshotTaken(Message):
    """The newest Snapshot. Only the last of several waiting ones is handled."""

    def __init__(self, snapshot: Snapshot, kind: SourceKind, remark: str = "") -> None:
        """`remark` is what its source has to say beside it."""
        super().__init__()
        self.remark = remark
        self.snapshot = snapshot
        self.kind = kind

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SnapshotTaken)


class SourceLost(Message):
    """No Snapshot could be had; the last one stays on the screen and grows old."""

    def __init__(self, reason: str, tries: int) -> None:
        super().__init__()
        self.reason = reason
        self.tries = tries

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, SourceLost)


class EventsCame(Message):
    """Lines of the log since the last such message, oldest first."""

    def __init__(self, events: tuple[Event, ...]) -> None:
        super().__init__()
        self.events = events


class RoomChanged(Message):
    """The engine room has a new state."""

    def __init__(self, state: RoomState) -> None:
        super().__init__()
        self.state = state


class JobReported(Message):
    """A job of a `background.Bench` tells how far it is. `value` is whatever the job reports, frozen."""

    def __init__(self, bench: str, generation: int, value: Any) -> None:
        super().__init__()
        self.bench = bench
        self.generation = generation
        self.value = value


class JobEnded(Message):
    """A job of a `background.Bench` is over: `error` is None where it went well, then `value` is its result."""

    def __init__(self, bench: str, generation: int, value: Any, error: BaseException | None) -> None:
        super().__init__()
        self.bench = bench
        self.generation = generation
        self.value = value
        self.error = error
