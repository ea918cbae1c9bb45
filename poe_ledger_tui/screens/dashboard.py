"""How the harvest is, at a glance."""

from __future__ import annotations

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.widgets import DataTable

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.panes.base import Pane
from poe_ledger_tui.panes.checkpoints import CheckpointsPane
from poe_ledger_tui.panes.events_tail import EventsTail
from poe_ledger_tui.panes.first_steps import FirstSteps, steps_text
from poe_ledger_tui.panes.rate_limit import RateLimitPane
from poe_ledger_tui.panes.requests import RequestsPane
from poe_ledger_tui.panes.schema import SchemaPane
from poe_ledger_tui.panes.spool import SpoolPane
from poe_ledger_tui.panes.throttles import ThrottlesPane
from poe_ledger_tui.panes.throughput import ThroughputPane
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.screens.base import LedgerScreen
from poe_ledger_tui.screens.dialog import Reading
from poe_ledger_tui.screens.queue_commands import QueueCommands

TWO_COLUMNS = 80


class DashboardScreen(QueueCommands, LedgerScreen):
    """The panes of `poe_ledger_tui.panes`; the style sheet says where each stands at which size."""

    SCOPE = "dashboard"
    BINDINGS = bindings_of("dashboard")
    AUTO_FOCUS = "#queues"

    def compose_body(self) -> ComposeResult:
        with VerticalScroll(id="panes", can_focus=False):
            with Container(id="top"):
                yield RequestsPane(id="requests")
                yield RateLimitPane(id="rate-limit")
            yield FirstSteps(id="first-steps")
            yield CheckpointsPane(id="checkpoints")
            yield SpoolPane(id="spool")
            with Container(id="bottom"):
                yield ThroughputPane(id="throughput")
                yield ThrottlesPane(id="throttles")
                yield SchemaPane(id="schema")
            yield EventsTail(id="events-tail")

    def on_resize(self, event: events.Resize) -> None:
        """In one column the queues come first."""
        panes = self.query_one("#panes")
        first, second = ("#checkpoints", "#top") if event.size.width < TWO_COLUMNS else ("#top", "#checkpoints")
        if panes.children.index(self.query_one(first)) > panes.children.index(self.query_one(second)):
            panes.move_child(self.query_one(first), before=self.query_one(second))

    def draw_body(self, picture: Picture) -> None:
        for pane in self.query(Pane):
            pane.draw(picture)
        self.query_one(CheckpointsPane).draw(picture)
        self.query_one(SchemaPane).draw(picture)

    @property
    def queue_key(self) -> str | None:
        """The queue under the cursor."""
        return self.query_one(CheckpointsPane).queue_key

    @on(DataTable.CellSelected, "#queues")
    def action_open_queue(self) -> None:
        """The detail view of the queue; for one that cannot run, what it needs."""
        key = self.queue_key
        if key is None:
            return
        if all(queue.queue_key != key for queue in self.picture.queues):
            text = steps_text(self.picture.room, self.app.current_theme, has_queues=False)
            self.app.push_screen(Reading(f"What {key} needs", text))
            return
        from poe_ledger_tui.screens.queue_detail import QueueScreen

        self.app.push_screen(QueueScreen(key))
