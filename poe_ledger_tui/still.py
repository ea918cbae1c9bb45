"""The app over an engine room in which nothing happens, at an instant that does not move: for pictures and tests."""

from __future__ import annotations

from harvester.clock import VirtualClock
from poe_ledger_tui import scenes
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.config import AppConfig
from poe_ledger_tui.theme import DEFAULT_THEME


class StillRoom:
    """An engine room in which nothing happens: it takes note of what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, object]] = []
        self.engine = None
        self.plan = None

    def begin(self) -> None:
        self.told.append(("begin", None))

    def want_harvest(self, wanted: bool) -> None:
        self.told.append(("want_harvest", wanted))

    def start_queue(self, queue_key: str) -> None:
        self.told.append(("start_queue", queue_key))

    def stop_queue(self, queue_key: str) -> None:
        self.told.append(("stop_queue", queue_key))

    def pause(self, queue_key: str | None) -> None:
        self.told.append(("pause", queue_key))

    def resume(self, queue_key: str | None) -> None:
        self.told.append(("resume", queue_key))

    def retry_now(self) -> None:
        self.told.append(("retry_now", None))

    def travel(self, seconds: float) -> str:
        self.told.append(("travel", seconds))
        return ""

    def go_to(self, at: float | None) -> str:
        self.told.append(("go_to", at))
        return ""

    def schema_changed(self) -> None:
        self.told.append(("schema_changed", None))

    def close(self) -> None:
        self.told.append(("close", None))


def still_app(room: StillRoom, *, theme: str = DEFAULT_THEME, now: float = scenes.NOW) -> LedgerApp:
    """The app over a still room, at an instant that does not move."""
    app = LedgerApp(lambda _: room, config=AppConfig(theme=theme), clock=VirtualClock(now), ticking=False)
    app.animation_level = "none"
    return app
