"""For every test of the app: nothing may hold the event loop up, and nothing of this machine may show."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.tui import bench
from tests.tui.idle import quick_pilot
from tests.tui.stall_watch import StallWatch, watching


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "SSH_CONNECTION", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    # Modules that are loaded when first needed are loaded before a test measures what holds the loop up.
    import poe_ledger_tui.panes.all
    import poe_ledger_tui.screens.dashboard
    import poe_ledger_tui.screens.events
    import poe_ledger_tui.screens.help
    import poe_ledger_tui.screens.leaving
    import poe_ledger_tui.screens.migrations
    import poe_ledger_tui.screens.queue_detail
    import poe_ledger_tui.screens.sanity  # noqa: F401


@pytest.fixture(autouse=True)
def _quick_pilot() -> Iterator[None]:
    with quick_pilot():
        yield


@pytest.fixture(autouse=True)
def stall_watch() -> Iterator[StallWatch]:
    """Fails a test whose event loop was held up; a test that does so on purpose clears `stalls`."""
    # The heap of a whole test session is not the app's: what collecting it takes does not count. It stays frozen,
    # so that the next test has only to look through what this one left.
    gc.collect()
    gc.freeze()
    with watching(StallWatch()) as watch:
        bench.WATCH = watch
        yield watch
    assert not watch.stalls, f"the event loop was held up: {watch.stalls}"
