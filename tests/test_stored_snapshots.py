"""The past, read back from the store: the newest, any time, step by step, and several harvesters in one table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harvester.clock import VirtualClock
from harvester.lag import LagLevel
from harvester.snapshot import QueueState, Snapshot
from harvester.snapshot_merge import merge_snapshots, silent_since
from harvester.snapshot_source import SourceKind, SourceLostError
from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.schema_files import migrations_directory
from harvester.store.stored_snapshots import StoredSnapshots
from harvester.store.telemetry_sink import TelemetrySink
from harvester.stored_source import StoredSource
from tests.snapshot_bench import full_snapshot, in_trouble

# The table keeps Snapshots for 90 days, so these cannot lie at a fixed time.
START = float(int(datetime.now(UTC).timestamp())) - 3 * 86_400


@pytest.fixture
def sink(engine: Engine) -> TelemetrySink:
    migrations.apply(engine, migrations.load_migrations(migrations_directory())[:1])
    return TelemetrySink(engine)


def at(seconds: float, *keys: str, pid: int = 1, state: QueueState | None = None) -> Snapshot:
    """A Snapshot so many seconds after the start; its total says when."""
    taken = full_snapshot(*(keys or ("psapi:pc", "psapi:xbox")), taken_at=START + seconds, pid=pid)
    queues = tuple(replace(queue, state=state or queue.state) for queue in taken.queues)
    return replace(taken, queues=queues, requests=replace(taken.requests, total=int(seconds)))


def total(snapshot: Snapshot | None) -> int | None:
    return None if snapshot is None else snapshot.requests.total


def test_one_whole_snapshot_stands_on_the_row_of_the_first_queue(sink: TelemetrySink, handle: Handle) -> None:
    sink.flush(at(0.125))
    rows = handle.rows("SELECT queue_key, snapshot != '' FROM poe_ingest_status ORDER BY queue_key")
    assert [(key, bool(whole)) for key, whole in rows] == [("psapi:pc", True), ("psapi:xbox", False)]
    assert StoredSnapshots(handle).at_or_before(START + 1) == replace(
        at(0.125), pacers=tuple(replace(pacer, next_slot_seconds=None) for pacer in at(0.125).pacers)
    )


def test_the_past_is_walked_step_by_step_in_both_directions(sink: TelemetrySink, handle: Handle) -> None:
    instants = [0, 5, 10, 4000, 100_000, 100_005]
    for seconds in instants:
        sink.flush(at(seconds + 0.4567))
    stored = StoredSnapshots(handle)
    exact = [round(START + seconds + 0.4567, 3) for seconds in instants]

    walked = []
    place: float | None = START + 300_000
    while (place := stored.before(place)) is not None:
        walked.append(round(place, 3))
    assert walked == exact[::-1]
    walked = []
    place = START - 1000
    while (place := stored.after(place)) is not None:
        walked.append(round(place, 3))
    assert walked == exact

    assert total(stored.at_or_before(START + 7)) == 5
    assert total(stored.at_or_before(START + 5.456)) == 0
    assert total(stored.at_or_before(START + 5.457)) == 5
    assert total(stored.at_or_before(START + 99_999)) == 4000
    assert stored.at_or_before(START) is None
    assert stored.before(1e300) == stored.newest(0.0) == exact[-1]
    assert stored.after(-1e300) == exact[0]


def test_what_only_the_living_know_is_unknown(sink: TelemetrySink, handle: Handle) -> None:
    living = at(0)
    troubled = replace(living.queues[0], trouble=in_trouble(living.queues[0], START))
    sink.flush(replace(living, queues=(troubled, *living.queues[1:])))
    seen = StoredSnapshots(handle).at_or_before(START)
    assert seen is not None
    assert [pacer.next_slot_seconds for pacer in seen.pacers] == [None]
    trouble = seen.queues[0].trouble
    assert trouble is not None
    assert (trouble.next_try_at, trouble.tries) == (None, 2)


def test_harvesters_of_several_queues_stand_side_by_side_or_alone(sink: TelemetrySink, handle: Handle) -> None:
    sink.flush(at(0, "psapi:pc", "psapi:xbox", pid=1))
    sink.flush(at(2, "cxapi:pc", pid=2))
    stored = StoredSnapshots(handle)

    both = stored.at_or_before(START + 3)
    assert both is not None
    assert [queue.queue_key for queue in both.queues] == ["cxapi:pc", "psapi:pc", "psapi:xbox"]
    assert total(both) == 2 + 0
    assert both.requests.per_second == pytest.approx(2 * 1.78)
    assert total(stored.at_or_before(START + 1)) == 0

    alone = stored.at_or_before(START + 3, queue_key="psapi:xbox")
    assert alone is not None
    assert alone.harvester.pid == 1
    assert stored.at_or_before(START + 3, queue_key="psapi:sony") is None


def test_a_queue_that_moved_to_another_harvester_is_shown_once(sink: TelemetrySink, handle: Handle) -> None:
    sink.flush(at(0, "psapi:pc", pid=1))
    sink.flush(at(60, "psapi:pc", pid=2))
    seen = StoredSnapshots(handle).at_or_before(START + 61)
    assert seen is not None
    assert seen.harvester.pid == 2
    assert len(seen.queues) == 1
    assert seen.requests.total == 60


def test_a_harvester_that_died_shows_and_one_that_was_ended_is_forgotten(sink: TelemetrySink, handle: Handle) -> None:
    sink.flush(at(0, "psapi:pc", pid=1))
    sink.flush(at(0, "psapi:sony", pid=3, state=QueueState.STOPPED))
    sink.flush(at(3600, "psapi:xbox", pid=2))
    seen = StoredSnapshots(handle).at_or_before(START + 3600)
    assert seen is not None
    dead, alive = seen.queues
    assert (alive.queue_key, alive.state, alive.trouble) == ("psapi:xbox", QueueState.HARVESTING, None)
    assert (dead.queue_key, dead.state, dead.level) == ("psapi:pc", QueueState.UNKNOWN, LagLevel.RED)
    assert dead.lag_seconds == 3603.0
    assert dead.trouble is not None
    assert dead.trouble.what == "no word from process 1 on harvest-1"
    assert dead.stalled_since == START
    assert seen.requests.per_second == 1.78, "the dead ask nothing"


def test_silence_is_told_from_an_end() -> None:
    alive = at(0)
    assert silent_since(alive, START + 10) is None
    assert silent_since(alive, START + 100) == START
    assert silent_since(at(0, state=QueueState.STOPPED), START + 100) is None


def test_histories_of_several_are_summed_from_the_newest_step() -> None:
    young = at(0, "a:b")
    young = replace(young, requests=replace(young.requests, rate=replace(young.requests.rate, values=(1.0, None))))
    merged = merge_snapshots([young, at(1, "c:d")])
    known = at(1).requests.rate.values
    assert merged.requests.rate.values[-2:] == (1.0 + (known[-2] or 0), known[-1])
    assert len(merged.requests.rate.values) == 60
    with pytest.raises(ValueError, match="no Snapshots"):
        merge_snapshots([])


def test_what_cannot_be_read_is_left_out_in_words(sink: TelemetrySink, handle: Handle) -> None:
    sink.flush(at(0, "psapi:pc"))
    handle.run(
        "INSERT INTO poe_ingest_status SELECT * REPLACE ('{torn' AS snapshot, 'psapi:xbox' AS queue_key)"
        " FROM poe_ingest_status"
    )
    stored = StoredSnapshots(handle)
    seen = stored.at_or_before(START + 1)
    assert seen is not None
    assert [queue.queue_key for queue in seen.queues] == ["psapi:pc"]
    assert "A stored Snapshot is left out" in stored.remark


def test_a_screen_follows_the_newest_goes_back_and_returns(sink: TelemetrySink, engine: Engine) -> None:
    clock = VirtualClock(START + 20)
    source = StoredSource(engine, clock)
    with pytest.raises(SourceLostError, match="No harvester has written"):
        source.read()
    for seconds in (0, 5, 10):
        sink.flush(at(seconds))
    assert (total(source.read()), source.kind) == (10, SourceKind.STORED)
    assert len(source.new_events()) == 50

    source.earlier()
    assert (total(source.read()), source.kind) == (5, SourceKind.PAST)
    source.earlier()
    source.earlier()
    assert (total(source.read()), source.remark) == (0, "Nothing earlier is stored.")
    source.later()
    assert (total(source.read()), source.remark) == (5, "")
    source.show(START + 12)
    assert (total(source.read()), source.kind) == (10, SourceKind.PAST)
    source.earlier(7)
    assert total(source.read()) == 0
    source.later()
    source.earlier(600)
    assert (total(source.read()), source.remark) == (0, "Nothing earlier is stored."), "as far as it goes"
    source.later(100)
    assert (total(source.read()), source.kind) == (10, SourceKind.STORED)

    sink.flush(at(15))
    assert total(source.read()) == 15
    source.show(START - 1)
    with pytest.raises(SourceLostError, match="Nothing so old"):
        source.read()
    source.show(None)
    assert total(source.read()) == 15
    source.close()
    assert total(source.read()) == 15
    source.close()


def test_a_harvester_whose_clock_is_ahead_is_seen(sink: TelemetrySink, engine: Engine) -> None:
    source = StoredSource(engine, VirtualClock(START))
    sink.flush(at(50))
    assert total(source.read()) == 50
    source.close()


def test_a_store_that_is_away_is_told_and_found_again(engine: Engine, sink: TelemetrySink) -> None:
    source = StoredSource(Engine("http://127.0.0.1:9", "poe_trade"), VirtualClock(START))
    with pytest.raises(SourceLostError, match="POE_CLICKHOUSE_URL"):
        source.read()
