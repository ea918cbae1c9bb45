"""One queue: how it stands, how its lag went, its newest pages, its lines of the log, and its actions."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, VerticalScroll
from textual.theme import Theme
from textual.widgets import Button, Static

from harvester.snapshot import QueueSnapshot, QueueState, RecentPage
from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.panes.base import lines, say_age, sparkline
from poe_ledger_tui.panes.events_tail import event_text
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.queue_words import behind_words, cursor_words, lag_words, state_words, trouble_words
from poe_ledger_tui.safe_text import clean, frame_title
from poe_ledger_tui.screens.base import LedgerScreen
from poe_ledger_tui.screens.queue_commands import RESTING, QueueCommands
from poe_ledger_tui.theme import style
from poe_ledger_tui.widgets.table import Column, LedgerTable
from poe_ledger_tui.words import clock_time, count, date_time, duration, middle, milliseconds, size

_NAME_WIDTH = 14


class QueueScreen(QueueCommands, LedgerScreen):
    """Behind Enter on a row of the checkpoints. There is one, made at the first look and kept."""

    SCOPE = "queue"
    BINDINGS = bindings_of("queue")
    AUTO_FOCUS = "#pages"

    def __init__(self) -> None:
        super().__init__()
        self._key = ""

    def be_of(self, key: str) -> None:
        """Be the screen of this queue from now on."""
        if self._key != key and self.is_mounted:
            self.query_one("#queue").scroll_home(animate=False)
            self.query_one("#pages", LedgerTable).move_cursor(row=0)
        self._key = key

    @property
    def header_title(self) -> str:
        return clean(self._key, limit=40)

    @property
    def queue_key(self) -> str | None:
        return self._key

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(id="queue", can_focus=False):
            yield Static("", id="facts", classes="pane lines", markup=False)
            with Horizontal(id="queue-buttons"):
                yield Button("Stop", id="toggle", compact=True)
                yield Button("Pause", id="pause", compact=True)
            with Container(id="recent", classes="pane"):
                yield LedgerTable(id="pages")
            yield Static("", id="queue-events", classes="pane lines", markup=False)

    def on_mount(self) -> None:
        self.query_one("#recent").border_title = "Newest pages"
        self.query_one("#queue-events").border_title = "Events"
        super().on_mount()

    def on_resize(self) -> None:
        self.call_after_refresh(lambda: self.draw(self.picture))

    def draw_body(self, picture: Picture) -> None:
        queue = self.queue
        theme = self.app.current_theme
        facts = self.query_one("#facts", Static)
        say_age(facts, picture)
        facts.border_title = frame_title(self._key)
        if queue is None or picture.snapshot is None:
            facts.update("This queue is not there any more.")
            return
        facts.update(facts_text(queue, picture, facts.content_size.width, theme))
        self._draw_buttons(queue, picture)
        self._draw_pages(queue)
        tail = self.query_one("#queue-events", Static)
        room = max(1, tail.content_size.height)
        mine = [event for event in self.ledger.log_lines if event.queue_key == self._key][-room:]
        tail.update(
            lines(*(event_text(event, theme, tail.content_size.width) for event in mine)) if mine else Text("–")
        )

    def _draw_buttons(self, queue: QueueSnapshot, picture: Picture) -> None:
        toggle, pause = self.query_one("#toggle", Button), self.query_one("#pause", Button)
        toggle.label = Text("Start" if queue.state in RESTING else "Stop")
        pause.label = Text("Go on" if queue.state is QueueState.PAUSED else "Pause")
        toggle.disabled = not picture.may_command
        pause.disabled = not picture.may_command or queue.state in RESTING

    def _draw_pages(self, queue: QueueSnapshot) -> None:
        table = self.query_one("#pages", LedgerTable)
        width = self.query_one("#recent").content_size.width
        if width <= 0:
            return
        columns = page_columns(width)
        table.set_columns(columns)
        newest = list(reversed(queue.recent_pages))
        table.show_rows(
            {f"place {place}": page_row(page, queue.queue_key, columns) for place, page in enumerate(newest)}
        )

    def action_back(self) -> None:
        """Back to the dashboard."""
        self.app.pop_screen()

    @on(Button.Pressed, "#toggle")
    def _toggle(self) -> None:
        self.action_toggle_queue()

    @on(Button.Pressed, "#pause")
    def _pause(self) -> None:
        self.action_pause_queue()


def facts_text(queue: QueueSnapshot, picture: Picture, width: int, theme: Theme) -> Text:
    """Everything that is known of a queue, a line a fact."""
    taken_at = picture.snapshot.taken_at if picture.snapshot is not None else picture.at
    words, role = state_words(queue)
    quiet = style(theme, "muted")
    rows: list[Text] = []

    def fact(name: str, *parts: str | tuple[str, str]) -> None:
        row = Text(no_wrap=True, overflow="ellipsis", end="")
        row.append(f"{name:<{_NAME_WIDTH}}", quiet)
        for part in parts:
            row.append(*((part,) if isinstance(part, str) else part))
        rows.append(row)

    fact("state", (words, style(theme, role)))
    lag = lag_words(queue, taken_at, picture.at)
    room = min(60, max(0, width - _NAME_WIDTH - 16))
    fact("lag", f"{lag:<9} ", (sparkline(queue.lag.values, room), style(theme, "bar")), (" 5 min", quiet))
    progress = (
        "never"
        if queue.last_progress_at is None
        else (f"{date_time(queue.last_progress_at)}, {duration(picture.at - queue.last_progress_at)} ago")
    )
    fact("last progress", progress)
    if queue.stalled_since is not None:
        fact("stalled since", (date_time(queue.stalled_since), style(theme, "red")))
    fact("behind", behind_words(queue) if queue.behind_hours is not None else "? (the head of the stream is not known)")
    fact("cursor", middle(cursor_words(queue.queue_key, queue.cursor), max(10, width - _NAME_WIDTH)))
    fact("next cursor", middle(cursor_words(queue.queue_key, queue.next_cursor), max(10, width - _NAME_WIDTH)))
    fact(
        "since start",
        f"{count(queue.pages)} pages, {count(queue.stashes)} stashes, {count(queue.items)} items, ",
        size(queue.page_bytes),
    )
    if queue.set_aside:
        fact("set aside", (f"! {count(queue.set_aside)} records are in bronze_dead_letters", style(theme, "amber")))
    if queue.spool_pages:
        fact("spool", f"{count(queue.spool_pages)} pages, {size(queue.spool_bytes)}")
    fact("to queryable", milliseconds(queue.commit_ms) if queue.commit_ms else "–", (" for the last page", quiet))
    if queue.held_by:
        fact("runs in", clean(queue.held_by))
    trouble = trouble_words(queue, picture.at)
    if trouble:
        fact("trouble" if queue.trouble else "waits", (trouble, style(theme, role if queue.trouble else "")))
    return lines(*rows)


def page_columns(width: int) -> tuple[Column, ...]:
    """The columns that a width has room for."""
    columns = [
        Column("seq", "seq", 8),
        Column("at", "stored", 9),
        Column("stashes", "stashes", 8),
        Column("items", "items", 8),
        Column("size", "JSON", 8),
        Column("ms", "queryable", 10),
    ]
    room = width - sum(column.width + 2 for column in columns) - 3
    return (*columns, Column("cursor", "cursor", min(60, room))) if room >= 12 else tuple(columns)


def page_row(page: RecentPage, queue_key: str, columns: tuple[Column, ...]) -> tuple[Text, ...]:
    """The cells of a page."""
    width = columns[-1].width
    cells = {
        "seq": f"{page.seq:>8}",
        "at": clock_time(page.at),
        "stashes": f"{count(page.stashes):>8}",
        "items": f"{count(page.items):>8}",
        "size": f"{size(page.page_bytes):>8}",
        "ms": f"{milliseconds(page.commit_ms):>10}",
        "cursor": middle(cursor_words(queue_key, page.cursor), width),
    }
    return tuple(Text(cells[column.key]) for column in columns)
