"""How the harvest is, at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.screens.base import LedgerScreen
from poe_ledger_tui.screens.queue_commands import QueueCommands

if TYPE_CHECKING:
    from poe_ledger_tui.panes.all import Panes


class DashboardScreen(QueueCommands, LedgerScreen):
    """The panes of `poe_ledger_tui.panes`. The first paint is of header and footer; the panes come right after it."""

    SCOPE = "dashboard"
    BINDINGS = bindings_of("dashboard")
    AUTO_FOCUS = None
    _panes: Panes | None = None

    def on_mount(self) -> None:
        super().on_mount()
        self.call_after_refresh(self._bring_panes)

    async def _bring_panes(self) -> None:
        from poe_ledger_tui.panes.all import Panes

        panes = Panes(id="panes")
        await self.query_one("#body").mount(panes)
        panes.set_order(self.size.width)
        panes.query_one("#queues").focus()
        self._panes = panes
        self.draw(self.picture)
        self.call_after_refresh(lambda: self.draw(self.picture))

    def on_resize(self) -> None:
        if self._panes is not None:
            self._panes.set_order(self.app.size.width)

    def draw_body(self, picture: Picture) -> None:
        if self._panes is not None:
            self._panes.draw(picture)

    @property
    def queue_key(self) -> str | None:
        return None if self._panes is None else self._panes.queue_key

    def on_data_table_cell_selected(self) -> None:
        self.action_open_queue()

    def action_open_queue(self) -> None:
        """The detail view of the queue; for one that cannot run, what it needs."""
        key = self.queue_key
        if key is None or not self.is_active:
            return
        if all(queue.queue_key != key for queue in self.picture.queues):
            from poe_ledger_tui.panes.first_steps import steps_text
            from poe_ledger_tui.screens.dialog import Reading

            text = steps_text(self.picture.room, self.app.current_theme, has_queues=False)
            self.app.push_screen(Reading(f"What {key} needs", text))
            return
        from poe_ledger_tui.screens.queue_detail import QueueScreen

        self.app.get_screen("queue", QueueScreen).be_of(key)
        self.app.push_screen("queue")
