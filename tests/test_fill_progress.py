"""How a fill is told: hours done, rate, time left."""

from __future__ import annotations

from dataclasses import replace

from harvester.commands.fill_progress import FillProgress
from harvester.model import Queue
from harvester.snapshot import QueueSnapshot
from harvester.telemetry import QueueMeter


def snapshot(behind: int | None, pages: int, spooled: int = 0) -> QueueSnapshot:
    meter = QueueMeter(Queue("cxapi", "pc"))
    return replace(meter.snapshot(0.0, 20.0, 60.0), behind_hours=behind, pages=pages, spool_pages=spooled)


def test_a_fill_tells_hours_rate_and_time_left() -> None:
    progress = FillProgress()
    begun = progress.of(snapshot(8760, 0), 100.0)
    assert begun is not None
    assert begun.words() == "0 of 8,760 hours"
    later = progress.of(snapshot(8150, 600, spooled=10), 700.0)
    assert later is not None
    assert later.words() == "600 of 8,760 hours, 1.0 hours/s, 2 h 16 min left"


def test_what_is_not_behind_tells_nothing_and_a_new_fill_begins_anew() -> None:
    progress = FillProgress()
    assert progress.of(snapshot(None, 5), 0.0) is None
    assert progress.of(snapshot(1, 5), 0.0) is None
    assert progress.of(snapshot(10, 5), 0.0) is not None
    assert progress.of(snapshot(0, 15), 20.0) is None
    again = progress.of(snapshot(4, 15), 30.0)
    assert again is not None
    assert (again.done, again.total) == (0, 4)
