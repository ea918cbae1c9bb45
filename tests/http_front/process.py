"""Starts the test server, and does to it what can happen to a server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOT = Path(__file__).resolve().parents[2]


class ServerProcess:
    """A server over a data directory. The port stays the same over restarts."""

    def __init__(self, directory: Path, *, users: Sequence[str] = (), backups: Path | None = None) -> None:
        """`users` as `NAME:PASSWORD[:readonly]`; without any, everybody may come in. BACKUP may write to `backups`."""
        self._backups = backups
        self.directory = directory
        self.port = 0
        self._users = users
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """For `POE_CLICKHOUSE_URL`."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start, and wait until it listens."""
        command = [sys.executable, "-m", "tests.http_front", str(self.directory), "--port", str(self.port)]
        for user in self._users:
            command += ["--user", user]
        if self._backups is not None:
            command += ["--backups", str(self._backups)]
        environment = {**os.environ, "TZ": "UTC", "PYTHONPATH": str(_ROOT)}
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT, env=environment)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.startswith("ready "):
            raise RuntimeError(f"the test server did not start: {line!r}")
        self.port = int(line.split()[1])
        return self

    def kill(self) -> None:
        """As a power cut does it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None

    def freeze(self) -> None:
        """Connections are taken by the system and nobody answers."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on where it stood."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
