"""A bench for commands as operators run them: real processes, a home of their own, a simulated API over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harvester.clock import SystemClock
from harvester.simulator.api import SimulatedApi, demo_settings
from harvester.simulator.http_front import HttpFront
from harvester.simulator.river import River
from harvester.simulator.rules import STASH_POLICY, Policy

CHECKOUT = Path(__file__).resolve().parent.parent
POE_LEDGER = ("-c", "from poe_ledger_tui.cli import main; main()")
MARKET_HARVESTER = ("-m", "harvester.commands.market_harvester")
POE_TRADE = ("-m", "poe_trade.cli")
PATIENCE = 60.0


@dataclass
class Home:
    """A home directory and the environment of every command run in it."""

    directory: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, entry: tuple[str, ...] = POE_LEDGER, **more: str) -> Done:
        """Run a command to its end, without a terminal."""
        process = self.start(*arguments, entry=entry, **more)
        out, err = process.communicate(timeout=PATIENCE)
        return Done(process.returncode, out, err)

    def start(self, *arguments: str, entry: tuple[str, ...] = POE_LEDGER, **more: str) -> subprocess.Popen[str]:
        """Start a command; what it says is kept until `communicate`."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "PYTHONPATH": str(CHECKOUT)}
        return subprocess.Popen(
            [sys.executable, *entry, *arguments],
            cwd=self.directory,
            env={**environ, **self.environ, **more},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def cursor_file(self) -> Path:
        """Written when the first page is committed."""
        return self.directory / "cursors" / "psapi_pc.json"


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.out + self.err, self.err


def until(there: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline, "it does not come"
        assert process is None or process.poll() is None, process.communicate()
        time.sleep(0.02)


def end(process: subprocess.Popen[str], number: signal.Signals) -> tuple[Done, float]:
    """Send a signal; returns how the process ended, and after how many seconds."""
    sent = time.monotonic()
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return Done(process.returncode, out, err), time.monotonic() - sent


@contextmanager
def simulated_api(pages: int | None, *, limit: str = "20:1:60") -> Iterator[tuple[SimulatedApi, dict[str, str]]]:
    """A simulated API on this machine, and the environment that points a harvest at it."""
    clock = SystemClock()
    river = River(3, start=clock.now(), pages=pages, stashes_per_page=10, items_per_stash=4.0, empty_pages=0)
    api = SimulatedApi(clock, [river], policy=Policy(STASH_POLICY, {"Ip": [limit]}))
    front = HttpFront(api, "127.0.0.1", 0)
    front.start()
    try:
        yield api, {**demo_settings(front.url), "POE_FEEDS": "psapi"}
    finally:
        front.stop()
