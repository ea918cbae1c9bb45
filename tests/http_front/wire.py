"""The network between a client and a server, with everything that can happen to it.

A proxy on this machine: what goes over is passed on until a fault is set. It works in front of any server.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass
class Faults:
    """What is wrong now; none of it by default."""

    refuse: bool = False
    """New connections are closed at once."""
    hang: bool = False
    """Nothing goes over in either direction; connections are taken."""
    cut_request_after: int | None = None
    """Each connection is reset after so many bytes towards the server."""
    cut_answer_after: int | None = None
    """Each connection is reset after so many bytes towards the client: the server has done what it was asked."""
    delay: float = 0.0
    """Seconds before each piece is passed on."""


class Wire:
    """Listens on a port of its own and passes on to `port`. Faults apply from the next piece on."""

    def __init__(
        self,
        port: int | Callable[[], int],
        *,
        host: str = "127.0.0.1",
        watch: Callable[[int, bool, bytes], None] = lambda _connection, _answer, _piece: None,
    ) -> None:
        """`watch` is told of each piece before it is passed on: connection, whether it is of an answer, bytes."""
        self._target = port if callable(port) else lambda: port
        self._host = host
        self._watch = watch
        self.faults = Faults()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._closed = threading.Event()
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    @property
    def url(self) -> str:
        """For `POE_CLICKHOUSE_URL`."""
        return f"http://127.0.0.1:{self.port}"

    def heal(self) -> None:
        """All is well again."""
        self.faults = Faults()

    def cut(self) -> None:
        """Reset every connection now."""
        for end in list(self._open):
            _reset(end)

    def close(self) -> None:
        """End it all."""
        self._closed.set()
        self._listener.close()
        self.cut()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.faults.refuse:
                _reset(client)
                continue
            try:
                server = socket.create_connection((self._host, self._target()), timeout=5)
            except OSError:
                _reset(client)
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open.update((client, server))
            for source, sink, answer in ((client, server, False), (server, client, True)):
                passing = (source, sink, answer, id(client))
                threading.Thread(target=self._pass, args=passing, daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, answer: bool, connection: int) -> None:
        passed = 0
        try:
            while piece := source.recv(65536):
                while self.faults.hang and not self._closed.is_set():
                    time.sleep(0.01)
                if self.faults.delay:
                    time.sleep(self.faults.delay)
                self._watch(connection, answer, piece)
                limit = self.faults.cut_answer_after if answer else self.faults.cut_request_after
                if limit is not None and passed + len(piece) > limit:
                    sink.sendall(piece[: max(0, limit - passed)])
                    break
                sink.sendall(piece)
                passed += len(piece)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                self._open.discard(end)
                _reset(end)


def _reset(end: socket.socket) -> None:
    """Close with a reset, not with a polite end."""
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
