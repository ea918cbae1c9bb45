"""A table whose rows are changed by their key, so that cursor and scroll stay where the reader put them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.cache import LRUCache
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from poe_ledger_tui.look import look

_CELLS_KEPT = 2000
"""Drawn cells that are kept: those of two full screens."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of fixed width."""

    key: str
    title: str
    width: int
    """Cells."""


class LedgerTable(DataTable[Text]):
    """Give it columns once per width and rows as often as you like; only cells that changed are painted.

    Cells are `Text` that came through `safe_text`; a `str` would be read as markup.
    """

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        self._drawn: LRUCache[object, list[list[Segment]]] = LRUCache(_CELLS_KEPT)
        self._columns_now: tuple[Column, ...] = ()
        self._rows_now: dict[str, tuple[Text, ...]] = {}
        super().__init__(id=id, cursor_type="cell", zebra_stripes=False)

    def _render_cell(
        self,
        row_index: int,
        column_index: int,
        base_style: Style,
        width: int,
        cursor: bool = False,
        hover: bool = False,
    ) -> list[list[Segment]]:
        """Textual draws all cells anew when one has changed; here a cell that looks the same is the same."""
        if row_index < 0:
            shown: object = self._columns_now[column_index]
        else:
            shown = look(self.get_cell_at(Coordinate(row_index, column_index)))
        state = (base_style, width, cursor, hover, self.show_cursor, self._show_hover_cursor)
        key = (row_index, column_index, shown, state, self.get_pseudo_class_state())
        drawn = self._drawn.get(key)
        if drawn is None:
            drawn = super()._render_cell(row_index, column_index, base_style, width, cursor, hover)
            self._drawn[key] = drawn
        return drawn

    def notify_style_update(self) -> None:
        self._drawn.clear()
        super().notify_style_update()

    def set_columns(self, columns: Sequence[Column]) -> bool:
        """Lay the table out anew where the columns are others; returns whether they were, and the rows are gone."""
        wanted = tuple(columns)
        if wanted == self._columns_now:
            return False
        self.clear(columns=True)
        self._rows_now.clear()
        for column in wanted:
            self.add_column(Text(column.title), width=column.width, key=column.key)
        self._columns_now = wanted
        return True

    def show_rows(self, rows: Mapping[str, Sequence[Text]]) -> None:
        """Make the rows these, in this order."""
        kept = [key for key in self._rows_now if key in rows]
        if kept != [key for key in rows if key in self._rows_now][: len(kept)] or list(rows)[: len(kept)] != kept:
            self.empty()  # the order is another: rare, and worth losing the scroll position
        for key in [key for key in self._rows_now if key not in rows]:
            self.remove_row(key)
            del self._rows_now[key]
        for key, row in rows.items():
            cells = tuple(row)
            before = self._rows_now.get(key)
            if before is None:
                self.add_row(*cells, key=key)
            else:
                for column, old, new in zip(self._columns_now, before, cells, strict=True):
                    if look(old) != look(new):
                        self.update_cell(key, column.key, new)
            self._rows_now[key] = cells

    def append_row(self, key: str, cells: Sequence[Text]) -> None:
        """One more row at the end."""
        self.add_row(*cells, key=key)
        self._rows_now[key] = tuple(cells)

    def empty(self) -> None:
        """No row any more; the columns stay."""
        self.clear()
        self._rows_now.clear()

    @property
    def row_key(self) -> str | None:
        """The key of the row under the cursor."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value
