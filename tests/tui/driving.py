"""Driving a screen of the app over the real engine: waiting for what threads post, and reading what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from harvester.clock import VirtualClock
from poe_ledger_tui import scenes
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.messages import RoomChanged
from poe_ledger_tui.still import StillRoom, still_app
from tests.tui.stall_watch import StallWatch


@asynccontextmanager
async def opened(
    room: StillRoom, key: str, size: tuple[int, int] = (100, 30)
) -> AsyncIterator[tuple[LedgerApp, Pilot[int]]]:
    """The app on the screen behind `key`, over a room whose store is open."""
    app = still_app(room)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        app.post_message(RoomChanged(scenes.READY))
        await pilot.press(key)
        await pilot.pause()
        yield app, pilot


async def until(pilot: Pilot[int], holds: Callable[[], bool], what: str = "it") -> None:
    """Wait for what a thread will post."""
    for _ in range(4000):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"{what} never came; the screen:\n{shown(pilot)}")


def shown(pilot: Pilot[int]) -> str:
    """The texts of the screen in front."""
    return "\n".join(text_of(widget) for widget in pilot.app.screen.query(Static))


def text_of(widget: Static) -> str:
    """What a text widget shows."""
    return str(widget.content)


def cells(table: DataTable[Any]) -> list[list[str]]:
    """The rows of a table."""
    return [[cell.plain for cell in table.get_row_at(row)] for row in range(table.row_count)]


def later(app: LedgerApp, seconds: float) -> None:
    """Let time pass: the app's clock stands still by itself."""
    assert isinstance(app.clock, VirtualClock)
    app.clock.elapsed += seconds


def run(body: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test's body on an event loop of its own."""
    asyncio.run(body())


def forgive_lock_waits(watch: StallWatch) -> None:
    """Leave out short waits, not long computing: with a real engine at work in the same process, the thread
    that has the interpreter's lock may itself be waiting for a processor. What blocks for half a second still counts.
    """
    watch.stalls[:] = [stall for stall in watch.stalls if stall.blocking > 0.5 or stall.computing > 0.1]
