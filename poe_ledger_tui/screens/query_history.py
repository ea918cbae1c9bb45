"""Earlier queries, newest first, to choose one from."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets.option_list import Option

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.safe_text import one_line

SHOWN = 200


class QueryHistoryScreen(ModalScreen[str | None]):
    """Gives the text of the chosen query, or None."""

    BINDINGS = bindings_of("dialog")
    AUTO_FOCUS = "#queries"

    def __init__(self, queries: Sequence[str]) -> None:
        """`queries` are oldest first."""
        super().__init__()
        self._queries = tuple(reversed(queries))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog history") as dialog:
            dialog.border_title = "Earlier queries"
            dialog.border_subtitle = "enter takes one, escape closes"
            yield Input(placeholder="words that a query must hold", id="search-queries", compact=True)
            yield OptionList(id="queries", markup=False)

    def on_mount(self) -> None:
        self._show("")

    @on(Input.Changed)
    def _search(self, event: Input.Changed) -> None:
        self._show(event.value)

    @on(Input.Submitted)
    def _to_list(self) -> None:
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._queries[int(event.option.id or 0)])

    def action_close(self) -> None:
        self.dismiss(None)

    def _show(self, words: str) -> None:
        wanted = words.lower().split()
        found = [
            Option(one_line(" ".join(sql[:1000].split())), id=str(number))
            for number, sql in enumerate(self._queries)
            if all(word in sql.lower() for word in wanted)
        ]
        queries = self.query_one(OptionList)
        queries.clear_options()
        queries.add_options(found[:SHOWN])
        queries.highlighted = 0 if found else None
