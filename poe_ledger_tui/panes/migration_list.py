"""The migrations one below the other, and the SQL of the one under the cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import DataTable, Static

from poe_ledger_tui.widgets.table import Column, LedgerTable

if TYPE_CHECKING:
    from harvester.store.migrations import MigrationEntry, MigrationStatus
    from poe_ledger_tui.migration_words import StatementMark


class MigrationList(Vertical):
    """Give it a status, and marks for the statements of which there is something to say."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._status: MigrationStatus | None = None
        self._marks: dict[str, dict[int, StatementMark]] = {}

    def compose(self) -> ComposeResult:
        yield LedgerTable(id="migrations")
        with VerticalScroll(id="sql", can_focus=True) as scroll:
            scroll.border_title = "SQL"
            yield Static("", markup=False)

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        if self._lay_out():
            self._show_list()

    def show(self, status: MigrationStatus) -> None:
        """Show how the store stands; the first time, with the cursor on what is to be done."""
        self._status = status
        self._show_list()
        self.show_sql()

    def mark(self, name: str, statement: int, mark: StatementMark) -> None:
        """Say something of a statement of a migration; `show_sql` shows it."""
        self._marks.setdefault(name, {})[statement] = mark

    def clear_marks(self) -> None:
        """Nothing is said of any statement."""
        self._marks.clear()

    def show_sql(self) -> None:
        """Show the SQL under the cursor with its marks."""
        self.query_one("#sql Static", Static).update(self.sql_text)

    def move_to(self, name: str) -> None:
        """Put the cursor on a migration."""
        table = self._table
        if self._status is not None and table.row_key != name:
            for row, entry in enumerate(self._status.entries):
                if entry.name == name:
                    table.move_cursor(row=row)

    @property
    def entry(self) -> MigrationEntry | None:
        """The migration under the cursor."""
        if self._status is None:
            return None
        name = self._table.row_key
        return next((entry for entry in self._status.entries if entry.name == name), None)

    @property
    def sql_text(self) -> Text:
        """Its SQL with its marks, coloured."""
        from poe_ledger_tui.migration_words import sql_of

        entry = self.entry
        return Text() if entry is None else sql_of(entry, self._marks.get(entry.name, {}), self.app.current_theme)

    @property
    def _table(self) -> LedgerTable:
        return self.query_one("#migrations", LedgerTable)

    @on(DataTable.CellHighlighted, "#migrations")
    def _moved(self) -> None:
        self.show_sql()

    @on(DataTable.CellSelected, "#migrations")
    def _chosen(self) -> None:
        self.query_one("#sql").focus()

    def _lay_out(self) -> bool:
        width = self.size.width or 80
        state, statements, changed = 15, 10, 20
        with_changed = width >= 100
        rest = width - 4 - state - statements - 2 * (4 + with_changed) - (changed if with_changed else 0)
        name = min(40, max(16, rest * 2 // 3))
        columns = [Column("name", "migration", name), Column("state", "state", state)]
        columns += [Column("statements", "statements", statements)]
        columns += [Column("changed", "last change", changed)] if with_changed else []
        columns += [Column("remark", "remark", max(8, rest - name))]
        return self._table.set_columns(columns)

    def _show_list(self) -> None:
        from harvester.store.migrations import MigrationState
        from poe_ledger_tui.migration_words import row_of

        if self._status is None:
            return
        table = self._table
        first = table.row_count == 0
        rows: dict[str, list[Text]] = {}
        for entry in self._status.entries:
            cells = row_of(entry, self.app.current_theme)
            rows[entry.name] = cells if len(table.columns) == len(cells) else [*cells[:3], cells[4]]
        table.show_rows(rows)
        done = (MigrationState.APPLIED, MigrationState.EDITED)
        undone = [entry.name for entry in self._status.entries if entry.state not in done]
        if first and undone:
            self.move_to(undone[0])
