"""What is seen while the app ends: what it waits for, and that a second quit leaves at once."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from poe_ledger_tui.actions import bindings_of


class LeavingScreen(ModalScreen[None]):
    """Stays until the process is gone."""

    BINDINGS = bindings_of("leaving")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog leaving") as dialog:
            dialog.border_title = "Leaving"
            yield Static(
                "Finishing the pages in hand and closing the store.\nThis takes three seconds at most.\n\n"
                "Quit again to leave at once. Nothing is lost either way.",
                markup=False,
            )
