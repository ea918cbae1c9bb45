"""Serves the Snapshots of a harvest on a Unix socket: one line of JSON a second to everybody who listens.

Watching only: what a client sends is thrown away. One thread does it all and never waits for a client; a slow one
gets fewer Snapshots, one that reads nothing is let go. While nobody listens it sleeps.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harvester.files import create_directory, write_durably
from harvester.snapshot import Snapshot
from harvester.snapshot_address import POINTER_NAME, SOCKET_NAME, find_socket, fits
from harvester.snapshot_json import encode_snapshot

EVERY_SECONDS = 1.0
NEWCOMER_SECONDS = 0.1
"""A newcomer is served at once, but no Snapshot is built sooner than this after the one before."""
MOST_CLIENTS = 16
PATIENCE_SECONDS = 10.0
"""A client that takes nothing for so long is let go."""
MOST_FROM_CLIENT = 64 << 10
"""Bytes that a client may send before it is let go: it has nothing to say."""
_SHORT_PREFIX = "poe-ledger-"


class SocketTakenError(Exception):
    """Another harvest serves here already."""


class _Client:
    """One who listens: what of the present line is still to be sent, and since when nothing could be."""

    def __init__(self, connection: socket.socket, now: float) -> None:
        self.connection = connection
        self.waiting = memoryview(b"")
        self.moved_at = now
        self.heard = 0


class SnapshotServer:
    """Opened at construction, served by a thread from `start` to `close`."""

    def __init__(
        self,
        directory: Path,
        snapshot: Callable[[], Snapshot],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`directory` is where clients look (`socket_directory`); `snapshot` is called on the serving thread.

        Raises:
            SocketTakenError: a living harvest serves there.
            OSError: no socket can be made.
        """
        self._snapshot = snapshot
        self._monotonic = monotonic
        self._clients: dict[int, _Client] = {}
        self._next_at = monotonic()
        self._built_at = float("-inf")
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        create_directory(directory)
        if _is_served(find_socket(directory)):
            raise SocketTakenError(f"another harvest serves its Snapshots in {directory}")
        self._pointer = directory / POINTER_NAME
        self.path, self._short = _place(directory)
        self._listener = _listen(self.path)
        self._inode = self.path.lstat().st_ino
        self._selector = selectors.DefaultSelector()
        self._alarm, self._bell = socket.socketpair()
        for waiting in (self._listener, self._alarm):
            waiting.setblocking(False)
            self._selector.register(waiting, selectors.EVENT_READ)
        if self._short is not None:
            write_durably(self._pointer, os.fsencode(self.path))

    def start(self) -> None:
        """Serve on a thread of its own until `close`."""
        self._thread = threading.Thread(target=self._serve, name="snapshot socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send what can be sent at once for the last time, and take the socket away."""
        if self._closing.is_set():
            return
        self._closing.set()
        with contextlib.suppress(OSError):
            self._bell.send(b"!")
        if self._thread is not None:
            self._thread.join()
        self._say_last()
        for client in tuple(self._clients.values()):
            self._let_go(client)
        self._selector.close()
        for end in (self._listener, self._alarm, self._bell):
            end.close()
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
                if self._short is not None:
                    self._pointer.unlink(missing_ok=True)
        if self._short is not None:
            shutil.rmtree(self._short, ignore_errors=True)

    def turn(self, longest: float | None) -> None:
        """Do what is due, then wait for clients: `longest` seconds at most, or until the next Snapshot is due."""
        now = self._monotonic()
        if self._clients and now >= self._next_at:
            self._next_at, self._built_at = now + EVERY_SECONDS, now
            self._offer(encode_snapshot(self._snapshot()) + b"\n", now)
        wait = max(0.0, self._next_at - now) if self._clients else None
        if longest is not None:
            wait = longest if wait is None else min(wait, longest)
        for key, mask in self._selector.select(wait):
            if key.fileobj is self._listener:
                self._welcome()
            elif key.fileobj is self._alarm:
                with contextlib.suppress(OSError):
                    self._alarm.recv(64)
            elif (client := self._clients.get(key.fd)) is not None:
                self._attend(client, mask)

    # Inside ------------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                self.turn(None)
            except Exception:  # a Snapshot that cannot be built must not end the serving
                self._closing.wait(EVERY_SECONDS)

    def _welcome(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if len(self._clients) >= MOST_CLIENTS:
                connection.close()
                return
            connection.setblocking(False)
            client = _Client(connection, self._monotonic())
            self._clients[connection.fileno()] = client
            self._selector.register(connection, selectors.EVENT_READ)
            self._next_at = min(self._next_at, max(self._monotonic(), self._built_at + NEWCOMER_SECONDS))

    def _offer(self, line: bytes, now: float) -> None:
        """The newest line to everybody who has taken the one before."""
        for client in tuple(self._clients.values()):
            if not client.waiting:
                client.waiting = memoryview(line)
                client.moved_at = now
                self._send(client)
            elif now - client.moved_at > PATIENCE_SECONDS:
                self._let_go(client)

    def _attend(self, client: _Client, mask: int) -> None:
        if mask & selectors.EVENT_READ:
            try:
                heard = client.connection.recv(4096)
            except BlockingIOError:
                heard = b"?"
            except OSError:
                heard = b""
            client.heard += len(heard)
            if not heard or client.heard > MOST_FROM_CLIENT:
                self._let_go(client)
                return
        if mask & selectors.EVENT_WRITE:
            self._send(client)

    def _send(self, client: _Client) -> None:
        try:
            sent = client.connection.send(client.waiting)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._let_go(client)
            return
        if sent:
            client.waiting = client.waiting[sent:]
            client.moved_at = self._monotonic()
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if client.waiting else 0)
        self._selector.modify(client.connection, wanted)

    def _say_last(self) -> None:
        with contextlib.suppress(Exception):
            if self._clients:
                self._offer(encode_snapshot(self._snapshot()) + b"\n", self._monotonic())

    def _let_go(self, client: _Client) -> None:
        self._clients.pop(client.connection.fileno(), None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(client.connection)
        client.connection.close()


@contextlib.contextmanager
def serving(directory: Path, snapshot: Callable[[], Snapshot], tell: Callable[[str], None]) -> Iterator[None]:
    """Serve while the block runs. Where that is not possible `tell` hears why, and the block runs all the same."""
    server = None
    try:
        server = SnapshotServer(directory, snapshot)
        server.start()
    except SocketTakenError as error:
        tell(f"{error}; this one is seen through the store alone")
    except OSError as error:
        tell(f"nobody can watch from another process: no socket in {directory}: {error.strerror or error}")
    try:
        yield
    finally:
        if server is not None:
            server.close()


def _place(directory: Path) -> tuple[Path, Path | None]:
    """Where the socket goes: into the directory, or where that is long into a short one of our own, given beside it."""
    path = directory / SOCKET_NAME
    if fits(path):
        return path, None
    old = find_socket(directory)
    if old is not None and old.parent.name.startswith(_SHORT_PREFIX):
        shutil.rmtree(old.parent, ignore_errors=True)
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    usable = runtime and Path(runtime).is_dir() and os.access(runtime, os.W_OK)
    short = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=runtime if usable else None))
    return short / SOCKET_NAME, short


def _is_served(path: Path | None) -> bool:
    """Whether somebody living listens there; the socket of a dead process refuses."""
    if path is None:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(os.fsencode(path))
        except BlockingIOError:
            return True
        except OSError:
            return False
    return True


def _listen(path: Path) -> socket.socket:
    """A listening socket that nobody but its owner may connect to; it appears at `path` at once, as it should be."""
    draft = path.with_name(f".{os.getpid() % 100_000_000}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        draft.unlink(missing_ok=True)
        listener.bind(os.fsencode(draft))
        draft.chmod(0o600)
        listener.listen(MOST_CLIENTS)
        draft.replace(path)
    except OSError:
        listener.close()
        draft.unlink(missing_ok=True)
        raise
    return listener
