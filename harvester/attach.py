"""Watches the harvest of another process through its socket; see `harvester/snapshot_server.py`."""

from __future__ import annotations

import os
import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path

from harvester.events import Event
from harvester.snapshot import Snapshot
from harvester.snapshot_address import find_socket
from harvester.snapshot_json import LONGEST_BYTES, SnapshotUnreadableError, decode_snapshot
from harvester.snapshot_source import EventsSeen, SourceKind, SourceLostError

FIRST_WAIT_SECONDS = 2.0
"""How long a fresh connection may take to bring the first Snapshot."""
NEXT_WAIT_SECONDS = 1.2
"""The same for the next; after it the last one is given again, and grows old."""
SHORTEST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
MOST_AT_ONCE = 4 * LONGEST_BYTES
"""Bytes taken in one reading, however fast they come."""
SILENCE_SECONDS = 15.0
"""A connection that brings nothing for so long is given up."""


def _wait_for(connection: socket.socket, seconds: float) -> bool:
    # Not select(): the engine beside may hold more than the 1,024 files that it can look at.
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return bool(selector.select(seconds))


class AttachedSource:
    """Snapshots of the harvest that is found in a data directory. Connects, and connects again, by itself."""

    kind = SourceKind.ATTACHED

    def __init__(
        self,
        directory: Path,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wait_for: Callable[[socket.socket, float], bool] = _wait_for,
    ) -> None:
        """`directory` is that of `socket_directory`; `wait_for` says whether bytes come within so many seconds."""
        self._directory = directory
        self._wait_for = wait_for
        self._monotonic = monotonic
        self._connection: socket.socket | None = None
        self._unread = b""
        self._newest: Snapshot | None = None
        self._newest_at = 0.0
        self._events = EventsSeen()
        self._pause = 0.0
        self._next_try = float("-inf")
        self._words = ""
        self.remark = ""
        """What the reader of the newest Snapshot should know: that it is of another version. Else empty."""

    def read(self) -> Snapshot:
        """See `SnapshotSource.read`; waits two seconds at most."""
        connection, wait = self._connection, NEXT_WAIT_SECONDS
        if connection is None:
            if self._monotonic() < self._next_try:
                raise SourceLostError(self._words)
            connection, wait = self._connect(), FIRST_WAIT_SECONDS
        line = self._newest_line(connection, wait)
        if line is not None:
            self._take(line)
        elif self._monotonic() - self._newest_at > SILENCE_SECONDS:
            raise self._lost(f"The harvest in {self._directory} says nothing any more.")
        if self._newest is None:
            raise SourceLostError(f"Connected to the harvest in {self._directory}; it has said nothing yet.")
        return self._newest

    def new_events(self) -> tuple[Event, ...]:
        """See `SnapshotSource.new_events`."""
        return self._events.take()

    def close(self) -> None:
        """Leave. It may be read again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._unread = b""
        self._newest = None

    # Inside ------------------------------------------------------------------------------------------------------

    def _connect(self) -> socket.socket:
        path = find_socket(self._directory)
        if path is None:
            raise self._lost(f"No harvest serves in {self._directory}.")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(FIRST_WAIT_SECONDS)
        try:
            connection.connect(os.fsencode(path))
        except OSError:
            connection.close()
            raise self._lost(f"No harvest serves in {self._directory}: its last one did not end well.") from None
        connection.setblocking(False)
        self._connection, self._newest_at = connection, self._monotonic()
        return connection

    def _newest_line(self, connection: socket.socket, wait: float) -> bytes | None:
        """The newest whole line of all that has come; waits for one where none has. None where none came."""
        line: bytes | None = None
        deadline, taken = self._monotonic() + wait, 0
        while taken < MOST_AT_ONCE and self._wait_for(connection, max(0.0, deadline - self._monotonic())):
            try:
                came = connection.recv(1 << 18)
            except BlockingIOError:
                continue
            except OSError:
                came = b""
            if not came and line is None:
                raise self._lost(f"The harvest in {self._directory} has ended.")
            if not came:
                break  # the line is its farewell; that it has ended is found at the next reading
            taken += len(came)
            *lines, self._unread = (self._unread + came).split(b"\n")
            if lines:
                line, deadline = lines[-1], self._monotonic()
            if len(self._unread) > LONGEST_BYTES:
                raise self._lost(f"What is served in {self._directory} is no harvest: a line without an end.")
        return line

    def _take(self, line: bytes) -> None:
        try:
            decoded = decode_snapshot(line)
        except SnapshotUnreadableError as error:
            raise self._lost(f"What is served in {self._directory} cannot be read: {error}") from error
        self._newest, self.remark = decoded.snapshot, decoded.remark
        self._newest_at = self._monotonic()
        self._events.look(decoded.snapshot)
        self._pause = 0.0

    def _lost(self, words: str) -> SourceLostError:
        """Leave, and plan the next try; pauses grow until a Snapshot has come."""
        self.close()
        self._pause = min(LONGEST_PAUSE_SECONDS, max(SHORTEST_PAUSE_SECONDS, self._pause * 2))
        self._next_try = self._monotonic() + self._pause
        self._words = words
        return SourceLostError(words)
