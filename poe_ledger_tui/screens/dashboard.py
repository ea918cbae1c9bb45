"""How the harvest is, at a glance. (Skeleton.)"""

from __future__ import annotations

from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.screens.base import LedgerScreen


class DashboardScreen(LedgerScreen):
    """The panes."""

    SCOPE = "dashboard"
    BINDINGS = bindings_of("dashboard")
