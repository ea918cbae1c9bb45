"""The thread that fetches a Snapshot a second. Where they come from: `harvester.snapshot_source`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from textual.message import Message

from harvester.snapshot_source import SnapshotSource, SourceLostError
from poe_ledger_tui.messages import EventsCame, SnapshotTaken, SourceLost

SAMPLE_EVERY_SECONDS = 1.0


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

    def hurry(self) -> None:
        """Do not wait for the next second: something else is to be shown. Safe from every thread."""
        self._wake.set()

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
                snapshot = source.read()
                self._post(SnapshotTaken(snapshot, source.kind, source.remark))
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
