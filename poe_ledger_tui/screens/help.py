"""The keys of the screen in front, from its live bindings."""

from __future__ import annotations

from textwrap import wrap

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from poe_ledger_tui.actions import ACTIONS, BY_ID, bindings_of
from poe_ledger_tui.theme import style

_INDENT = 16
"""Cells of the column of keys."""
_FRAME = 5
"""Cells of the dialog's frame, padding and scrollbar."""
_WIDEST = 90
_MANNERS = (
    "Tables: arrows move, enter opens. Tab goes to the next pane. Text can be selected with the mouse; with Shift "
    "held, the terminal selects. Keys are changed in app.toml: see the runbook."
)


class HelpScreen(ModalScreen[None]):
    """Made of what the screen beneath really answers to, with the operator's own keys."""

    BINDINGS = bindings_of("dialog")

    def __init__(self, beneath: Screen[object]) -> None:
        super().__init__()
        self._beneath = beneath
        self._scope = getattr(beneath, "SCOPE", "")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "Keys"
            dialog.border_subtitle = "escape closes"
            with VerticalScroll():
                yield Static("", id="help-text", markup=False)

    def on_mount(self) -> None:
        self._show()

    def on_resize(self) -> None:
        self._show()

    def _show(self) -> None:
        """In the width that the dialog has: `.dialog` in the style sheet."""
        width = max(40, min(_WIDEST, self.app.size.width * 96 // 100) - _FRAME)
        self.query_one("#help-text", Static).update(self._text(width))

    def action_close(self) -> None:
        self.dismiss(None)

    def _text(self, width: int) -> Text:
        keys: dict[str, list[str]] = {}
        off: set[str] = set()
        opening = {action.id for action in ACTIONS if action.keys == ("enter",)}
        for key, active in self._beneath.active_bindings.items():
            if key == "enter" and active.binding.action == "select_cursor":
                keys |= {name: ["enter"] for name in opening if name.startswith(f"{self._scope}.")}
            if active.binding.id in BY_ID:
                keys.setdefault(active.binding.id or "", []).append(self.app.get_key_display(active.binding))
                if not active.enabled:
                    off.add(active.binding.id or "")
        now = self.app.current_theme
        text = Text()
        for group in dict.fromkeys(action.group for action in ACTIONS):
            rows = [action for action in ACTIONS if action.group == group and action.id in keys]
            if not rows:
                continue
            text.append(f"{group}\n", style(now, "accent"))
            for action in rows:
                shown = " ".join(dict.fromkeys(keys[action.id]))
                text.append(f"  {shown:<14}", style(now, "strong"))
                words = action.description + (" Not while watching." if action.id in off else "")
                text.append(f"\n{' ' * _INDENT}".join(wrap(words, width - _INDENT)) + "\n")
            text.append("\n")
        text.append("\n".join(wrap(_MANNERS, width)) + "\n")
        text.append("Signs: ! amber, !! red, ● running, ○ stopped, ‖ paused or frozen.", style(now, "muted"))
        return text
