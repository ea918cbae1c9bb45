"""How the schema stands, with the button that leads to applying."""

from __future__ import annotations

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.theme import Theme
from textual.widgets import Button, Static

from poe_ledger_tui.look import Look, look
from poe_ledger_tui.panes.base import say_age
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import UNKNOWN


class SchemaPane(Vertical):
    """Pending and drifted migrations."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id, classes="pane")
        self.border_title = "Schema"
        self._shown: Look | None = None

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)
        yield Button("Review and apply", compact=True, id="review")

    def draw(self, picture: Picture) -> None:
        """Show a Picture."""
        say_age(self, picture)
        text = schema_text(picture, self.app.current_theme)
        if look(text) != self._shown:
            self._shown = look(text)
            self.query_one(Static).update(text, layout=False)
        button = self.query_one(Button)
        button.display = bool(picture.pending or picture.drifted)
        button.label = "Review and apply" if picture.pending else "Review"

    @on(Button.Pressed)
    async def _review(self) -> None:
        await self.app.run_action("app.go('migrations')")


def schema_text(picture: Picture, theme: Theme) -> Text:
    """Pending and drifted, in words."""
    pending, drifted = picture.pending, picture.drifted
    if pending is None:
        return Text("not looked at yet", style=style(theme, "muted"))
    if picture.room.schema.failed:
        return Text(f"!! {clean(picture.room.schema.failed)} failed halfway", style=style(theme, "red"))
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"{'! ' if pending else ''}{pending} pending", style(theme, "amber" if pending else "ok"))
    shown = UNKNOWN if drifted is None else drifted
    text.append("   ")
    text.append(f"{'!! ' if drifted else ''}{shown} drifted", style(theme, "red" if drifted else "ok"))
    return text
