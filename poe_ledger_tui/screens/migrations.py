"""The migrations of the schema. A placeholder: what it shows is what the engine room knows."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.screens.base import LedgerScreen


class MigrationsScreen(LedgerScreen):
    """The list of migrations, their SQL, and applying them."""

    SCOPE = "migrations"
    TITLE = "Migrations"
    BINDINGS = bindings_of("migrations")

    def compose_body(self) -> ComposeResult:
        yield Static("", id="schema", markup=False)

    def draw_body(self, picture: Picture) -> None:
        schema = picture.room.schema
        self.query_one("#schema", Static).update(f"{schema.pending} pending, {schema.drifted} drifted")
