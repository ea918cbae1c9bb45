"""The log: filter, search, level by key, detail, and the same lines as headless."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps

from harvester.events import Event, Level
from poe_ledger_tui import scenes
from poe_ledger_tui.messages import EventsCame
from tests.tui.bench import on_stage

LINES = (
    Event(scenes.NOW - 30, Level.INFO, "psapi:pc", "harvesting from 1-2-3"),
    Event(scenes.NOW - 20, Level.WARNING, "psapi:xbox", "503 from the API", "try 2 in 4 s"),
    Event(scenes.NOW - 10, Level.ERROR, "psapi:pc", "page 7 cannot be stored", "it is set aside", "Look at it."),
)


def aio(test: Callable[[], Coroutine[object, object, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(test())

    return run


@aio
async def test_levels_queues_and_words_hide_lines_and_say_so() -> None:
    async with on_stage(scenes.RUNNING, events=LINES) as stage:
        await stage.press("4")
        assert "3 of 3 lines" in stage.text()
        await stage.press("w")
        assert "harvesting from" not in stage.text()
        assert "warnings and errors" in stage.text()
        await stage.press("e")
        assert "503" not in stage.text()
        assert "page 7" in stage.text()
        await stage.press("a", "n")
        assert "503" not in stage.text()
        assert "only psapi:pc" in stage.text()
        await stage.press("escape", "slash", *"API 50")
        assert "503" in stage.text()
        assert "1 of 3 lines" in stage.text()
        await stage.press("enter", "escape")
        assert "3 of 3 lines" in stage.text()


@aio
async def test_new_lines_come_in_and_are_followed_until_somebody_reads() -> None:
    async with on_stage(scenes.RUNNING, events=LINES, size=(100, 24)) as stage:
        await stage.press("4")
        many = tuple(Event(scenes.NOW, Level.INFO, "psapi:pc", f"line {n}") for n in range(50))
        await stage.post(EventsCame(many))
        assert "line 49" in stage.text()
        await stage.press("up", "up")
        await stage.post(EventsCame((Event(scenes.NOW, Level.INFO, "psapi:pc", "the newest"),)))
        assert "standing still" in stage.text()
        assert "the newest" not in stage.text()
        await stage.press("f")
        assert "the newest" in stage.text()


@aio
async def test_enter_tells_the_whole_line_and_what_to_do() -> None:
    async with on_stage(scenes.RUNNING, events=LINES) as stage:
        await stage.press("4", "enter")
        text = stage.text()
        assert "What happens next: it is set aside" in text
        assert "What you can do: Look at it." in text
        await stage.press("escape")
        assert "3 of 3 lines" in stage.text()


@aio
async def test_ten_thousand_lines_are_bounded_and_hold_nothing_up() -> None:
    async with on_stage(scenes.RUNNING) as stage:
        await stage.press("4")
        for start in range(0, 10_000, 1000):
            await stage.post(
                EventsCame(tuple(Event(scenes.NOW, Level.INFO, "psapi:pc", f"line {start + n}") for n in range(200)))
            )
        assert "line 9199" in stage.text()
        assert len(stage.app.log_lines) <= 5000
