"""Where a result is saved, and in which form."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from poe_ledger_tui.actions import bindings_of

_FORMS = ("csv", "json", "jsonl")


class ExportScreen(ModalScreen[Path | None]):
    """Asks for a path; its ending says the form. Gives None where it is closed."""

    BINDINGS = bindings_of("dialog")
    AUTO_FOCUS = "#path"

    def __init__(self, now: float) -> None:
        super().__init__()
        self._name = f"poe-ledger-{datetime.fromtimestamp(now, UTC):%Y%m%d-%H%M%S}"

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Save the result"
            yield Input(f"~/{self._name}.csv", id="path")
            yield Static(
                "CSV is for spreadsheets: texts that one would run get an apostrophe in front. JSON is exact; "
                "JSONL is one object a line. Only you may read the file.",
                markup=False,
            )
            yield Static("", id="export-trouble", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel")
                for form in _FORMS:
                    yield Button(form.upper(), id=form)

    def on_input_submitted(self) -> None:
        """Enter saves in the form that the path ends with."""
        form = Path(self.query_one(Input).value).suffix.removeprefix(".").lower()
        if form not in _FORMS:
            self.query_one("#export-trouble", Static).update("End the name with .csv, .json or .jsonl.")
            return
        self._give(form)

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id in _FORMS:
            self._give(event.button.id)
        else:
            self.dismiss(None)

    def _give(self, form: str) -> None:
        try:
            path = Path(self.query_one(Input).value.strip()).expanduser()
        except RuntimeError:
            self.query_one("#export-trouble", Static).update("There is no such home directory.")
            return
        if not path.name:
            self.query_one("#export-trouble", Static).update("Name a file.")
            return
        self.dismiss(path.with_suffix(f".{form}"))

    def action_close(self) -> None:
        self.dismiss(None)
