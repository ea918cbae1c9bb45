"""The simulated API as a real HTTP/1.1 server on the loopback, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from http import HTTPStatus
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, unquote, urlsplit

from harvester.simulator.answers import Ending, SimResponse
from harvester.simulator.api import SimulatedApi

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_MAX_HEAD = 65_536
_MAX_BODY = 1_048_576


class BadRequestError(Exception):
    """What came is no HTTP request that this server reads."""


class HttpFront:
    """Serves a `SimulatedApi` under `url` between `start` and `stop`, or as a context manager.

    While it runs, its thread is the only one that may touch the api; read the truth when the clients rest.
    """

    def __init__(self, api: SimulatedApi, host: str = "127.0.0.1", port: int = 0) -> None:
        """Port 0: any free one.

        `start` raises `OSError` where the port is taken, `OverflowError` or `ValueError` where there is no such
        port or host.
        """
        self.api = api
        self.url = ""
        self._host = host
        self._port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._problem: BaseException | None = None
        self._thread: threading.Thread | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def start(self) -> Self:
        """Listen; returns when requests are taken."""
        self._thread = threading.Thread(target=self._run, name="simulated-api", daemon=True)
        self._thread.start()
        self._ready.wait()
        if self._problem is not None:
            raise self._problem
        return self

    def stop(self) -> None:
        """Close every connection at once and end the thread."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread is not None:
            self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except (OSError, OverflowError, ValueError) as error:
            self._problem = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, self._host, self._port, limit=_MAX_HEAD)
        self._port = server.sockets[0].getsockname()[1]
        self.url = f"http://{self._host}:{self._port}"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
        try:
            while await self._exchange(reader, writer):
                pass
        except BadRequestError as error:
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.api.truth.complain(self.api.clock.now(), f"bad request: {error}")
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client left, or we do
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; returns whether the connection lives on."""
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError as error:
            raise BadRequestError("head too long") from error
        method, target, headers = _read_head(head)
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > _MAX_BODY or "transfer-encoding" in headers:
            raise BadRequestError("unreadable body length")
        body = await reader.readexactly(int(length))
        parts = urlsplit(target)
        query = parse_qsl(parts.query, keep_blank_values=True)
        answer = await self.api.handle(method, unquote(parts.path), query, headers, body)
        lives = answer.ending is Ending.WHOLE and headers.get("connection", "").lower() != "close"
        await self._send(writer, answer, method)
        return lives

    async def _send(self, writer: asyncio.StreamWriter, answer: SimResponse, method: str) -> None:
        if answer.status:
            phrase = _PHRASES.get(answer.status, "Unknown")
            lines = [
                f"HTTP/1.1 {answer.status} {phrase}",
                *(f"{name}: {value}" for name, value in answer.headers),
            ]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace"))
            await writer.drain()
        if method != "HEAD":
            for chunk in answer.chunks:
                await self.api.clock.sleep(chunk.after)
                writer.write(chunk.data)
                await writer.drain()
        if answer.ending is Ending.STUCK:
            await asyncio.Event().wait()
        if answer.ending in (Ending.RESET, Ending.NO_ADDRESS, Ending.NO_CONNECTION):
            linger_not = struct.pack("ii", 1, 0)  # close with RST, not with FIN
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_not)
            writer.transport.abort()


def _read_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise BadRequestError(f"request line {first[:80]!r}")
    headers = {}
    for line in rest:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequestError("header without a colon")
        headers[name.strip().lower()] = value.strip()
    return words[0], words[1], headers
