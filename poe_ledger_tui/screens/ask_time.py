"""Which time of the past is to be shown."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.asked_time import EXAMPLES, AskedTimeError, asked_time


class AskTimeScreen(ModalScreen[float | None]):
    """Gives epoch seconds; None where it is closed."""

    BINDINGS = bindings_of("dialog")
    AUTO_FOCUS = "#time"

    def __init__(self, now: float) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Go to a time (UTC)"
            dialog.border_subtitle = "enter goes there, escape closes"
            yield Input(placeholder=EXAMPLES, id="time")
            yield Static("The harvest is stored every 5 seconds, and kept for 90 days.", markup=False)
            yield Static("", id="time-trouble", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go there, or say what would be a time."""
        try:
            self.dismiss(asked_time(event.value, self._now))
        except AskedTimeError as error:
            self.query_one("#time-trouble", Static).update(str(error))

    def action_close(self) -> None:
        self.dismiss(None)
