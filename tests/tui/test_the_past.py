"""Going through the stored past: the keys, the labels, the way back; and the two sources that are walked between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harvester.clock import VirtualClock
from harvester.events import EventLog
from harvester.snapshot import Snapshot
from harvester.snapshot_source import LiveSource, SourceKind, SourceLostError
from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.schema_files import migrations_directory
from harvester.store.telemetry_sink import TelemetrySink
from harvester.stored_source import StoredSource
from poe_ledger_tui import scenes
from poe_ledger_tui.asked_time import AskedTimeError, asked_time
from poe_ledger_tui.messages import SnapshotTaken
from poe_ledger_tui.time_travel import TimeTravel
from tests.snapshot_bench import full_snapshot
from tests.tui.bench import on_stage
from tests.tui.golden_file import compare

# The table keeps Snapshots for 90 days, so these cannot lie at a fixed time.
START = float(int(datetime.now(UTC).timestamp())) - 3 * 86_400
PAST = replace(scenes.RUNNING, taken_at=scenes.NOW - 7_384)


# ── The screen ──


@pytest.mark.parametrize(
    ("name", "kind", "snapshot", "remark", "size"),
    [
        ("past", SourceKind.PAST, PAST, "", (100, 32)),
        ("past-80x24", SourceKind.PAST, PAST, "", (80, 24)),
        ("past-earliest", SourceKind.PAST, PAST, "Nothing earlier is stored.", (120, 32)),
        ("stored", SourceKind.STORED, replace(scenes.RUNNING, taken_at=scenes.NOW - 4), "", (100, 32)),
        ("stored-stale", SourceKind.STORED, replace(scenes.RUNNING, taken_at=scenes.NOW - 40), "", (100, 32)),
    ],
)
def test_what_is_shown_says_whence_it_is_and_how_old(
    name: str, kind: SourceKind, snapshot: Snapshot, remark: str, size: tuple[int, int]
) -> None:
    async def look() -> None:
        async with on_stage(None, size=size) as stage:
            await stage.post(SnapshotTaken(snapshot, kind, remark))
            compare(name, stage.app)

    asyncio.run(look())


def test_the_keys_walk_through_time_and_a_frozen_picture_moves_again() -> None:
    async def look() -> None:
        async with on_stage() as stage:
            await stage.press("p", "[", "]", "{", "}", "T")
            assert stage.told == [("travel", step) for step in (-1, 1, -600, 600)] + [("go_to", None)]
            assert "FROZEN" not in stage.text()

    asyncio.run(look())


def test_a_time_is_asked_for_and_what_is_no_time_is_said() -> None:
    async def look() -> None:
        async with on_stage() as stage:
            await stage.press("t", *"noon", "enter")
            assert "That is no time. Type for example 13:05" in stage.text()
            await stage.press(*["backspace"] * 4, *"90m", "enter")
            assert stage.told == [("go_to", scenes.NOW - 5400)]
            await stage.press("t", "escape")
            assert stage.told == [("go_to", scenes.NOW - 5400)]

    asyncio.run(look())


def test_nothing_is_started_or_stopped_from_the_past() -> None:
    async def look() -> None:
        async with on_stage(None) as stage:
            await stage.post(SnapshotTaken(PAST, SourceKind.PAST))
            await stage.press("space", "P", "s", "z")
            assert stage.told == []
            await stage.post(SnapshotTaken(scenes.RUNNING, SourceKind.LIVE))
            await stage.press("space")
            assert stage.told == [("want_harvest", False)]

    asyncio.run(look())


def test_where_there_is_no_past_it_is_said_why() -> None:
    async def look() -> None:
        async with on_stage() as stage:
            stage.room.travel = lambda _: "The past lies elsewhere."  # type: ignore[method-assign]
            await stage.press("p", "[")
            text = stage.text()
            assert "The past lies elsewhere." in text
            assert "FROZEN" in text, "nothing has changed"

    asyncio.run(look())


# ── The sources ──


def snapshot_at(seconds: float) -> Snapshot:
    """A Snapshot so many seconds after the start; its total says when."""
    taken = full_snapshot("psapi:pc", taken_at=START + seconds, pid=1)
    return replace(taken, requests=replace(taken.requests, total=int(seconds)))


@pytest.fixture
def stored(engine: Engine) -> Engine:
    """A store with three Snapshots, five seconds apart."""
    migrations.apply(engine, migrations.load_migrations(migrations_directory())[:1])
    sink = TelemetrySink(engine)
    for seconds in (0, 5, 10):
        sink.flush(snapshot_at(seconds))
    sink.close()
    return engine


def seen(travel: TimeTravel) -> tuple[SourceKind, int]:
    total = travel.read().requests.total
    return travel.kind, total


@pytest.mark.parametrize("present", ["live", "stored"])
def test_one_walks_back_and_on_until_the_present(stored: Engine, present: str) -> None:
    clock = VirtualClock(START + 12)
    live = LiveSource(lambda: snapshot_at(12), EventLog())
    source = live if present == "live" else StoredSource(stored, clock)
    now = (SourceKind.LIVE, 12) if present == "live" else (SourceKind.STORED, 10)
    travel = TimeTravel(source, stored, clock)
    steps: list[tuple[Callable[[], None], tuple[SourceKind, int]]] = [
        (lambda: None, now),
        (travel.later, now),
        (travel.earlier, (SourceKind.PAST, 10 if present == "live" else 5)),
        (lambda: travel.earlier(600), (SourceKind.PAST, 0)),
        (travel.later, (SourceKind.PAST, 5)),
        (lambda: travel.later(600), now),
        (lambda: travel.show(START + 7), (SourceKind.PAST, 5)),
        (lambda: travel.show(None), now),
    ]
    for step, (move, expected) in enumerate(steps):
        move()
        assert seen(travel) == expected, step
    travel.close()


def test_before_the_first_nothing_is_stored_and_that_is_said(stored: Engine) -> None:
    clock = VirtualClock(START + 12)
    travel = TimeTravel(LiveSource(lambda: snapshot_at(12), EventLog()), stored, clock)
    travel.show(START)
    assert seen(travel) == (SourceKind.PAST, 0)
    travel.earlier()
    assert seen(travel) == (SourceKind.PAST, 0)
    assert travel.remark == "Nothing earlier is stored."
    travel.show(START - 60)
    with pytest.raises(SourceLostError, match="Nothing so old is stored"):
        travel.read()
    travel.show(None)
    assert seen(travel) == (SourceKind.LIVE, 12)
    travel.close()


def test_without_a_store_there_is_only_the_present() -> None:
    travel = TimeTravel(LiveSource(lambda: snapshot_at(12), EventLog()), None, VirtualClock(START))
    travel.earlier()
    travel.show(START)
    assert not travel.possible
    assert seen(travel) == (SourceKind.LIVE, 12)


# ── What is typed ──

NOW = datetime(2026, 11, 25, 14, 2, 11, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("13:05", "2026-11-25 13:05:00"),
        (" 13:05:09Z ", "2026-11-25 13:05:09"),
        ("23:59", "2026-11-24 23:59:00"),
        ("2026-11-24 13:05", "2026-11-24 13:05:00"),
        ("2026-11-24T13:05:01 UTC", "2026-11-24 13:05:01"),
        ("2026-11-24", "2026-11-24 00:00:00"),
        ("90m", "2026-11-25 12:32:11"),
        ("-2h 30m", "2026-11-25 11:32:11"),
        ("1D ago", "2026-11-24 14:02:11"),
    ],
)
def test_a_time_is_understood(text: str, meant: str) -> None:
    assert datetime.fromtimestamp(asked_time(text, NOW), UTC).strftime("%Y-%m-%d %H:%M:%S") == meant


@pytest.mark.parametrize(
    "text", ["", "noon", "25:00", "2026-11-26", "2027-01-01 00:00", "-", "90", "\x1b[2J", "9" * 99]
)
def test_what_is_no_time_of_the_past_is_refused(text: str) -> None:
    with pytest.raises(AskedTimeError):
        asked_time(text, NOW)
