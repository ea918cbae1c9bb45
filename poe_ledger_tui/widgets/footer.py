"""The line at the bottom: the keys that matter here, as many as fit; help and quit always do. Each can be clicked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import events
from textual.actions import parse
from textual.widgets import Static

from poe_ledger_tui.actions import BY_ID, EVERYWHERE, Action, actions_of
from poe_ledger_tui.look import Look, look
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.theme import style

if TYPE_CHECKING:
    from poe_ledger_tui.app import LedgerApp

_ALWAYS = ("everywhere.help", "everywhere.quit")


class LedgerFooter(Static):
    """Made from the registry of actions and the operator's own keys."""

    def __init__(self, scope: str) -> None:
        super().__init__("", markup=False, id="footer")
        self._scope = scope
        self._picture: Picture | None = None
        self._shown: Look | None = None
        self._left_out = False

    def draw(self, picture: Picture) -> None:
        """Show what can be done now."""
        self._picture = picture
        text = self._text(picture, self.size.width or self.app.size.width)
        if look(text) != self._shown:
            self._shown = look(text)
            self.update(text, layout=False)

    def on_resize(self) -> None:
        if self._picture is not None:
            self.draw(self._picture)

    async def on_click(self, event: events.Click) -> None:
        action = BY_ID.get(event.style.meta.get("action_id", ""))
        if action is not None:
            event.stop()
            await self.app.run_action(action.call, self.screen)

    def _text(self, picture: Picture, width: int) -> Text:
        roomy = self._fit(picture, width, short=False)
        return roomy if roomy.cell_len <= width and not self._left_out else self._fit(picture, width, short=True)

    def _fit(self, picture: Picture, width: int, *, short: bool) -> Text:
        wanted = [action for action in (*actions_of(EVERYWHERE), *actions_of(self._scope)) if self._wanted(action)]
        last = [self._one(action, picture, short=short) for action in wanted if action.id in _ALWAYS]
        # A screen's own actions are why one is there; where room is short, the others give way.
        own = [action for action in wanted if action.scope != EVERYWHERE]
        others = [action for action in wanted if action.scope == EVERYWHERE and action.id not in _ALWAYS]
        room = width - sum(text.cell_len for text in last)
        chosen: dict[str, Text] = {}
        for action in (*own, *others):
            text = self._one(action, picture, short=short)
            if text.cell_len <= room:
                room -= text.cell_len
                chosen[action.id] = text
        self._left_out = len(chosen) < len(own) + len(others)
        line = Text(no_wrap=True, overflow="crop", end="")
        for action in (*others, *own):
            if action.id in chosen:
                line.append_text(chosen[action.id])
        line.append(" " * max(0, room))
        for text in last:
            line.append_text(text)
        return line

    def _wanted(self, action: Action) -> bool:
        """Whether a key belongs here now: what the shown part of a screen has no use for is left out."""
        if not action.footer:
            return False
        where, name, parameters = parse(action.call)
        return where != "screen" or self.screen.check_action(name, parameters) is not False

    def _one(self, action: Action, picture: Picture, *, short: bool) -> Text:
        app = cast("LedgerApp", self.app)
        key = app.config.shown_key(action)
        shown = {"colon": ":", "question_mark": "?", "slash": "/", "escape": "esc"}.get(key, key)
        if short and key == "space":
            shown = "␣"
        off = action.dangerous and picture.room.monitor
        text = Text.assemble(
            (f"{'' if short else ' '}{shown} ", style(app.current_theme, "muted" if off else "accent")),
            (
                f"{(short and action.short) or _title(action, picture)} ",
                style(app.current_theme, "muted") if off else "",
            ),
            end="",
        )
        text.apply_meta({"action_id": action.id})
        return text


def _title(action: Action, picture: Picture) -> str:
    """What the key would do now."""
    if action.id == "everywhere.toggle":
        return "Stop" if picture.harvesting else "Start"
    if action.id == "everywhere.freeze":
        return "Freeze" if picture.frozen_since is None else "Go on"
    return action.title
