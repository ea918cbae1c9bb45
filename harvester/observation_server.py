"""`/metrics`, `/healthz` and `/readyz` over HTTP, on an address that the operator chose; off by default.

Served by threads of its own from the same Snapshots that a screen is drawn from. It never waits for anything of the
harvest, and the harvest never for it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harvester.health import Health, progress_health, readiness
from harvester.metrics import CONTENT_TYPE, exposition
from harvester.snapshot import Snapshot

PATIENCE_SECONDS = 5.0
_TEXT = "text/plain; charset=utf-8"


class ObservationServer(ThreadingHTTPServer):
    """Listens from construction, answers from `start` to `close`."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, host: str, port: int, snapshot: Callable[[], Snapshot]) -> None:
        """`port` 0 lets the system choose.

        Raises:
            OSError: the address is in use, or is none of this machine.
        """
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.snapshot = snapshot
        self._thread = threading.Thread(target=self.serve_forever, args=(0.2,), name="metrics", daemon=True)
        super().__init__((host, port), _Answer)

    def start(self) -> None:
        """Answer on a thread of its own."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening; answers under way are not waited for."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that broke off is no news."""


class _Answer(BaseHTTPRequestHandler):
    server: ObservationServer
    server_version = "poe-ledger"
    sys_version = ""
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._send(HTTPStatus.OK, CONTENT_TYPE, exposition(self.server.snapshot()))
        elif path == "/healthz":
            self._verdict(progress_health(self.server.snapshot()))
        elif path == "/readyz":
            self._verdict(readiness(self.server.snapshot()))
        else:
            self._send(HTTPStatus.NOT_FOUND, _TEXT, b"There are /metrics, /healthz and /readyz.\n")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Being asked is no news."""

    def _verdict(self, health: Health) -> None:
        status = HTTPStatus.OK if health.good else HTTPStatus.SERVICE_UNAVAILABLE
        self._send(status, _TEXT, "".join(f"{line}\n" for line in health.reasons or ("ok",)).encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
