"""The log of the harvest: the same lines that a headless harvest prints, with filter, search and detail."""

from __future__ import annotations

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.widgets import DataTable, Input, Static

from harvester.events import Event, Level
from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.event_filter import EventFilter
from poe_ledger_tui.panes.events_tail import ROLES, SIGNS
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean, many_lines, one_line
from poe_ledger_tui.screens.base import LedgerScreen
from poe_ledger_tui.screens.dialog import Reading
from poe_ledger_tui.theme import style
from poe_ledger_tui.widgets.table import Column, LedgerTable
from poe_ledger_tui.words import clock_time, count, date_time

SHOWN = 1000
"""Lines in the table when it is made: the newest that pass the filter."""
SLACK = 500
"""Lines that may come on top before it is made anew."""


class EventsScreen(LedgerScreen):
    """Follows the newest line until the cursor is moved away from it."""

    SCOPE = "events"
    TITLE = "Events"
    BINDINGS = bindings_of("events")
    AUTO_FOCUS = "#log"

    def __init__(self) -> None:
        super().__init__()
        self._filter = EventFilter()
        self._following = True
        self._numbers: dict[str, Event] = {}
        self._next = 0

    def compose_body(self) -> ComposeResult:
        yield Static("", id="filter", markup=False)
        yield Input(placeholder="words that a line must hold", id="search", compact=True)
        yield LedgerTable(id="log")

    def on_mount(self) -> None:
        self._lay_out()
        self._show_all()
        super().on_mount()

    def on_resize(self) -> None:
        if self._lay_out():
            self._show_all()

    @on(events.ScreenResume)
    def _catch_up(self) -> None:
        self._show_all()

    def draw_body(self, picture: Picture) -> None:
        theme = self.app.current_theme
        kept, shown = len(self.ledger.log_lines), len(self._numbers)
        words = Text(no_wrap=True, overflow="ellipsis")
        words.append(f"{count(shown)} of {count(kept)} lines", style(theme, "strong"))
        words.append(f"   {clean(self._filter.words())}", style(theme, "muted" if self._filter.passes_all else "amber"))
        words.append("   following" if self._following else "   standing still: f follows", style(theme, "muted"))
        self.query_one("#filter", Static).update(words, layout=False)
        del picture

    # Lines -------------------------------------------------------------------------------------------------------

    def events_came(self, events: tuple[Event, ...]) -> None:
        if not self.is_mounted or self.picture.frozen_since is not None:
            return
        fitting = [event for event in events if self._filter.passes(event)]
        if len(self._numbers) + len(fitting) > SHOWN + SLACK:
            self._show_all()  # cheaper than taking so many single lines out
            return
        table = self.query_one(LedgerTable)
        with self.app.batch_update():
            for event in fitting:
                self._append(table, event)
            self._keep_following(table)
        self.draw_body(self.picture)

    def _show_all(self) -> None:
        """The newest lines that pass the filter, anew."""
        table = self.query_one(LedgerTable)
        chosen = [event for event in self.ledger.log_lines if self._filter.passes(event)][-SHOWN:]
        if chosen == list(self._numbers.values()):
            return
        with self.app.batch_update():
            table.empty()
            self._numbers.clear()
            for event in chosen:
                self._append(table, event)
            self._keep_following(table)
        self.draw_body(self.picture)

    def _append(self, table: LedgerTable, event: Event) -> None:
        key = str(self._next)
        self._next += 1
        self._numbers[key] = event
        theme = self.app.current_theme
        role = style(theme, ROLES[event.level])
        table.append_row(
            key,
            (
                Text(clock_time(event.at), style=style(theme, "muted")),
                Text(f"{SIGNS[event.level]}{event.level.value}", style=role),
                one_line(event.queue_key or "–", style(theme, "muted"), limit=40),
                one_line(" — ".join(part for part in (event.what, event.then, event.todo) if part), role),
            ),
        )

    def _lay_out(self) -> bool:
        width = max(40, self.size.width - 1)
        columns = [Column("at", "time", 9), Column("level", "level", 10), Column("queue", "queue", 11)]
        room = width - sum(column.width + 2 for column in columns) - 2
        changed = self.query_one(LedgerTable).set_columns([*columns, Column("what", "what happened", max(8, room))])
        if changed:
            self._numbers.clear()
        return changed

    def _keep_following(self, table: LedgerTable) -> None:
        if self._following and table.row_count:
            table.move_cursor(row=table.row_count - 1, scroll=True)

    @on(DataTable.CellHighlighted)
    def _moved(self, event: DataTable.CellHighlighted) -> None:
        """Moving up stops the following; coming back to the newest line begins it."""
        if self.query_one(LedgerTable).has_focus:
            self._following = event.coordinate.row >= event.data_table.row_count - 1

    # Actions -----------------------------------------------------------------------------------------------------

    def action_level(self, level: str) -> None:
        """Show this level and what is worse."""
        self._refilter(self._filter.at_least(Level(level)))

    def action_next_queue(self) -> None:
        """Only the next queue; behind the last one, all."""
        keys = sorted({event.queue_key for event in self.ledger.log_lines if event.queue_key})
        self._refilter(self._filter.next_queue(keys))

    def action_search(self) -> None:
        """Open the field."""
        field = self.query_one("#search", Input)
        field.add_class("-open")
        field.focus()

    @on(Input.Changed, "#search")
    def _searched(self, event: Input.Changed) -> None:
        self._refilter(self._filter.holding(event.value))

    @on(Input.Submitted, "#search")
    def _submitted(self) -> None:
        self.query_one(LedgerTable).focus()

    def action_clear_search(self) -> None:
        """Everything again."""
        field = self.query_one("#search", Input)
        field.value = ""
        field.remove_class("-open")
        self.query_one(LedgerTable).focus()
        self._refilter(EventFilter())

    def action_follow(self) -> None:
        """Stay at the newest line, or stay where you read."""
        self._following = not self._following
        self._keep_following(self.query_one(LedgerTable))
        self.draw_body(self.picture)

    @on(DataTable.CellSelected, "#log")
    def action_detail(self) -> None:
        """The whole line, with what happens next and what to do."""
        key = self.query_one(LedgerTable).row_key
        if key in self._numbers and self.is_active:
            self.app.push_screen(Reading("Event", event_detail(self._numbers[key])))

    def _refilter(self, wanted: EventFilter) -> None:
        self._filter = wanted
        self._show_all()
        self.draw_body(self.picture)


def event_detail(event: Event) -> Text:
    """An event in full."""
    text = many_lines(f"{date_time(event.at)}   {event.level.value}   {event.queue_key or 'all queues'}\n\n")
    text.append_text(many_lines(event.what))
    for name, words in (("What happens next", event.then), ("What you can do", event.todo)):
        if words:
            text.append(f"\n\n{name}: ")
            text.append_text(many_lines(words))
    return text
