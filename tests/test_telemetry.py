"""The figures of a Snapshot are those that a plain count of the same happenings gives."""

from __future__ import annotations

from random import Random

import pytest

from harvester.api.pacer_book import PacerBook
from harvester.clock import VirtualClock, virtual_time
from harvester.events import Event, EventLog, Level
from harvester.history import STEP_SECONDS, STEPS, Gauge, Tally
from harvester.lag import LagLevel
from harvester.model import Limits, Outcome, Queue, RequestRecord, Rule, Triplet
from harvester.snapshot import QueueState, RecentPage, SchemaSnapshot, StoreSnapshot
from harvester.snapshot_builder import EVENTS_SHOWN, SnapshotBuilder, this_harvester
from harvester.telemetry import RECENT_PAGES

PC, XBOX = Queue("psapi", "pc"), Queue("psapi", "xbox")


def builder_on(clock: VirtualClock, events: EventLog | None = None) -> SnapshotBuilder:
    return SnapshotBuilder(
        clock,
        (PC, XBOX),
        events or EventLog(),
        amber_seconds=20.0,
        red_seconds=60.0,
        spool_budget=1000,
        store=StoreSnapshot(kind="embedded"),
        harvester=this_harvester(demo=True),
    )


def page(seq: int, at: float, *, items: int = 100) -> RecentPage:
    return RecentPage(seq, f"c{seq}", stashes=10, items=items, page_bytes=5000, commit_ms=12.5, at=at)


def request(outcome: Outcome, status: int = 200, ms: float = 100.0) -> RequestRecord:
    return RequestRecord(0.0, PC.key, "/x", "c", outcome, status, ms / 2, ms, 10, 20)


