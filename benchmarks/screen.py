"""What the terminal app costs: until its first paint, until a key is answered, and while nobody touches it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
BARE = """
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("Wraeclast Ledger")
Bare().run()
"""
APP = ("-m", "poe_ledger_tui.cli")
LONG_QUERY = b"SELECT sum(cityHash64(number, toString(number))) FROM numbers(4000000000)"
"""Half a minute of work for two cores and more."""
F5, ESCAPE, CLEAR_LINE = b"\x1b[15~", b"\x1b", b"\x15"
SETTLING_SECONDS = 15.0
WATCHED_SECONDS = 20.0


class Watched:
    """A program in a terminal of its own."""

    def __init__(self, home: str, *arguments: str) -> None:
        self.began = time.perf_counter()
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            environ = {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm-256color"}
            os.execve(sys.executable, [sys.executable, *arguments], environ)
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", 36, 120, 0, 0))

    def until(self, words: bytes, patience: float = 60.0) -> float:
        """The moment at which words were written; what was written before this call does not count."""
        seen, end = b"", time.perf_counter() + patience
        while words not in seen:
            if time.perf_counter() > end:
                raise TimeoutError(f"{words!r} never came: {seen[-300:]!r}")
            seen += self._read(0.5)
        return time.perf_counter()

    def drain(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            self._read(left)

    def answer(self, key: bytes, words: bytes) -> float:
        """Seconds from a key until its answer was written."""
        self.drain(0.01)
        pressed = time.perf_counter()
        os.write(self._fd, key)
        return self.until(words) - pressed

    def type(self, keys: bytes, pause: float) -> None:
        """Keys whose answer does not matter, and some seconds for it."""
        os.write(self._fd, keys)
        self.drain(pause)

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self._fd)

    def leave(self, how: bytes) -> float:
        """Seconds until the process is gone."""
        asked = time.perf_counter()
        os.write(self._fd, how)
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            self._read(0.01)
        os.close(self._fd)
        return time.perf_counter() - asked

    def _read(self, wait: float) -> bytes:
        if not select.select([self._fd], [], [], wait)[0]:
            return b""
        try:
            return os.read(self._fd, 65536)
        except OSError:
            return b""


def first_paint(samples: int = 10) -> None:
    """From the start of the process until its name stands on the screen, in turn with a bare app; warm cache.

    Beside the wall's time, which a busy machine stretches, the processor's.
    """
    times: dict[str, list[float]] = {"bare Textual app": [], "poe-ledger": []}
    worked: dict[str, list[float]] = {name: [] for name in times}
    with tempfile.TemporaryDirectory() as home:
        for _ in range(samples + 1):  # the first of each warms the cache
            for name, arguments in (("bare Textual app", ("-c", BARE)), ("poe-ledger", (*APP, "--no-start"))):
                program = Watched(home, *arguments)
                times[name].append(program.until(b"Wraeclast") - program.began)
                worked[name].append(program.cpu_seconds())
                program.kill()
    for name, taken in times.items():
        print(
            f"first paint, {name}: median {statistics.median(taken[1:]):.2f} s, best {min(taken[1:]):.2f} s, "
            f"of a core {min(worked[name][1:]):.2f} s"
        )


def key_latency(samples: int = 100) -> None:
    """While a demo harvests at full speed, one key right after the other: one that changes a line, one that changes the
    screen, one that opens a queue, one that types, and the first once more while a query of half a minute runs. The first
    look at each of four screens, which makes it, is told by itself."""
    with tempfile.TemporaryDirectory() as home:
        program = Watched(home, *APP, "--demo")
        program.until(b"HARVESTING")
        program.drain(SETTLING_SECONDS)
        first = []
        for key, words in (
            (b"4", b"what happened"),
            (b"\r", b"Newest pages"),
            (b"3", b"checks"),
            (b"2", b"migration "),
        ):
            first.append(program.answer(key, words))
            program.answer(b"1", b"Throughput")
        line = [program.answer(b"p", words) for _ in range(samples // 2) for words in (b"FROZEN", b"HARVESTING")]
        screen = [
            program.answer(*step)
            for _ in range(samples // 2)
            for step in ((b"4", b"what happened"), (b"1", b"Throughput"))
        ]
        opening = []
        for _ in range(samples // 2):
            opening.append(program.answer(b"\r", b"Newest pages"))
            program.answer(b"1", b"Throughput")
        program.answer(b"3", b"checks")
        program.answer(b"e", b"F5 runs")
        typing = [program.answer(letter, letter) for _ in range(samples // 2) for letter in (b"z", b"q")]
        program.type(CLEAR_LINE, 1.0)
        program.type(LONG_QUERY, 3.0)
        program.answer(F5, b"running for")
        program.type(ESCAPE, 1.0)
        program.answer(b"1", b"Throughput")
        beside = [program.answer(b"p", words) for _ in range(samples // 4) for words in (b"FROZEN", b"HARVESTING")]
        left = program.leave(b"q")
    for name, taken in (
        ("freeze", line),
        ("another screen", screen),
        ("a queue opened", opening),
        ("a screen seen for the first time", first),
        ("a letter typed", typing),
        ("freeze while a query runs", beside),
    ):
        taken.sort()
        p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        print(f"key to paint, {name}: median {statistics.median(taken) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
    print(f"leaving the demo: {left:.2f} s")


def idle_cost() -> None:
    """Share of a core: the dashboard with nothing running, and a demo with the screen and without."""
    shares: dict[str, float] = {}
    for name, arguments in (
        ("idle dashboard", (*APP, "--no-start")),
        ("demo on the screen", (*APP, "--demo")),
        ("demo headless", (*APP, "--headless", "--demo", "harvest", "--pages", "100000")),
    ):
        with tempfile.TemporaryDirectory() as home:
            program = Watched(home, *arguments)
            program.drain(SETTLING_SECONDS)
            before, began = program.cpu_seconds(), time.perf_counter()
            program.drain(WATCHED_SECONDS)
            shares[name] = (program.cpu_seconds() - before) / (time.perf_counter() - began)
            program.kill()
    for name, share in shares.items():
        print(f"{name}: {share:.1%} of a core")


def screen_costs(samples: int) -> None:
    """All of it."""
    first_paint()
    key_latency(2 * samples)
    idle_cost()
