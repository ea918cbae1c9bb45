"""The result of a query, a page at a time: cells are cut on the screen only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widgets import DataTable

from poe_ledger_tui.safe_text import many_lines, one_line
from poe_ledger_tui.short_value import short_text
from poe_ledger_tui.theme import style

if TYPE_CHECKING:
    from harvester.store.query_result import QueryResult

CELL = 200
"""Characters of a value that a cell holds."""
_WIDEST, _NARROWEST = 48, 3
_CELLS_A_PAGE, _ROWS_A_PAGE = 4_000, 200
_VALUE = 20_000


class ResultTable(DataTable[Text]):
    """Shows a `QueryResult`. Give it the next with `show`."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id, cursor_type="cell", zebra_stripes=False)
        self._result: QueryResult | None = None
        self._page = 0

    @property
    def result(self) -> QueryResult | None:
        """What is shown; None before the first result."""
        return self._result

    @property
    def page_rows(self) -> int:
        """Rows of a page: fewer where there are many columns."""
        columns = len(self._result.columns) if self._result else 1
        return max(20, min(_ROWS_A_PAGE, _CELLS_A_PAGE // max(1, columns)))

    @property
    def pages(self) -> int:
        """How many pages there are."""
        rows = len(self._result.rows) if self._result else 0
        return max(1, -(-rows // self.page_rows))

    @property
    def page(self) -> int:
        """The page shown, from 1."""
        return self._page + 1

    def show(self, result: QueryResult) -> None:
        """Show the first page of a result."""
        self._result = result
        self._page = 0
        self._paint()

    def turn(self, step: int) -> bool:
        """Another page; False where there is none in that direction."""
        wanted = self._page + step
        if not 0 <= wanted < self.pages:
            return False
        self._page = wanted
        self._paint()
        return True

    def value_under_cursor(self) -> tuple[str, Text] | None:
        """Title and text of the whole value under the cursor."""
        result = self._result
        if result is None or not self.row_count:
            return None
        row, column = self.cursor_coordinate
        value = result.rows[self._page * self.page_rows + row][column]
        title = f"{result.columns[column]}: {result.types[column]}"
        return title, many_lines(short_text(value, limit=_VALUE), limit=_VALUE)

    def _paint(self) -> None:
        result = self._result
        if result is None:
            return
        begin = self._page * self.page_rows
        theme = self.app.current_theme
        null = style(theme, "muted")
        rows = [
            [one_line(short_text(value, limit=CELL), null if value is None else "") for value in row]
            for row in result.rows[begin : begin + self.page_rows]
        ]
        self.clear(columns=True)
        for number, name in enumerate(result.columns):
            title = one_line(name, limit=_WIDEST)
            widest = max([title.cell_len, *(row[number].cell_len for row in rows)])
            self.add_column(title, width=min(_WIDEST, max(_NARROWEST, widest)))
        for row in rows:
            self.add_row(*row)
