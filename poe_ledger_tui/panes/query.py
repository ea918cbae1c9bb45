"""The read-only query pane: editor, what runs and how long, the result a page at a time, export and history."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from poe_ledger_tui.background import Bench
from poe_ledger_tui.messages import JobEnded, JobReported
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.query_desk import QueryDesk, Remembered, history_path
from poe_ledger_tui.safe_text import clean, many_lines
from poe_ledger_tui.screens.dialog import Reading
from poe_ledger_tui.theme import style
from poe_ledger_tui.widgets.result_table import ResultTable
from poe_ledger_tui.widgets.sql_editor import SqlEditor
from poe_ledger_tui.words import count, duration, milliseconds

if TYPE_CHECKING:
    from harvester.store.query_completion import Completion, QueryNames
    from harvester.store.query_result import QueryResult
    from poe_ledger_tui.app import LedgerApp

NAMES_AGAIN_SECONDS = 60.0
_READ_ONLY = "F5 runs, F4 cancels, F8 saves the result, F3 earlier queries. Nothing can be changed from here."


class QueryPane(Vertical):
    """Owns its desk and its jobs; what it is told by a job that it has forgotten counts for nothing."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._desk = QueryDesk()
        self._query = Bench("query", self.post_message)
        self._cancel = Bench("query cancel", self.post_message)
        self._lookup = Bench("query names", self.post_message)
        self._past = Bench("query history", self.post_message)
        self._export = Bench("query export", self.post_message)
        self._names: QueryNames | None = None
        self._names_at = 0.0
        self._asked_history = False
        self._history: tuple[str, ...] = ()
        self._running_since: float | None = None
        self._cancelling = False
        self._earlier = False
        """The rows that are shown are of an earlier query than the one that was asked last."""
        self._cancelled = threading.Event()
        self._said = Text(_READ_ONLY)

    def compose(self) -> ComposeResult:
        yield SqlEditor("editor", self._complete)
        yield Static("", id="query-status", markup=False)
        yield ResultTable("result")

    @property
    def ledger(self) -> LedgerApp:
        """The app, by its own type."""
        return cast("LedgerApp", self.app)

    @property
    def running(self) -> bool:
        """Whether a query runs."""
        return self._running_since is not None

    @property
    def editor(self) -> SqlEditor:
        """The editor."""
        return self.query_one(SqlEditor)

    @property
    def table(self) -> ResultTable:
        """The result."""
        return self.query_one(ResultTable)

    def draw(self, picture: Picture) -> None:
        """Called every second while the pane can be seen: the seconds of a running query go on."""
        self.look_up(picture)
        self._show_status()

    def look_up(self, picture: Picture) -> None:
        """Read the history once, and the names of the store now and then."""
        engine = self.ledger.room.engine
        if engine is None:
            return
        if not self._asked_history:
            self._asked_history = True
            path = history_path(self.ledger.room.plan)
            self._past.begin(lambda _: self._desk.remembered(path))
        if picture.now >= self._names_at and not self._lookup.busy and not self.running:
            self._names_at = picture.now + NAMES_AGAIN_SECONDS
            self._lookup.begin(lambda _: self._desk.names(engine))

    def leave(self) -> None:
        """The app is closing: end what runs in the engine."""
        if self.running:
            self.cancel()

    # Commands ----------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Run what is written, or what is selected of it."""
        engine = self.ledger.room.engine
        area = self.editor.area
        sql = area.selected_text.strip() or area.text.strip()
        self.editor.close_list()
        if self.running:
            self.ledger.say("A query runs; F4 cancels it.")
        elif engine is None:
            self._say(self.ledger.no_store_words, "amber")
        elif not sql:
            self._say("Write a query first, for example: SELECT * FROM v_ingest_health", "amber")
        else:
            path = history_path(self.ledger.room.plan)
            self._running_since = self.ledger.clock.monotonic()
            self._cancelling = False
            cancelled = self._cancelled = threading.Event()
            self._query.begin(lambda report: self._desk.ask(engine, sql, path, report, cancelled), beside=True)
            self._show_status()
            self.screen.refresh_bindings()

    def cancel(self) -> None:
        """End the running query in the engine itself."""
        if self.running and not self._cancel.busy:
            self._cancelling = True
            cancelled = self._cancelled
            self._cancel.begin(lambda _: self._desk.call_off(cancelled))
            self._show_status()

    def turn(self, step: int) -> None:
        """The next page of the result, or the one before."""
        if not self.table.turn(step):
            self.ledger.say("This is the last page." if step > 0 else "This is the first page.")
        self._tell_result()

    def open_value(self) -> None:
        """The whole value under the cursor."""
        found = self.table.value_under_cursor()
        if found is not None and self.screen.is_active:
            self.app.push_screen(Reading(clean(found[0]), found[1]))

    def save(self) -> None:
        """Ask where to save the result, and save it."""
        from poe_ledger_tui.screens.export import ExportScreen

        result = self.table.result
        if result is None:
            self.ledger.say("There is no result to save yet.")
        elif self._export.busy:
            self.ledger.say("A result is being saved.")
        elif self._earlier:
            self.ledger.say("The last query has no result; run the one before again to save its rows.")
        else:
            self.app.push_screen(ExportScreen(self.ledger.clock.now()), lambda path: self._save(result, path))

    def _save(self, result: QueryResult, path: Path | None) -> None:
        if path is not None:
            self._export.begin(lambda _: _write(path, result))

    def show_history(self) -> None:
        """Choose an earlier query."""
        from poe_ledger_tui.screens.query_history import QueryHistoryScreen

        if not self._history:
            self.ledger.say("Nothing was asked yet.")
            return
        self.app.push_screen(QueryHistoryScreen(self._history), lambda sql: self.editor.load(sql) if sql else None)

    def _complete(self, before: str, after: str) -> Completion | None:
        return self._names.complete(before, after) if self._names is not None else None

    # What the jobs say -------------------------------------------------------------------------------------------

    @on(JobReported)
    def _reported(self, message: JobReported) -> None:
        if self._query.is_current(message):
            message.stop()
            self._remember(message.value)

    @on(JobEnded)
    def _ended(self, message: JobEnded) -> None:
        message.stop()
        if self._query.is_current(message):
            self._answered(message)
        elif self._cancel.is_current(message):
            if self.running and message.value is False:
                self._cancelling = False
                self._say("The store does not answer; the query ends by its time limit.", "amber")
        elif self._past.is_current(message):
            if message.error is None:
                self._remember(message.value)
        elif self._lookup.is_current(message):
            if message.error is None:
                self._names = message.value
        elif self._export.is_current(message):
            self._saved(message)

    def _remember(self, remembered: Remembered) -> None:
        if remembered.trouble:
            self.ledger.notify(clean(remembered.trouble), severity="warning", markup=False)
        if remembered.queries:
            self._history = remembered.queries
            self.editor.remember(remembered.queries)

    def _answered(self, message: JobEnded) -> None:
        self._running_since = None
        self._cancelling = False
        self.screen.refresh_bindings()
        if message.error is not None:
            from harvester.store.read_only import QueryCancelledError, query_hint

            role = "amber" if isinstance(message.error, QueryCancelledError) else "red"
            words = f"{message.error} {query_hint(message.error)}".strip()
            self._earlier = self.table.result is not None
            self._say(f"{words}\nThe rows below are those of the query before." if self._earlier else words, role)
            return
        self.show_result(message.value)

    def show_result(self, result: QueryResult) -> None:
        """Show the first page of a result, and what it cost."""
        self._earlier = False
        self.table.show(result)
        self._tell_result()

    def _tell_result(self) -> None:
        result, theme = self.table.result, self.app.current_theme
        if result is None:
            return
        rows = f"{count(len(result.rows))} row{'' if len(result.rows) == 1 else 's'}"
        text = Text(f"{rows} in {milliseconds(result.took_ms)}", style(theme, "strong"))
        if result.read_rows:
            text.append(f", {count(result.read_rows)} read", style(theme, "muted"))
        if self.table.pages > 1:
            text.append(f"   page {self.table.page} of {self.table.pages} (n, b)")
        if result.cut:
            text.append(f"   ! {clean(result.cut)}", style(theme, "amber"))
        self._said = text
        self._show_status()

    def _saved(self, message: JobEnded) -> None:
        error = message.error
        if error is None:
            self.ledger.say(f"Saved: {message.value}")
        elif isinstance(error, FileExistsError):
            self.ledger.notify(f"{error.filename} exists; nothing is overwritten.", severity="error", markup=False)
        else:
            cause = getattr(error, "strerror", None) or error
            self.ledger.notify(f"Not saved: {clean(cause)}", severity="error", markup=False)

    # Showing -----------------------------------------------------------------------------------------------------

    @on(DataTable.CellSelected, "#result")
    def _chosen(self) -> None:
        self.open_value()

    def _say(self, words: str, role: str) -> None:
        self._said = many_lines(words, style(self.app.current_theme, role), limit=2000)
        self._show_status()

    def _show_status(self) -> None:
        status = self.query_one("#query-status", Static)
        if self._running_since is None:
            status.update(self._said)
            return
        since = duration(self.ledger.clock.monotonic() - self._running_since)
        words = f"… cancelling, after {since}" if self._cancelling else f"… running for {since}   F4 cancels"
        status.update(Text(words, style(self.app.current_theme, "accent")))


def _write(path: Path, result: QueryResult) -> Path:
    """Save a result in the form that the path ends with. Raises `OSError`."""
    from harvester.commands.result_file import ResultFormat, save_result

    save_result(path, result, ResultFormat(path.suffix.removeprefix(".")))
    return path
