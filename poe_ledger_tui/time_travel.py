"""Where on the line of time the screen stands: at the present of its harvest, or at a stored Snapshot of the past."""

from __future__ import annotations

import threading
from collections.abc import Callable

from harvester.clock import Clock
from harvester.events import Event
from harvester.snapshot import Snapshot
from harvester.snapshot_source import SnapshotSource, SourceKind
from harvester.store.engine import Engine
from harvester.stored_source import StoredSource


class TimeTravel:
    """A `SnapshotSource` over two: the present, and the store. The moves may be called from any thread, and wait for
    nothing: the next reading obeys. Walking on beyond the newest stored Snapshot leads back to the present.
    """

    def __init__(self, present: SnapshotSource, engine: Engine | None, clock: Clock) -> None:
        """`engine` None: there is no store to ask, so the present is all there is."""
        self._present = present
        self._clock = clock
        self._engine = engine
        self._lock = threading.Lock()
        # Following the newest of the store is the same source as walking through it.
        self._stored = present if isinstance(present, StoredSource) else None
        self._away = False

    @property
    def possible(self) -> bool:
        """Whether there is a past to look at."""
        return self._engine is not None

    def earlier(self, seconds: float = 0.0) -> None:
        """Back by so much, and by one Snapshot at least."""
        self._move(lambda stored: stored.earlier(seconds))

    def later(self, seconds: float = 0.0) -> None:
        """Forward by so much, and by one Snapshot at least; from the present there is nowhere to go."""
        if self._away or self._present is self._stored:
            self._move(lambda stored: stored.later(seconds))

    def show(self, at: float | None) -> None:
        """What was known at a time, in epoch seconds; None is the present."""
        if at is None:
            self._return()
        else:
            self._move(lambda stored: stored.show(at))

    # SnapshotSource, on the sampler's thread -----------------------------------------------------------------------

    @property
    def kind(self) -> SourceKind:
        """See `SnapshotSource.kind`."""
        return self._source.kind

    @property
    def remark(self) -> str:
        """See `SnapshotSource.remark`."""
        return self._source.remark

    def read(self) -> Snapshot:
        """See `SnapshotSource.read`."""
        source = self._source
        snapshot = source.read()
        if source is self._present or source.kind is SourceKind.PAST:
            return snapshot
        if source.remark:  # nothing is stored before: said beside the newest
            return snapshot
        self._return()
        return self._present.read()

    def new_events(self) -> tuple[Event, ...]:
        """Those of the present: its log goes on while the past is looked at."""
        return self._present.new_events()

    def close(self) -> None:
        """See `SnapshotSource.close`."""
        self._present.close()
        if self._stored is not None and self._stored is not self._present:
            self._stored.close()

    # Inside --------------------------------------------------------------------------------------------------------

    @property
    def _source(self) -> SnapshotSource:
        with self._lock:
            return self._stored if self._away and self._stored is not None else self._present

    def _move(self, move: Callable[[StoredSource], None]) -> None:
        if self._engine is None:
            return
        with self._lock:
            if self._stored is None:
                self._stored = StoredSource(self._engine, self._clock)
            self._away = self._stored is not self._present
            move(self._stored)

    def _return(self) -> None:
        with self._lock:
            self._away = False
            if self._stored is not None:
                self._stored.show(None)
