"""Starts the app on a terminal and ends the process with the right exit code. Textual is imported from here on."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from harvester.clock import SystemClock
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.config import ConfigError, config_path, load_config
from poe_ledger_tui.engine_room import EngineRoom
from poe_ledger_tui.prefs import AsLeft, load_prefs, prefs_path
from poe_ledger_tui.session import HarvestPlan
from poe_ledger_tui.terminal import LastResort, Terminal
from poe_ledger_tui.wishes import Wishes

SWITCH_SECONDS = 0.001
"""How long a thread of the harvest may keep the interpreter from the screen's; a fifth of Python's own."""

COLLECT_AFTER = (5_000, 20, 10)
"""New objects until the young are looked at; how many times that until the middle-aged, and how many times those until
all are. Python's own are 700, 10, 10."""

Loader = Callable[[AsLeft], HarvestPlan]
"""Reads the settings and decides what is run, knowing how the app was left; called on the engine room's thread."""


def open_app(wishes: Wishes, opened_on: str = "dashboard") -> NoReturn:
    """Show the app until it is left, and end the process with its exit code."""

    def load(as_left: AsLeft) -> HarvestPlan:
        _after_first_paint()
        from poe_ledger_tui.plans import make_plan

        return make_plan(wishes, as_left)

    end(run_app(load, opened_on=opened_on))


def _after_first_paint() -> None:
    """Collect garbage again. A page makes a hundred thousand objects that are gone in a moment: they are looked at a
    few times, and what is old hardly ever, for everything stands still meanwhile, the screen too."""
    gc.set_threshold(*COLLECT_AFTER)
    _keep_what_stays()
    gc.enable()


def _keep_what_stays() -> None:
    """Never look at what the app itself consists of."""
    gc.freeze()


def run_app(load: Loader, *, opened_on: str = "dashboard", config_file: Path | None = None) -> int:
    """Show the app until it is left; returns the exit code. The terminal is as it was before."""
    try:
        config = load_config(config_file or config_path())
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    prefs_file = prefs_path()
    as_left = load_prefs(prefs_file)
    sys.setswitchinterval(SWITCH_SECONDS)
    terminal = Terminal()
    last_resort = LastResort(terminal.restore)
    clock = SystemClock()
    closed = threading.Event()
    app = LedgerApp(
        lambda post: EngineRoom(lambda: load(as_left), post, clock, closed.set, _keep_what_stays),
        config=config,
        as_left=as_left,
        prefs_file=prefs_file,
        opened_on=opened_on,
        clock=clock,
        last_resort=last_resort,
    )
    result = app.run()
    code = result if result is not None else (app.return_code or 0)
    if result is None:  # a fault ended the app before the engine room: it gets its time to finish
        last_resort.arm(code)
        app.room.close()
        closed.wait()
    words = app.message_after or (app.room.plan.farewell if app.room.plan is not None else "")
    if words:
        from harvester.commands.output import say

        say(sys.stderr, words)
    return code


def end(code: int) -> NoReturn:
    """End the process. Everything that matters is closed; the interpreter would wait for threads that hang in a driver,
    and take its time over an embedded engine that is closed already."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
