"""The app over a still engine room, at an instant that does not move; messages are posted by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.message import Message
from textual.pilot import Pilot

from harvester.events import Event
from harvester.snapshot import Snapshot
from harvester.snapshot_source import SourceKind
from poe_ledger_tui import scenes
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.messages import EventsCame, RoomChanged, RoomState, SnapshotTaken
from poe_ledger_tui.still import StillRoom, still_app
from poe_ledger_tui.theme import DEFAULT_THEME
from tests.tui.stall_watch import StallWatch

WATCH: StallWatch | None = None
"""That of the test that runs."""


class Stage:
    """What a test has in hand."""

    def __init__(self, app: LedgerApp, room: StillRoom, pilot: Pilot[int]) -> None:
        self.app, self.room, self.pilot = app, room, pilot

    async def post(self, *messages: Message) -> None:
        """As a thread would."""
        for message in messages:
            self.app.post_message(message)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(3):
            await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    @property
    def told(self) -> list[tuple[str, object]]:
        """What the engine room was told, but for `begin`."""
        return [entry for entry in self.room.told if entry[0] != "begin"]

    def lines(self) -> list[str]:
        """What is on the screen, line by line."""
        width, height = self.app.size
        del width
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return ["".join(segment.text for segment in strip) for strip in strips][:height]

    def cells(self) -> list[list[tuple[str, str]]]:
        """What is on the screen with its styles, line by line."""
        strips = self.app.screen._compositor.render_strips(self.app.size)
        return [[(segment.text, str(segment.style)) for segment in strip] for strip in strips]

    def text(self) -> str:
        return "\n".join(self.lines())


@asynccontextmanager
async def on_stage(
    snapshot: Snapshot | None = scenes.RUNNING,
    room: RoomState = scenes.READY,
    *,
    size: tuple[int, int] = (120, 36),
    kind: SourceKind = SourceKind.LIVE,
    events: tuple[Event, ...] = (),
    theme: str = DEFAULT_THEME,
    now: float = scenes.NOW,
    app: LedgerApp | None = None,
    still: StillRoom | None = None,
) -> AsyncIterator[Stage]:
    """The app with a scene on it."""
    still = still or StillRoom()
    app = app or still_app(still, theme=theme, now=now)
    async with app.run_test(size=size, notifications=True) as pilot:
        stage = Stage(app, still, pilot)
        await stage.settle()
        await stage.post(RoomChanged(room))
        if snapshot is not None:
            await stage.post(SnapshotTaken(snapshot, kind))
        if events:
            await stage.post(EventsCame(events))
        if WATCH is not None:
            WATCH.forget_the_beginning()
        yield stage