@pytest.mark.parametrize("seed", range(5))
def test_a_history_is_what_a_plain_count_gives(seed: int) -> None:
    clock, random = VirtualClock(), Random(seed)
    clock.elapsed = random.uniform(0, 100)
    tally, born, happened = Tally(clock), clock.elapsed, []
    for _ in range(400):
        clock.elapsed += random.choice((0.0, 0.3, 1.0, 4.9, 5.0, 11.0, 400.0 if random.random() < 0.01 else 0.5))
        amount = random.randrange(1, 5)
        tally.add(amount)
        happened.append((clock.elapsed, amount))
        history = tally.history()
        step = clock.elapsed // STEP_SECONDS
        first = max(born // STEP_SECONDS, step - STEPS)
        plain = [
            sum(n for at, n in happened if at // STEP_SECONDS == place) / STEP_SECONDS
            for place in range(int(first), int(step))
        ]
        assert history.values == pytest.approx(tuple(plain))
        assert history.ends_at == pytest.approx(clock.now() - clock.elapsed + step * STEP_SECONDS, abs=0.002)


def test_a_rate_counts_from_the_start_and_falls_to_nothing_in_silence() -> None:
    clock = VirtualClock()
    tally = Tally(clock)
    for _ in range(20):
        clock.elapsed += 0.5
        tally.add(3)
    assert tally.per_second() == pytest.approx(6.0)
    clock.elapsed += 50
    assert tally.per_second() == pytest.approx(60 / 60)
    clock.elapsed += 100
    assert tally.per_second() == 0.0


def test_a_gauge_says_nothing_where_nothing_was_measured() -> None:
    clock = VirtualClock()
    gauge = Gauge(clock)
    gauge.set(1.0)
    clock.elapsed = 12.0
    gauge.set(7.0)
    gauge.set(8.0)
    clock.elapsed = 15.0
    assert gauge.history().values == (1.0, None, 8.0)


def test_pages_are_summed_kept_and_given_per_second() -> None:
    clock = VirtualClock()
    builder = builder_on(clock)
    for seq in range(1, 61):
        clock.elapsed += 0.5
        builder.meters[PC].committed(page(seq, clock.now()))
    builder.meters[XBOX].committed(page(1, clock.now(), items=600))
    snapshot = builder.build((), ())
    pc, xbox = snapshot.queues
    assert (pc.pages, pc.stashes, pc.items, pc.page_bytes, pc.seq, pc.cursor) == (60, 600, 6000, 300_000, 60, "c60")
    assert [one.seq for one in pc.recent_pages] == list(range(61 - RECENT_PAGES, 61))
    assert (xbox.pages, xbox.items) == (1, 600)
    assert snapshot.throughput.items_per_second == pytest.approx(6600 / 30)
    assert sum(v or 0 for v in snapshot.throughput.items.values) * STEP_SECONDS == pytest.approx(59 * 100)


def test_a_page_that_was_set_aside_whole_is_no_page() -> None:
    builder = builder_on(VirtualClock())
    builder.meters[PC].committed(RecentPage(3, "c3", 0, 0, 0, 9.0, 1.0, set_aside=1), whole=False)
    queue = builder.build((), ()).queues[0]
    assert (queue.pages, queue.set_aside, queue.seq, len(queue.recent_pages)) == (0, 1, 3, 1)
    assert builder.build((), ()).throughput.pages_per_second == 0.0


def test_requests_are_counted_by_class() -> None:
    clock = VirtualClock()
    builder = builder_on(clock)
    outcomes = [Outcome.OK] * 6 + [Outcome.RATE_LIMITED] * 2 + [Outcome.SERVER_ERROR, Outcome.BAD_BODY]
    outcomes += [Outcome.NETWORK_ERROR, Outcome.CANCELLED]
    for number, outcome in enumerate(outcomes):
        clock.elapsed += 1.0
        status = 0 if outcome in (Outcome.NETWORK_ERROR, Outcome.CANCELLED) else 200
        builder.requests.count(request(outcome, status, ms=100.0 * (number + 1)))
    seen = builder.build((), ()).requests
    assert (seen.total, seen.ok, seen.rate_limited, seen.server_errors) == (12, 6, 2, 1)
    assert (seen.network_errors, seen.refused, seen.cancelled) == (2, 0, 1)
    assert (seen.p50_ms, seen.p95_ms) == (600.0, 1000.0)
    assert seen.per_second == pytest.approx(1.0)
    assert seen.rate.values == pytest.approx((0.8, 1.0))


def test_lag_is_sampled_into_its_history() -> None:
    clock = VirtualClock()
    builder = builder_on(clock)
    builder.sample()
    clock.elapsed = 5.0
    builder.meters[PC].committed(page(1, clock.now()))
    builder.sample()
    clock.elapsed = 70.0
    builder.sample()
    clock.elapsed = 75.0
    queue = builder.build((), ()).queues[0]
    assert queue.lag.values == (None, 0.0, *[None] * 12, 65.0)
    assert (queue.level, queue.stalled_since) == (LagLevel.RED, clock.now() - 70)


def test_everything_is_bounded() -> None:
    clock, events = VirtualClock(), EventLog()
    builder = builder_on(clock, events)
    for seq in range(5000):
        clock.elapsed += 1.0
        events.add(Event(clock.now(), Level.INFO, "", f"event {seq}"))
        builder.meters[PC].committed(page(seq, clock.now()))
        builder.requests.count(request(Outcome.OK))
        builder.sample()
    snapshot = builder.build((), ())
    assert len(snapshot.events) == EVENTS_SHOWN
    assert snapshot.events[-1].what == "event 4999"
    queue = snapshot.queues[0]
    assert (len(queue.recent_pages), len(queue.lag.values)) == (RECENT_PAGES, STEPS)
    assert len(snapshot.requests.rate.values) == len(snapshot.throughput.bytes.values) == STEPS


def test_the_store_as_it_was_asked_and_as_it_was_lost() -> None:
    clock = VirtualClock()
    builder = builder_on(clock)
    first = builder.build((), ())
    assert (first.store.reachable, first.schema, first.harvester.demo) == (None, None, True)

    builder.store_failed("the disk is full")
    lost = builder.build((), ()).store
    assert (lost.reachable, lost.trouble, lost.kind) == (False, "the disk is full", "embedded")

    builder.store_answered(StoreSnapshot(kind="embedded", version="26", reachable=True), SchemaSnapshot(4, 1, 0, 1.0))
    back = builder.build((), ())
    assert (back.store.reachable, back.store.version, back.store.trouble) == (True, "26", "the disk is full")
    assert back.schema == SchemaSnapshot(4, 1, 0, 1.0)

    builder.meters[PC].state = QueueState.STORE_LOST
    assert builder.build((), ()).store.reachable is False, "a worker knows before the next survey"


def test_the_spool_is_that_of_all_queues() -> None:
    builder = builder_on(VirtualClock())
    builder.meters[PC].measure_spool(3, 300)
    builder.meters[XBOX].measure_spool(1, 50)
    spool = builder.build((), ()).spool
    assert (spool.pages, spool.bytes, spool.budget_bytes) == (4, 350, 1000)


def test_a_restriction_that_a_good_answer_tells_of_is_told_once() -> None:
    clock = VirtualClock()
    rules = (Rule("Ip", (Triplet(2, 1, 60, 1, active_restriction=60),)),)

    async def run() -> PacerBook:
        book = PacerBook(clock)
        slot = await book.slot("psapi:pc", "api/x")
        slot.sent()
        slot.answered(Limits("pc-policy", rules), 200)
        return book

    (throttle,) = virtual_time(run(), clock).throttles()
    assert (throttle.policy, throttle.queue_key) == ("pc-policy", "psapi:pc")
    assert (throttle.http_status, throttle.retry_after) == (200, None)
    assert throttle.restricted_seconds == pytest.approx(60.0, abs=5.0)
