"""Leaving, in a real (pseudo) terminal: whatever hangs, the process ends, and the terminal is as it was."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 90.0
"""Seconds. What hangs here hangs for ever: how fast the app is gone is measured in `benchmarks`."""
ALTERNATE_SCREEN_LEFT = b"\x1b[?1049l"


@dataclass
class Left:
    """How the process ended."""

    code: int
    after: bytes
    """What it wrote from the moment it was asked to leave."""
    modes_kept: bool


class Terminal:
    """`poe-ledger` in a terminal of its own."""

    def __init__(self, home: Path, *arguments: str, **environ: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:  # the child
            whole = {
                "PATH": os.environ["PATH"],
                "HOME": str(home),
                "PYTHONPATH": str(CHECKOUT),
                "TERM": "xterm-256color",
            }
            os.chdir(home)
            os.execve(sys.executable, [sys.executable, "-m", "poe_ledger_tui.cli", *arguments], {**whole, **environ})
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self._modes = termios.tcgetattr(self._fd)
        self._seen = b""

    def until(self, words: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while words not in self._seen:
            assert time.monotonic() < end, self._seen[-500:]
            self._read(0.2)

    def leave(self, how: bytes | signal.Signals) -> Left:
        self._seen = b""
        if isinstance(how, bytes):
            os.write(self._fd, how)
        else:
            os.kill(self.pid, how)
        end = time.monotonic() + PATIENCE
        while True:
            self._read(0.05)
            modes = termios.tcgetattr(self._fd)
            gone, status = os.waitpid(self.pid, os.WNOHANG)
            if gone:
                break
            assert time.monotonic() < end, self._seen[-500:]
        self._read(0.05)
        kept = modes[:4] == self._modes[:4] or termios.tcgetattr(self._fd)[:4] == self._modes[:4]
        return Left(os.waitstatus_to_exitcode(status), self._seen, kept)

    def close(self) -> None:
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self._fd)

    def _read(self, wait: float) -> None:
        readable = select.poll()
        readable.register(self._fd, select.POLLIN)
        while readable.poll(wait * 1000):
            try:
                self._seen += os.read(self._fd, 65536)
            except OSError:
                return
            wait = 0


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers: a request or a query that hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def clean(left: Left) -> bool:
    return left.code == 0 and ALTERNATE_SCREEN_LEFT in left.after and b"Traceback" not in left.after and left.modes_kept


@pytest.mark.parametrize("how", [b"q", b"\x03", b"\x1b[21~", signal.SIGTERM, signal.SIGHUP], ids=str)
def test_it_leaves_a_store_that_hangs(
    how: bytes | signal.Signals, terminals: list[Terminal], silent_server: str, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, POE_CLICKHOUSE_URL=silent_server)
    terminals.append(terminal)
    terminal.until(b"opening the store")
    left = terminal.leave(how)

    assert clean(left), left
    assert b"Nothing is lost" in left.after


def test_a_second_quit_leaves_at_once(terminals: list[Terminal], silent_server: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, POE_CLICKHOUSE_URL=silent_server)
    terminals.append(terminal)
    terminal.until(b"opening the store")
    left = terminal.leave(b"qq")

    assert clean(left), left
    assert b"Left at once" not in left.after  # that is what is said when patience is over


def test_it_leaves_a_demo_in_full_harvest_with_what_to_look_at(terminals: list[Terminal], tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "--demo")
    terminals.append(terminal)
    terminal.until(b"HARVESTING")
    left = terminal.leave(b"q")

    assert clean(left), left
    spool = list((tmp_path / ".cache" / "poe-ledger" / "demo" / "cursors").rglob("*.tmp"))
    assert spool == []


def test_a_setting_that_cannot_be_used_ends_with_2_and_its_name(terminals: list[Terminal], tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, POE_REALMS="atlantis")
    terminals.append(terminal)
    left = terminal.leave(b"")

    assert left.code == 2
    assert ALTERNATE_SCREEN_LEFT in left.after
    assert b"POE_REALMS" in left.after
