"""`poe-ledger` in a pseudo terminal of its own, as an operator has it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path

from tests.tui.screen_text import ScreenText

CHECKOUT = Path(__file__).parents[2]
PATIENCE = 90.0
"""Seconds. What hangs here hangs for ever: how fast the app is gone is measured in `benchmarks`."""
ALTERNATE_SCREEN_LEFT = b"\x1b[?1049l"


@dataclass
class Left:
    """How the process ended."""

    seconds: float
    code: int
    after: bytes
    """What it wrote from the moment it was asked to leave."""
    modes_kept: bool


class Terminal:
    """`poe-ledger` in a terminal of its own."""

    def __init__(self, home: Path, *arguments: str, size: tuple[int, int] = (30, 100), **environ: str) -> None:
        """`size`: rows and columns."""
        self.screen = ScreenText(*size)
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
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self._modes = termios.tcgetattr(self._fd)
        self._seen = b""

    def until(self, words: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while words not in self._seen:
            assert time.monotonic() < end, self._seen[-500:]
            self._read(0.2)

    def watch(self, seconds: float) -> str:
        """Take what comes within so many seconds; returns what then stands on the screen."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)
        return self.screen.text

    def forget(self) -> None:
        """What follows must come anew."""
        self._seen = b""

    def press(self, keys: bytes) -> None:
        """Type, and wait for nothing."""
        os.write(self._fd, keys)
        self._read(0.3)

    def press_until(self, keys: bytes, words: bytes) -> None:
        """Type it again and again until there are these words."""
        end = time.monotonic() + PATIENCE
        while words not in self._seen:
            assert time.monotonic() < end, self._seen[-500:]
            self.press(keys)
            self._read(1.0)

    def leave(self, how: bytes | signal.Signals) -> Left:
        self._seen = b""
        asked = time.monotonic()
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
                seconds = time.monotonic() - asked
                break
            assert time.monotonic() < end, self._seen[-500:]
        self._read(0.05)
        kept = modes[:4] == self._modes[:4] or termios.tcgetattr(self._fd)[:4] == self._modes[:4]
        return Left(seconds, os.waitstatus_to_exitcode(status), self._seen, kept)

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
                piece = os.read(self._fd, 65536)
            except OSError:
                return
            self._seen += piece
            self.screen.feed(piece)
            wait = 0
