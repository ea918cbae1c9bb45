"""Every screen in every state that matters, held against its golden file."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import pytest

from harvester.events import Event
from harvester.snapshot import Snapshot
from harvester.snapshot_source import SourceKind
from poe_ledger_tui import scenes
from poe_ledger_tui.messages import RoomState, SourceLost, Stage
from poe_ledger_tui.theme import DEFAULT_THEME
from tests.tui.bench import on_stage
from tests.tui.golden_file import compare


@dataclass(frozen=True)
class Case:
    """A screen to be looked at."""

    snapshot: Snapshot | None = scenes.RUNNING
    room: RoomState = scenes.READY
    keys: tuple[str, ...] = ()
    size: tuple[int, int] = (100, 32)
    theme: str = DEFAULT_THEME
    kind: SourceKind = SourceKind.LIVE
    later: float = 0.0
    lost: str = ""
    colours: bool = True
    events: tuple[Event, ...] = scenes.EVENTS


WATCHING = replace(scenes.READY, stage=Stage.WATCHING, monitor=True)
CASES = {
    "cold": Case(None, scenes.COLD, events=()),
    "migrating": Case(None, scenes.MIGRATING, events=()),
    "first-steps": Case(scenes.NOT_STARTED, scenes.EMPTY, events=()),
    "running": Case(),
    "troubled": Case(scenes.TROUBLED),
    "stalled": Case(scenes.STALLED),
    "restricted": Case(scenes.RESTRICTED),
    "store-lost": Case(scenes.STORE_LOST),
    "store-lost-at-start": Case(None, scenes.LOST, events=()),
    "blocked": Case(None, scenes.BLOCKED, events=()),
    "pending": Case(room=scenes.PENDING),
    "attached": Case(room=WATCHING, kind=SourceKind.ATTACHED),
    "disconnected": Case(room=WATCHING, kind=SourceKind.ATTACHED, later=8, lost="the harvest says nothing any more"),
    "stale": Case(later=42),
    "frozen": Case(keys=("p",), later=5),
    "leaving": Case(keys=("q",)),
    "queue": Case(scenes.TROUBLED, keys=("enter",)),
    "events": Case(scenes.TROUBLED, keys=("4",)),
    "events-warnings": Case(scenes.TROUBLED, keys=("4", "w")),
    "event-detail": Case(scenes.TROUBLED, keys=("4", "up", "up", "enter")),
    "help": Case(keys=("question_mark",), size=(100, 45)),
    "light": Case(scenes.TROUBLED, theme="ledger-light"),
    "ansi-dark": Case(scenes.TROUBLED, theme="ansi-dark"),
    "ansi-light": Case(scenes.TROUBLED, theme="ansi-light"),
    "no-color": Case(scenes.TROUBLED, colours=False),
    "size-80x24": Case(scenes.TROUBLED, size=(80, 24)),
    "size-60x20": Case(scenes.TROUBLED, size=(60, 20)),
    "size-120x36": Case(scenes.TROUBLED, size=(120, 36)),
    "size-200x60": Case(scenes.TROUBLED, size=(200, 60)),
    "too-small": Case(size=(50, 16)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_screen_is_as_it_was(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    if not case.colours:
        monkeypatch.setenv("NO_COLOR", "1")

    async def look() -> None:
        async with on_stage(
            case.snapshot,
            case.room,
            size=case.size,
            kind=case.kind,
            theme=case.theme,
            now=scenes.NOW + case.later,
            events=case.events,
        ) as stage:
            await stage.press(*case.keys)
            if case.lost:
                await stage.post(SourceLost(case.lost, 3))
            await stage.settle()
            compare(name, stage.app)

    asyncio.run(look())
