"""What must not be loaded before the first paint: proved in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).parents[2]
BEHIND_THE_PANES = (
    "chdb", "clickhouse_connect", "httpx", "pydantic", "typer", "sqlglot", "structlog", "rich.markdown", "pygments",
    "textual.widgets._text_area", "harvester.api.client", "harvester.settings", "harvester.store",
    "harvester.supervisor", "poe_ledger_tui.screens.events", "poe_ledger_tui.screens.migrations",
    "poe_ledger_tui.screens.sanity", "poe_ledger_tui.screens.queue_detail",
)  # fmt: skip
"""What is loaded only when the whole dashboard has been painted."""
HEAVY = (*BEHIND_THE_PANES, "harvester.feeds", "poe_ledger_tui.panes.base", "textual.widgets._data_table")
"""What is loaded only when header and footer have been painted."""

SCRIPT = """
import sys, asyncio
import poe_ledger_tui.cli, poe_ledger_tui.launch
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.still import StillRoom
from poe_ledger_tui.screens.dashboard import DashboardScreen
loaded_at_paint, loaded_at_begin = [], []
bring_panes = DashboardScreen._bring_panes
async def painted(screen):
    loaded_at_paint.extend(sys.modules)
    shown = app.screen._compositor.render_strips(app.size)
    print("painted" if any("Wraeclast" in s.text for strip in shown for s in strip) else "blank")
    await bring_panes(screen)
DashboardScreen._bring_panes = painted
class Room(StillRoom):
    def begin(self):
        loaded_at_begin.extend(sys.modules)
room = Room()
app = LedgerApp(lambda post: room, ticking=False)
async def main():
    async with app.run_test() as pilot:
        for _ in range(5):
            await pilot.pause()
asyncio.run(main())
print(sorted(name for name in HEAVY if name in loaded_at_paint))
print(sorted(name for name in BEHIND_THE_PANES if name in loaded_at_begin), bool(loaded_at_begin))
"""


def test_the_first_paint_comes_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(CHECKOUT)}
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY, BEHIND_THE_PANES = {HEAVY!r}, {BEHIND_THE_PANES!r}\n{SCRIPT}"],
        check=False, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.stdout == "painted\n[]\n[] True\n", done.stderr
