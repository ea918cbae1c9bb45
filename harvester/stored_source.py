"""Snapshots from the store, for a screen: the newest of a harvest anywhere, and those of the past."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from harvester.clock import Clock, SystemClock
from harvester.events import Event
from harvester.snapshot import Snapshot
from harvester.snapshot_source import EventsSeen, SourceKind, SourceLostError
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.handle import Handle
from harvester.store.stored_snapshots import StoredSnapshots

_Move = Callable[[StoredSnapshots], None]


class StoredSource:
    """See `SnapshotSource`. `show`, `earlier` and `later` may be called from any thread; the next reading obeys."""

    def __init__(self, engine: Engine, clock: Clock | None = None, *, at: float | None = None) -> None:
        """`at` is the time to begin with, in epoch seconds; None follows the newest."""
        self._engine = engine
        self._clock = clock or SystemClock()
        self._handle: Handle | None = None
        self._at = at
        self._moves: deque[_Move] = deque()
        self._shown: Snapshot | None = None
        self._shown_instant: float | None = None
        self._events = EventsSeen()
        self.remark = ""
        """What there is to say beside the Snapshot, in words; empty for most."""

    @property
    def kind(self) -> SourceKind:
        """`stored` while the newest is followed, `past` where a time was asked for."""
        return SourceKind.STORED if self._at is None else SourceKind.PAST

    def show(self, at: float | None) -> None:
        """Go to a time: what was known then. None returns to the newest."""

        def move(_stored: StoredSnapshots) -> None:
            self._at = at

        self._moves.append(move)

    def earlier(self, seconds: float = 0.0) -> None:
        """Go back by so much, by one Snapshot at least, to the first one at most."""

        def move(stored: StoredSnapshots) -> None:
            place = self._place()
            found = stored.before(place - seconds)
            if found is None:
                self.remark = "Nothing earlier is stored."
                found = stored.after(place - seconds) if seconds else None  # the first one, where the step was too wide
            if found is not None and found < place:
                self._at = found

        self._moves.append(move)

    def later(self, seconds: float = 0.0) -> None:
        """Go forward by so much, and by one Snapshot at least; beyond the newest, follow it."""

        def move(stored: StoredSnapshots) -> None:
            place = self._place()
            following = stored.after(place + seconds)
            self._at = following

        self._moves.append(move)

    def read(self) -> Snapshot:
        """See `SnapshotSource.read`."""
        try:
            return self._read()
        except StoreError as error:
            self.close()
            raise SourceLostError(". ".join(part.rstrip(".") for part in (str(error), error.hint) if part)) from error

    def new_events(self) -> tuple[Event, ...]:
        """See `SnapshotSource.new_events`; in the past there are none."""
        return self._events.take()

    def close(self) -> None:
        """Give the handle back. It may be read again."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
        self._shown_instant = None

    def _place(self) -> float:
        """The time that is shown."""
        if self._at is not None:
            return self._at
        return self._shown_instant if self._shown_instant is not None else self._clock.now()

    def _read(self) -> Snapshot:
        if self._handle is None:
            self._handle = self._engine.open(writes=False)
        stored = StoredSnapshots(self._handle)
        if self._moves:
            self.remark = ""
        while self._moves:
            self._moves.popleft()(stored)
        instant = stored.newest(self._clock.now()) if self._at is None else stored.before(self._at, inclusive=True)
        if instant is None:
            raise SourceLostError(
                "No harvester has written into this store yet."
                if self._at is None
                else "Nothing so old is stored: Snapshots are kept for 90 days."
            )
        if self._shown is None or instant != self._shown_instant:
            shown = stored.at_or_before(instant)
            if shown is None:
                raise SourceLostError(stored.remark or "The newest Snapshot in the store cannot be read.")
            self._shown, self._shown_instant = shown, instant
            self.remark = stored.remark or self.remark
            if self._at is None:
                self._events.look(shown)
        return self._shown
