"""The server itself: `python -m tests.http_front DIRECTORY --port N [--user NAME:PASSWORD[:readonly]]…`.

Prints `ready PORT` when it listens. Without `--user` it takes everybody, as a fresh ClickHouse takes `default`.
"""

from __future__ import annotations

import argparse
import base64
import email
import email.policy
import gzip
import sys
import uuid
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame
import zstandard
from chdb import _chdb

from tests.http_front.statements import Refused, execute, summary_header


class User(NamedTuple):
    """Who may come in, and with what."""

    password: str
    read_only: bool


class Server(ThreadingHTTPServer):
    """Every request has a thread and an engine connection of its own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, directory: Path, users: Mapping[str, User], backups: Path | None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.path = str(directory) if backups is None else f"{directory}?backups.allowed_path={backups}/"
        self.users = users
        self.keep_open = chdb.connect(self.path)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are gone are what this server is for; anything else is told."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """ClickHouse's HTTP interface, as far as clickhouse-connect uses it."""

    protocol_version = "HTTP/1.1"
    # Head and body leave together: apart, the second waits 40 ms for word that the first has come.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._send(200, b"Ok.\n", {})
            return
        self._serve(b"")

    def do_POST(self) -> None:
        body = self._read_body()
        if body is None:  # cut off: nothing of it is run
            self.close_connection = True
            return
        self._serve(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Be quiet."""

    def _read_body(self) -> bytes | None:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while True:
                head = self.rfile.readline()
                if not head.endswith(b"\n"):
                    return None
                size = int(head.split(b";")[0], 16)
                piece = self.rfile.read(size)
                if len(piece) < size or self.rfile.readline() != b"\r\n":
                    return None
                if not size:
                    break
                pieces.append(piece)
            body = b"".join(pieces)
        else:
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:
                return None
        match self.headers.get("Content-Encoding"):
            case "lz4":
                return bytes(lz4.frame.decompress(body))
            case "zstd":
                return zstandard.ZstdDecompressor().decompressobj().decompress(body)
            case "gzip":
                return gzip.decompress(body)
            case _:
                return body

    def _serve(self, body: bytes) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        if self.headers.get_content_type() == "multipart/form-data":  # parameters too long for an address
            parameters |= self._form(body)
            body = b""
        query_id = parameters.get("query_id") or str(uuid.uuid4())
        try:
            fixed = self._authenticate()
            connection = chdb.connect(self.server.path)
            try:
                result = execute(connection, parameters, body, fixed=fixed)
            finally:
                connection.close()
        except Refused as refused:
            self._send(
                refused.http_status,
                str(refused).encode(),
                {"X-ClickHouse-Exception-Code": str(refused.code), "X-ClickHouse-Query-Id": query_id},
            )
            return
        headers = {
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Summary": summary_header(result.summary),
        }
        if result.format:
            headers["X-ClickHouse-Format"] = result.format
        self._send(200, result.body, headers, compress=parameters.get("enable_http_compression") == "1")

    def _form(self, body: bytes) -> dict[str, str]:
        """The fields of a form."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        parts = email.message_from_bytes(head + body, policy=email.policy.HTTP).iter_parts()
        fields = ((str(part.get_param("name", header="content-disposition")), part) for part in parts)
        return {name: bytes(part.get_payload(decode=True)).decode() for name, part in fields}

    def _authenticate(self) -> Mapping[str, str]:
        if not self.server.users:
            return {}
        kind, _, encoded = self.headers.get("Authorization", "").partition(" ")
        name, _, password = (
            base64.b64decode(encoded).decode().partition(":") if kind == "Basic" else ("default", "", "")
        )
        user = self.server.users.get(name)
        if user is None or user.password != password:
            raise Refused(
                516,
                f"Code: 516. DB::Exception: {name}: Authentication failed: password is incorrect, or there is no "
                "user with such name. (AUTHENTICATION_FAILED)",
            )
        return {"readonly": "1"} if user.read_only else {}

    def _send(self, status: int, body: bytes, headers: Mapping[str, str], *, compress: bool = False) -> None:
        encoding = ""
        if compress and "zstd" in self.headers.get("Accept-Encoding", ""):
            body, encoding = zstandard.ZstdCompressor().compress(body), "zstd"
        try:
            self._answer(status, body, headers, encoding)
        except OSError:  # the client is gone
            self.close_connection = True

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str], encoding: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if encoding:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _user(text: str) -> tuple[str, User]:
    name, password, *rest = text.split(":")
    return name, User(password, rest == ["readonly"])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.http_front", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--user", action="append", type=_user, default=[])
    parser.add_argument("--backups", type=Path, help="where BACKUP may write to")
    options = parser.parse_args()
    _chdb.set_signal_handlers_enabled(False)
    server = Server(options.port, options.directory, dict(options.user), options.backups)
    print(f"ready {server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
