"""Text of strangers is drawn harmlessly in every pane, dialog, toast and line, and costs no frame."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import pytest
from rich.cells import cell_len

from harvester.commands.harvest_display import event_line, queue_line
from harvester.commands.output import printable, say
from harvester.events import Level
from harvester.snapshot_source import SourceKind
from poe_ledger_tui import scenes
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.messages import EventsCame, RoomChanged, SnapshotTaken, SourceLost, Stage
from poe_ledger_tui.safe_text import clean, many_lines, one_line
from tests.tui.bench import Stage as Bench
from tests.tui.bench import on_stage
from tests.tui.hostile import FORBIDDEN, TEXTS, poisoned, slice_of


def harmless(stage: Bench) -> None:
    for line in stage.lines():
        found = FORBIDDEN & set(line)
        assert not found, f"{found!r} in {line!r}"
    width = stage.app.size.width
    assert all(cell_len(line) <= width for line in stage.lines())


def no_clicks_of_strangers(app: LedgerApp) -> None:
    """Markup that was read would have left a link or an action in the style of a cell."""
    for strip in app.screen._compositor.render_strips(app.size):
        for segment in strip:
            if segment.style is not None:
                assert segment.style.link is None
                assert "@click" not in segment.style.meta


@pytest.mark.parametrize("text", slice_of(TEXTS))
def test_it_is_harmless_everywhere(text: str) -> None:
    snapshot = poisoned(scenes.TROUBLED, text)
    # Two queues of one name are one row: names stay apart by their end.
    snapshot = replace(
        snapshot,
        queues=tuple(replace(queue, queue_key=f"{text[:300]}{n}") for n, queue in enumerate(snapshot.queues)),
    )
    room = replace(poisoned(scenes.PENDING, text), stage=Stage.READY)
    events = tuple(replace(event, level=Level.ERROR) for event in poisoned(scenes.EVENTS, text))

    async def look() -> None:
        async with on_stage(scenes.RUNNING, size=(100, 40)) as stage:
            await stage.post(RoomChanged(room), SnapshotTaken(snapshot, SourceKind.LIVE), EventsCame(events))
            harmless(stage)
            no_clicks_of_strangers(stage.app)
            assert len(stage.app._notifications) == len(events)
            for screen in ("enter", "escape", "4", "enter", "escape", "y", "Y", "slash", "2", "1", "question_mark"):
                await stage.press(screen)
                harmless(stage)
                no_clicks_of_strangers(stage.app)
            await stage.press("escape")
            await stage.post(RoomChanged(replace(room, stage=Stage.LOST)), SourceLost(text, 2))
            harmless(stage)

    asyncio.run(look())


@pytest.mark.parametrize("text", slice_of(TEXTS))
def test_headless_prints_it_harmlessly(text: str) -> None:
    out = io.StringIO()
    snapshot = poisoned(scenes.TROUBLED, text)
    for event in poisoned(scenes.EVENTS, text):
        say(out, event_line(event))
    for queue in snapshot.queues:
        say(out, queue_line(queue, snapshot))

    assert not (FORBIDDEN - {"\n", "\t"}) & set(out.getvalue())


@pytest.mark.parametrize("text", slice_of(TEXTS))
def test_the_door_lets_nothing_through(text: str) -> None:
    for made in (one_line(text).plain, clean(text), printable(text)):
        assert not FORBIDDEN & set(made)
    assert not (FORBIDDEN - {"\n", "\t"}) & set(many_lines(text).plain)
    assert len(one_line(text).plain) <= 400
    assert one_line(text).spans == []
