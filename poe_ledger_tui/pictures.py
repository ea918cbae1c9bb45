"""`python -m poe_ledger_tui.pictures [DIRECTORY]`: pictures of the screens as SVG, from made-up instants.

No store is opened and nothing is asked: the same release always makes the same pictures.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textual.message import Message

from harvester.events import Event
from harvester.snapshot import Snapshot
from harvester.snapshot_source import SourceKind
from poe_ledger_tui import scenes, store_scenes
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.messages import EventsCame, RoomChanged, RoomState, SnapshotTaken
from poe_ledger_tui.still import StillRoom, still_app
from poe_ledger_tui.theme import DEFAULT_THEME

TERMINAL = (120, 36)


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture."""

    name: str
    room: RoomState = scenes.READY
    snapshot: Snapshot | None = None
    kind: SourceKind = SourceKind.LIVE
    keys: Sequence[str] = ()
    theme: str = DEFAULT_THEME
    size: tuple[int, int] = TERMINAL
    events: tuple[Event, ...] = scenes.EVENTS
    later: float = 0.0
    """Seconds that have passed since the Snapshot."""
    messages: tuple[Message, ...] = field(default=())
    prepare: Callable[[LedgerApp], None] | None = None
    """Gives the screen in front what a store would have told it; called after the keys."""


SHOTS = (
    Shot("dashboard", snapshot=scenes.RUNNING),
    Shot("dashboard-trouble", room=scenes.PENDING, snapshot=scenes.TROUBLED),
    Shot("dashboard-store-lost", snapshot=scenes.STORE_LOST),
    Shot("dashboard-first-steps", room=scenes.EMPTY, snapshot=scenes.NOT_STARTED, events=()),
    Shot("dashboard-light", snapshot=scenes.TROUBLED, theme="ledger-light"),
    Shot("dashboard-80x24", snapshot=scenes.TROUBLED, size=(80, 24)),
    Shot("dashboard-60x20", snapshot=scenes.TROUBLED, size=(60, 20)),
    Shot("dashboard-200x60", snapshot=scenes.TROUBLED, size=(200, 60)),
    Shot("queue", snapshot=scenes.TROUBLED, keys=("enter",)),
    Shot("events", snapshot=scenes.TROUBLED, keys=("4",)),
    Shot("help", snapshot=scenes.RUNNING, keys=("question_mark",)),
    *(
        Shot(name, snapshot=scenes.RUNNING, keys=keys, prepare=prepare, size=size, theme=theme)
        for name, keys, prepare, size, theme in store_scenes.SCENES
    ),
)


async def take(shot: Shot) -> str:
    """The picture as SVG."""
    app = still_app(StillRoom(), theme=shot.theme, now=scenes.NOW + shot.later)
    async with app.run_test(size=shot.size) as pilot:
        await pilot.pause()
        app.post_message(RoomChanged(shot.room))
        if shot.snapshot is not None:
            app.post_message(SnapshotTaken(shot.snapshot, shot.kind))
        if shot.events:
            app.post_message(EventsCame(shot.events))
        for message in shot.messages:
            app.post_message(message)
        await pilot.pause()
        for key in shot.keys:
            await pilot.press(key)
            await pilot.pause()
        if shot.prepare is not None:
            app.call_later(shot.prepare, app)
            await pilot.pause()
        await pilot.pause()
        return app.export_screenshot(title="Wraeclast Ledger", simplify=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write every picture into a directory, `docs/pictures` by default."""
    parser = argparse.ArgumentParser(prog="python -m poe_ledger_tui.pictures", description=main.__doc__)
    parser.add_argument("directory", nargs="?", type=Path, default=Path("docs/pictures"))
    directory: Path = parser.parse_args(arguments).directory
    directory.mkdir(parents=True, exist_ok=True)
    for shot in SHOTS:
        path = directory / f"{shot.name}.svg"
        path.write_text(asyncio.run(take(shot)), encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
