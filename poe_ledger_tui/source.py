"""Where Snapshots come from, and the thread that fetches one a second."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from harvester.events import Event
from harvester.telemetry import Snapshot
from poe_ledger_tui.messages import EventsCame, SnapshotTaken, SourceKind, SourceLost

if TYPE_CHECKING:
    from harvester.supervisor import Supervisor

SAMPLE_EVERY_SECONDS = 1.0


class SourceLostError(Exception):
    """No Snapshot can be had just now; the message says why, for people. It is asked again a second later."""


class SnapshotSource(Protocol):
    """Gives Snapshots. Called on the sampler's thread alone, so it may block for a moment (two seconds at most)."""

    @property
    def kind(self) -> SourceKind:
        """What sort of source this is."""

    def read(self) -> Snapshot:
        """The newest Snapshot.

        Raises:
            SourceLostError: there is none just now.
        """

    def new_events(self) -> tuple[Event, ...]:
        """The events since the last call, oldest first; the first call gives what is there."""

    def close(self) -> None:
        """Give back what it holds. Called once, on the sampler's thread."""


class LiveSource:
    """The harvest of this process."""

    kind = SourceKind.LIVE

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._waiting: deque[Event] = deque(supervisor.events.tail(1000), maxlen=1000)
        supervisor.events.listen(self._waiting.append)

    def read(self) -> Snapshot:
        return self._supervisor.snapshot()

    def new_events(self) -> tuple[Event, ...]:
        events: list[Event] = []
        while self._waiting:
            events.append(self._waiting.popleft())
        return tuple(events)

    def close(self) -> None:
        return


class Sampler:
    """Posts a `SnapshotTaken` and, where there are any, an `EventsCame` a second. `watch` changes the source."""

    def __init__(self, post: Callable[[Message], bool], every: float = SAMPLE_EVERY_SECONDS) -> None:
        self._post = post
        self._every = every
        self._wake = threading.Event()
        self._ending = False
        self._next: SnapshotSource | None = None
        self._thread: threading.Thread | None = None

    def watch(self, source: SnapshotSource) -> None:
        """Draw from `source` from now on; the one before is closed. Safe from every thread."""
        self._next = source
        self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._sample_and_post, name="sampler", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Post nothing more. Returns at once."""
        self._ending = True
        self._wake.set()

    def _sample_and_post(self) -> None:
        source: SnapshotSource | None = None
        tries = 0
        while not self._ending:
            if self._next is not None and self._next is not source:
                if source is not None:
                    source.close()
                source, tries = self._next, 0
            if source is None:
                break
            try:
                self._post(SnapshotTaken(source.read(), source.kind))
                events = source.new_events()
                tries = 0
            except Exception as error:  # a source that fails must not end the thread: it is asked again
                tries += 1
                events = ()
                reason = str(error) if isinstance(error, SourceLostError) else f"{type(error).__name__}: {error}"
                self._post(SourceLost(reason, tries))
            if events:
                self._post(EventsCame(events))
            self._wake.wait(self._every)
            self._wake.clear()
        if source is not None:
            source.close()
