"""`status --watch`: in place, at even intervals, and in nobody's way."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TextIO

import pytest

from harvester.clock import VirtualClock
from harvester.commands.store_look import RepeatedLook, StoreLook
from harvester.commands.watch import Frame, watch
from harvester.settings import load_settings
from harvester.store.engine import Engine
from harvester.store.read import StoreFigures
from tests.cli_bench import CHECKOUT, POE_LEDGER, Home


class Ticks:
    """A clock that only moves while somebody pauses."""

    def __init__(self) -> None:
        self.clock = VirtualClock()

    def pause(self, seconds: float) -> None:
        self.clock.elapsed += seconds


def test_the_answer_is_drawn_anew_at_even_intervals_however_long_it_takes() -> None:
    ticks, terminal, asked = Ticks(), Frame(), []

    def answer(frame: TextIO) -> None:
        asked.append(round(ticks.clock.monotonic(), 3))
        ticks.pause(0.7)
        print(f"answer {len(asked)}", file=frame)

    watch(answer, 2.0, lambda: len(asked) >= 4, out=terminal, clock=ticks.clock, pause=ticks.pause, lines=lambda: 24)

    assert asked == [0.0, 2.0, 4.0, 6.0]
    assert terminal.getvalue().endswith("\x1b[?1049lanswer 4\n"), "the last answer stays, on the screen that was there"


def test_a_terminal_that_is_too_low_loses_the_end_and_says_so() -> None:
    ticks, terminal, asks = Ticks(), Frame(), count()

    def answer(frame: TextIO) -> None:
        frame.write("".join(f"line {number}\n" for number in range(30)))

    watch(answer, 1.0, lambda: next(asks) > 0, out=terminal, clock=ticks.clock, pause=ticks.pause, lines=lambda: 10)

    drawn = terminal.getvalue().partition("\x1b[H")[2].partition("\x1b[J")[0].split("\n")
    assert len(drawn) == 10
    assert drawn[-1].startswith("… 23 more lines")


def test_the_terminal_is_put_back_whatever_happens() -> None:
    terminal = Frame()

    def answer(_frame: TextIO) -> None:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError):
        watch(answer, 1.0, lambda: False, out=terminal)
    assert "\x1b[?1049l" in terminal.getvalue()


def test_an_embedded_store_that_nobody_used_is_left_alone_and_its_lag_grows(tmp_path: Path) -> None:
    clock, looks = VirtualClock(), []
    health = {"queue_key": "psapi:pc", "lag_seconds": 15.0, "level": "ok"}

    def look(engine: Engine) -> StoreLook:
        looks.append(engine.url)
        return StoreLook(None, StoreFigures("26", 0, (health,), {}, {}, ()))

    repeated = RepeatedLook(load_settings({}, None), clock.now, look)
    engine = Engine(f"chdb://{tmp_path}", "poe_trade")
    repeated(engine)
    clock.elapsed += 10

    figures = repeated(engine).figures
    assert len(looks) == 1
    assert figures is not None
    assert (figures.health[0]["lag_seconds"], figures.health[0]["level"]) == (25.0, "amber")

    (tmp_path / "status").write_text("PID: 1\n")  # as the engine does when it starts …
    (tmp_path / "status").unlink()  # … and ends
    os.utime(tmp_path, ns=(1, 1))  # file systems count time coarsely
    assert repeated(engine).figures is not None
    assert len(looks) == 2, "somebody may have written"


def test_a_server_is_asked_at_every_look() -> None:
    looks = []

    def look(engine: Engine) -> StoreLook:
        looks.append(engine.url)
        return StoreLook(None, None)

    repeated = RepeatedLook(load_settings({}, None), VirtualClock().now, look)
    for _ in range(3):
        repeated(Engine("http://127.0.0.1:9", "poe_trade"))
    assert len(looks) == 3


def test_without_a_terminal_it_is_refused(tmp_path: Path) -> None:
    done = Home(tmp_path).run("--headless", "status", "--watch")

    assert (done.code, done.out) == (2, "")
    assert "terminal" in done.err


def test_on_a_terminal_ctrl_c_ends_it(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT), "TERM": "xterm"}
    process = subprocess.Popen(
        [sys.executable, *POE_LEDGER, "--headless", "status", "--watch"],
        cwd=tmp_path, env=environ, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    shown = ""
    try:
        while "nothing was ever harvested" not in shown:
            shown += os.read(ours, 4096).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
