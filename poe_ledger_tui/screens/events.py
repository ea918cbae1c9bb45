"""The log of the harvest. (Skeleton.)"""

from __future__ import annotations

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.screens.base import LedgerScreen


class EventsScreen(LedgerScreen):
    """The same lines that a headless harvest prints."""

    SCOPE = "events"
    TITLE = "Events"
    BINDINGS = bindings_of("events")
