"""Dialogs before a screen: something to read, or a question whose safe answer is the default."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from poe_ledger_tui.actions import BY_ID, bindings_of
from poe_ledger_tui.safe_text import frame_title

if TYPE_CHECKING:
    from poe_ledger_tui.app import LedgerApp


class Reading(ModalScreen[None]):
    """A text to read, scroll and copy from."""

    BINDINGS = bindings_of("dialog")

    def __init__(self, title: str, text: Text) -> None:
        """`text` has come through `safe_text`."""
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = frame_title(self._title)
            with VerticalScroll():
                yield Static(self._text, markup=False)
            yield Button("Close", id="close", variant="default", compact=True)

    @on(Button.Pressed)
    def action_close(self) -> None:
        self.dismiss(None)


class Question(ModalScreen[bool]):
    """A question. The button of No has the focus; where much is at stake, `typed` must be typed in full instead."""

    BINDINGS = [*bindings_of("dialog"), *bindings_of("question")]  # noqa: RUF012

    def __init__(self, title: str, text: Text, yes: str, *, typed: str = "") -> None:
        """`text` names what would be changed and where, and has come through `safe_text`. `yes` says what happens."""
        super().__init__()
        self._title = title
        self._text = text
        self._yes = yes
        self._typed = typed

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = frame_title(self._title)
            with VerticalScroll():
                yield Static(self._text, markup=False)
            if self._typed:
                yield Input(placeholder=f"type {self._typed} to go on", id="typed")
            with Horizontal(classes="buttons"):
                yield Button(self._with_key("No", "question.no"), id="no", variant="default")
                yes = self._with_key(self._yes, "question.yes")
                yield Button(yes, id="yes", variant="warning", disabled=bool(self._typed))

    def _with_key(self, title: str, action_id: str) -> Text:
        """A button's label; the key stands on it where it is no letter of what is typed."""
        if self._typed:
            return Text(title)
        return Text(f"{title} ({cast('LedgerApp', self.app).config.shown_key(BY_ID[action_id])})")

    def on_mount(self) -> None:
        self.query_one("#typed" if self._typed else "#no").focus()

    @on(Input.Changed)
    def _judge(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value != self._typed

    @on(Button.Pressed)
    def _answer(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    @on(Input.Submitted)
    def action_yes(self) -> None:
        """Yes, unless what must be typed is not."""
        if not self.query_one("#yes", Button).disabled:
            self.dismiss(True)

    def action_close(self) -> None:
        self.dismiss(False)
