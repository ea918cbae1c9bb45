"""All panes of the dashboard together. Imported behind the first paint."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll

from poe_ledger_tui.panes.base import Pane
from poe_ledger_tui.panes.checkpoints import CheckpointsPane
from poe_ledger_tui.panes.events_tail import EventsTail
from poe_ledger_tui.panes.first_steps import FirstSteps
from poe_ledger_tui.panes.rate_limit import RateLimitPane
from poe_ledger_tui.panes.requests import RequestsPane
from poe_ledger_tui.panes.schema import SchemaPane
from poe_ledger_tui.panes.spool import SpoolPane
from poe_ledger_tui.panes.throttles import ThrottlesPane
from poe_ledger_tui.panes.throughput import ThroughputPane
from poe_ledger_tui.picture import Picture

TWO_COLUMNS = 80
"""Cells of the screen from which panes stand side by side."""


class Panes(VerticalScroll):
    """All panes; the style sheet says where each stands at which size."""

    can_focus = False

    def compose(self) -> ComposeResult:
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

    def draw(self, picture: Picture) -> None:
        """Show a Picture in every pane."""
        for pane in self.query(Pane):
            pane.draw(picture)
        self.query_one(CheckpointsPane).draw(picture)
        self.query_one(SchemaPane).draw(picture)

    def set_order(self, width: int) -> None:
        """In one column the queues come first."""
        first, second = ("#checkpoints", "#top") if width < TWO_COLUMNS else ("#top", "#checkpoints")
        before, behind = self.query_one(second), self.query_one(first)
        if self.children.index(behind) > self.children.index(before):
            self.move_child(behind, before=before)

    @property
    def queue_key(self) -> str | None:
        """The queue under the cursor."""
        return self.query_one(CheckpointsPane).queue_key
