"""Copying from the screen: the selected text, the cell or the row under the cursor."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rich.text import Text

from poe_ledger_tui.safe_text import clean

if TYPE_CHECKING:
    from textual.app import App
    from textual.widgets import DataTable

    from poe_ledger_tui.config import AppConfig

    _Base = App[int]
else:
    _Base = object


class Copying(_Base):
    """The copy actions of the app."""

    config: AppConfig

    def copy_selection(self) -> bool:
        """Copy what is selected with the mouse or in a field; False where nothing is."""
        focused = self.focused
        chosen = getattr(focused, "selected_text", "") or self.screen.get_selected_text() or ""
        if chosen:
            self.copy(chosen)
        return bool(chosen)

    def action_copy_cell(self) -> None:
        """Copy the selection, else the cell under the cursor."""
        if self.copy_selection():
            return
        table = self._focused_table()
        if table is not None:
            self.copy(_plain(table.get_cell_at(table.cursor_coordinate)))
        else:
            self.notify("Nothing is selected.", markup=False, timeout=3)

    def action_copy_row(self) -> None:
        """Copy the row under the cursor, its cells separated by tabs."""
        table = self._focused_table()
        if table is not None:
            self.copy("\t".join(_plain(cell) for cell in table.get_row_at(table.cursor_row)))
        else:
            self.notify("No row is selected.", markup=False, timeout=3)

    def _focused_table(self) -> DataTable[Any] | None:
        from textual.widgets import DataTable

        table = self.focused
        return table if isinstance(table, DataTable) and table.row_count else None

    def copy(self, text: str) -> None:
        """To the clipboard, in the way the configuration says."""
        from poe_ledger_tui.clipboard import MAXIMUM, wants_native

        short = text[:MAXIMUM]
        if self.config.clipboard in ("auto", "osc52"):
            self.copy_to_clipboard(short)
        if wants_native(self.config.clipboard):
            threading.Thread(target=_copy_and_post, args=(short, self.notify), name="clipboard", daemon=True).start()
        cut = f" (the first {MAXIMUM:,} characters)" if len(text) > MAXIMUM else ""
        self.notify(f"Copied{cut}: {clean(short, limit=60)}", markup=False, timeout=3)


def _copy_and_post(text: str, notify: Any) -> None:
    """The thread's body: `notify` only posts."""
    from poe_ledger_tui.clipboard import copy_native

    trouble = copy_native(text)
    if trouble:
        notify(clean(trouble), severity="warning", markup=False)


def _plain(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else str(cell)
