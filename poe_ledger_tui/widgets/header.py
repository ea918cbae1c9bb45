"""The line at the top of every screen: state, store, schema, clock and uptime."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.theme import Theme
from textual.widgets import Static

from harvester.lag import LagLevel
from harvester.snapshot import QueueState
from harvester.snapshot_source import SourceKind
from poe_ledger_tui.look import Look, look
from poe_ledger_tui.messages import Stage
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import clock_time, duration, size

NAME = "Wraeclast Ledger"


class LedgerHeader(Static):
    """Drawn from a Picture; a click on `pending` goes to the migrations."""

    def __init__(self) -> None:
        super().__init__("", markup=False, id="header")
        self._title = ""
        self._picture: Picture | None = None
        self._shown: Look | None = None

    def draw(self, picture: Picture, title: str) -> None:
        """Show a Picture, and the name of the screen behind the app's."""
        self._picture, self._title = picture, title
        width = self.size.width or self.app.size.width
        text = header_text(picture, self._title, width, self.app.current_theme)
        if look(text) != self._shown:
            self._shown = look(text)
            self.update(text, layout=False)

    def on_resize(self) -> None:
        if self._picture is not None:
            self.draw(self._picture, self._title)

    async def on_click(self, event: events.Click) -> None:
        if "pending" in event.style.meta:
            await self.app.run_action("app.go('migrations')")


def state_words(picture: Picture) -> tuple[str, str]:
    """The one word for the whole harvest, and its role."""
    if picture.frozen_since is not None:
        return f"‖ FROZEN at {clock_time(picture.frozen_since)}", "amber"
    stage = picture.room.stage
    if stage is Stage.LOST:
        return "!! STORE LOST", "red"
    if stage in (Stage.BLOCKED, Stage.BROKEN):
        return "!! BLOCKED", "red"
    if stage in (Stage.COLD, Stage.OPENING, Stage.MIGRATING):
        return "… OPENING", "accent"
    if stage in (Stage.CLOSING, Stage.CLOSED):
        return "… LEAVING", "accent"
    if picture.source_trouble:
        return "!! DISCONNECTED", "red"
    if picture.stale:
        return f"! STALE {duration(picture.age)}", "amber"
    return _harvest_words(picture)


def _harvest_words(picture: Picture) -> tuple[str, str]:
    queues = picture.queues
    states = {queue.state for queue in queues}
    if QueueState.STORE_LOST in states:
        return "!! STORE LOST", "red"
    if QueueState.SPOOL_FULL in states:
        return "!! SPOOL FULL", "red"
    if queues and states <= {QueueState.STOPPED}:
        return "○ STOPPED", "muted"
    if queues and states <= {QueueState.STOPPED, QueueState.FAILED}:
        return "!! FAILED", "red"
    if QueueState.FAILED in states:
        return "! A QUEUE FAILED", "amber"
    if any(queue.level is LagLevel.RED and queue.state is not QueueState.STOPPED for queue in queues):
        return "!! BEHIND", "red"
    if queues and states <= {QueueState.STOPPED, QueueState.PAUSED}:
        return "‖ PAUSED", "amber"
    if queues and states <= {QueueState.STOPPED, QueueState.CAUGHT_UP}:
        return "● CAUGHT UP", "ok"
    if queues:
        return "● HARVESTING", "ok"
    return "○ STOPPED", "muted"


def header_text(picture: Picture, title: str, width: int, theme: Theme) -> Text:
    """The header in one line of `width` cells: what matters least goes first where room is short."""
    words, role = state_words(picture)
    text = Text(no_wrap=True, overflow="ellipsis", end="")
    text.append(f" {NAME}", style(theme, "accent"))
    if title:
        text.append(f" › {title}")
    text.append("  ")
    text.append(words, style(theme, role))
    if picture.room.demo:
        text.append("  DEMO", style(theme, "accent"))
    text.append_text(_source_words(picture, theme))
    for part in _optional_parts(picture, theme):
        if text.cell_len + part.cell_len + 2 <= width:
            text.append("  ")
            text.append_text(part)
    return text


def _source_words(picture: Picture, theme: Theme) -> Text:
    """Where the figures come from, and how old they are: those of this process are of this second."""
    if picture.kind is None or picture.snapshot is None:
        return Text()
    age = duration(picture.age)
    if picture.kind is SourceKind.LIVE:
        return Text("  live")  # it is of this second, or the header says STALE
    if picture.kind is SourceKind.PAST:
        return Text(f"  ◂ PAST {clock_time(picture.snapshot.taken_at)}, {age} ago", style(theme, "amber"))
    word = "ATTACHED" if picture.kind is SourceKind.ATTACHED else "STORED"
    return Text(f"  {word} {age}", style(theme, "accent"))


def _optional_parts(picture: Picture, theme: Theme) -> list[Text]:
    """In the order of their weight."""
    parts: list[Text] = []
    if picture.pending:
        parts.append(Text(f"pending {picture.pending}", style(theme, "amber")))
        parts[-1].apply_meta({"pending": True})
    if picture.drifted:
        parts.append(Text(f"!! drifted {picture.drifted}", style(theme, "red")))
        parts[-1].apply_meta({"pending": True})
    parts.append(Text(_store_words(picture)))
    parts.append(Text(clock_time(picture.now)))
    if picture.snapshot is not None:
        parts.append(Text(f"up {duration(picture.at - picture.snapshot.started_at)}"))
    return [part for part in parts if part.plain]


def _store_words(picture: Picture) -> str:
    words = clean(picture.room.store)
    if picture.snapshot is None:
        return words
    store = picture.snapshot.store
    words = words or clean(store.kind)
    if store.version:
        words += " " + ".".join(clean(store.version).split(".")[:2])
    return words if store.bytes_on_disk is None else f"{words} · {size(store.bytes_on_disk)}"
