"""The checks of the stored data, and the read-only query editor: two views of one screen."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.widgets import ContentSwitcher, Static

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.messages import Stage
from poe_ledger_tui.panes.checks import ChecksPane
from poe_ledger_tui.panes.query import QueryPane
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.screens.base import LedgerScreen
from poe_ledger_tui.theme import style

CHECKS, QUERY = "checks", "query"
_LABELS = {CHECKS: " Checks (c) ", QUERY: " Query (e) "}


class ViewLine(Static):
    """Which of the two views is shown; a click shows the other."""

    def __init__(self) -> None:
        super().__init__("", id="views", markup=False)

    def draw(self, shown: str) -> None:
        """Mark the shown view; the mark is no colour alone."""
        theme = self.app.current_theme
        text = Text(no_wrap=True)
        for name, label in _LABELS.items():
            text.append(
                f"▌{label}" if name == shown else f" {label}", style(theme, "accent" if name == shown else "muted")
            )
        self.update(text)

    def on_click(self, event: events.Click) -> None:
        screen = self.screen
        if isinstance(screen, SanityScreen):
            screen.show(CHECKS if event.x <= len(_LABELS[CHECKS]) else QUERY)


class SanityScreen(LedgerScreen):
    """Routes keys to the view that is shown; the panes do the work."""

    SCOPE = "sanity"
    TITLE = "Sanity"
    BINDINGS = bindings_of("sanity")
    AUTO_FOCUS = "#checks-table"

    def compose_body(self) -> ComposeResult:
        yield ViewLine()
        with ContentSwitcher(initial=CHECKS, id="sanity-views"):
            yield ChecksPane(CHECKS)
            yield QueryPane(QUERY)

    @property
    def shown(self) -> str:
        """The view that is shown."""
        return self.query_one(ContentSwitcher).current or CHECKS

    @property
    def checks(self) -> ChecksPane:
        """The checks."""
        return self.query_one(ChecksPane)

    @property
    def query_pane(self) -> QueryPane:
        """The editor and its result."""
        return self.query_one(QueryPane)

    def draw_body(self, picture: Picture) -> None:
        self.query_one(ViewLine).draw(self.shown)
        if self.shown == CHECKS:
            self.checks.draw(picture)
            self.query_pane.look_up(picture)
        else:
            self.query_pane.draw(picture)
        if picture.room.stage is Stage.CLOSING:
            self.query_pane.leave()

    def show(self, view: str) -> None:
        """Show a view, and put the focus where one goes on."""
        self.query_one(ContentSwitcher).current = view
        if view == CHECKS:
            self.query_one("#checks-table").focus()
        else:
            self.query_pane.editor.area.focus()
        self.refresh_bindings()
        self.draw(self.picture)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return super().check_action(action, parameters)
        if action in {"save_result", "show_history", "turn_page"} and self.shown != QUERY:
            return False
        if action in {"run_all", "run_one"} and (self.shown != CHECKS or self.checks.running):
            return None if self.shown == CHECKS else False
        if action == "cancel_run" and not (self.query_pane.running or self.checks.running):
            return None
        return super().check_action(action, parameters)

    # Commands ----------------------------------------------------------------------------------------------------

    def action_show_checks(self) -> None:
        """Show the checks."""
        self.show(CHECKS)

    def action_show_query(self) -> None:
        """Show the editor."""
        self.show(QUERY)

    def action_step_back(self) -> None:
        """Out of the editor to the result, from there to the checks."""
        if self.shown == QUERY and self.app.focused is self.query_pane.editor.area:
            self.query_pane.table.focus()
        else:
            self.show(CHECKS)

    def action_run(self) -> None:
        """Run the query, or all checks."""
        if self.shown == QUERY:
            # Behind the keys that the editor has not taken yet: this key overtook them.
            self.query_pane.editor.area.call_later(self.query_pane.run)
        else:
            self.checks.run_all()

    def action_run_all(self) -> None:
        """Run every check."""
        self.checks.run_all()

    def action_run_one(self) -> None:
        """Run the check under the cursor."""
        self.checks.run_one()

    def action_cancel_run(self) -> None:
        """End what runs."""
        if self.query_pane.running:
            self.query_pane.cancel()
        else:
            self.checks.cancel()

    def action_open_value(self) -> None:
        """The whole of what is under the cursor."""
        if self.shown == QUERY:
            self.query_pane.open_value()
        else:
            self.checks.open_check()

    def action_turn_page(self, step: int) -> None:
        """Another page of the result."""
        self.query_pane.turn(step)

    def action_save_result(self) -> None:
        """Save the result."""
        self.query_pane.save()

    def action_show_history(self) -> None:
        """Earlier queries."""
        self.query_pane.show_history()
