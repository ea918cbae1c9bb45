"""What is on the screen at one instant: the newest Snapshot, its age, and the state of the engine room."""

from __future__ import annotations

from dataclasses import dataclass, field

from harvester.snapshot import QueueSnapshot, QueueState, Snapshot
from harvester.snapshot_source import SourceKind
from poe_ledger_tui.messages import RoomState, Stage

STALE_AFTER_SECONDS = 3.0
"""A live source speaks every second: older than this is said aloud."""
STORED_STALE_AFTER_SECONDS = 15.0
"""A harvester writes into the store every five seconds."""
_MOVING = frozenset(QueueState) - {QueueState.STOPPED, QueueState.FAILED, QueueState.PAUSED, QueueState.STOPPING}


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that panes are drawn from. They ask no clock and no thread: the same Picture gives the same pane."""

    now: float
    """Epoch seconds at which this picture is drawn."""
    room: RoomState = field(default_factory=RoomState)
    snapshot: Snapshot | None = None
    kind: SourceKind | None = None
    """None before the first Snapshot."""
    frozen_since: float | None = None
    """Since when the operator has frozen the picture; None while it moves."""
    remark: str = ""
    """What the source says beside the Snapshot."""
    source_trouble: str = ""
    """Why no new Snapshot came; empty while they come."""

    @property
    def at(self) -> float:
        """The instant that is shown: ages and countdowns count from here. What is frozen, or past, stands still."""
        if self.past and self.snapshot is not None:
            return self.snapshot.taken_at
        return self.now if self.frozen_since is None else self.frozen_since

    @property
    def past(self) -> bool:
        """Whether a time of the past was asked for."""
        return self.kind is SourceKind.PAST

    @property
    def age(self) -> float | None:
        """Seconds since the Snapshot was taken; None without one."""
        return None if self.snapshot is None else max(0.0, self.now - self.snapshot.taken_at)

    @property
    def stale(self) -> bool:
        """Whether the figures are older than they should be (and not because somebody froze them)."""
        limit = STORED_STALE_AFTER_SECONDS if self.kind is SourceKind.STORED else STALE_AFTER_SECONDS
        return self.frozen_since is None and not self.past and self.age is not None and self.age > limit

    @property
    def dated(self) -> bool:
        """Whether every pane says of when its figures are. What was frozen just now is not old yet: the header says it,
        and the key is answered without painting everything."""
        frozen_long = self.frozen_since is not None and self.age is not None and self.age > STALE_AFTER_SECONDS
        return self.stale or bool(self.source_trouble) or frozen_long

    @property
    def queues(self) -> tuple[QueueSnapshot, ...]:
        """The queues of the Snapshot; none without one."""
        return self.snapshot.queues if self.snapshot else ()

    @property
    def harvesting(self) -> bool:
        """Whether any queue is at work."""
        return any(queue.state in _MOVING for queue in self.queues)

    @property
    def may_command(self) -> bool:
        """Whether the harvest can be started and stopped from here."""
        return self.room.stage is Stage.READY and self.kind in (SourceKind.LIVE, None)

    @property
    def pending(self) -> int | None:
        """Migrations to be applied; None while that is not known."""
        if self.room.schema.pending is not None:
            return self.room.schema.pending
        return self.snapshot.schema.pending if self.snapshot and self.snapshot.schema else None

    @property
    def drifted(self) -> int | None:
        """Migrations of which files and store disagree; None while that is not known."""
        if self.room.schema.drifted is not None:
            return self.room.schema.drifted
        return self.snapshot.schema.drifted if self.snapshot and self.snapshot.schema else None
