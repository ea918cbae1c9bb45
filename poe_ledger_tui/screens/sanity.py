"""The checks of the stored data, and the query editor. A placeholder."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.screens.base import LedgerScreen


class SanityScreen(LedgerScreen):
    """The checks of `schema/sanity` with their verdicts, and a read-only query editor."""

    SCOPE = "sanity"
    TITLE = "Sanity"
    BINDINGS = bindings_of("sanity")

    def compose_body(self) -> ComposeResult:
        yield Static("Checks", markup=False)
