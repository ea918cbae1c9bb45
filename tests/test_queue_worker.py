"""The loop of one queue, in virtual time, against the simulated API at its best and at its worst."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from harvester.api.errors import Refused
from harvester.clock import VirtualClock
from harvester.events import Level
from harvester.queue_worker import QueueStopped
from harvester.queue_worker.refusals import REFUSALS_AN_HOUR, RefusalBudget
from harvester.simulator.answers import Ending, Latency
from harvester.simulator.faults import Override, ScriptedFaults, answer, edge, reset, wrong_body
from harvester.simulator.river import EndOfStream, River
from harvester.snapshot import QueueState
from harvester.store.commit import Damage, Fate, Standing
from harvester.store.errors import StoreError, StoreFault
from harvester.store.spool import DamagedPage
from tests.replay import ReplayedPages
from tests.worker_bench import Bench, policy_until_caught_up


def harvested_once(bench: Bench) -> None:
    """Every page of the river, in order, once, byte for byte; and not one rule broken."""
    assert bench.committed_chain == bench.expected_chain
    assert [s.seq for s in bench.store.committed] == list(range(1, len(bench.expected_chain) + 1))
    assert bench.api.truth.broken == []
    assert bench.api.truth.complaints == []


@pytest.mark.parametrize("end", list(EndOfStream))
def test_a_river_is_harvested_to_its_end_in_either_form(end: EndOfStream) -> None:
    bench = Bench(river=River(3, "pc", 0.0, pages=30, stashes_per_page=4, items_per_stash=2.0, end=end))
    bench.run()
    harvested_once(bench)
    assert bench.meter.caught_up
    assert len(bench.store.ends) == 1


def test_the_next_request_leaves_when_the_headers_are_there_not_when_the_body_is() -> None:
    # A body takes longer on the wire than the limit asks between two requests.
    river = River(3, "pc", 0.0, pages=40, stashes_per_page=4, items_per_stash=2.0, empty_pages=0.0)
    size = len(river.page("", 0.0).body)
    slow = Latency(thinking=(0.3, 0.3), bytes_per_second=size / 6.0)
    serial = Bench(river=river, latency=slow, policy=policy_until_caught_up(ahead=0))
    serial.run()
    ahead = Bench(
        river=River(3, "pc", 0.0, pages=40, stashes_per_page=4, items_per_stash=2.0, empty_pages=0.0), latency=slow
    )
    ahead.run()
    harvested_once(serial)
    harvested_once(ahead)
    assert ahead.clock.elapsed < 0.5 * serial.clock.elapsed


def test_only_so_many_pages_are_asked_for_as_are_wanted() -> None:
    bench = Bench(pages=50, policy=policy_until_caught_up(pages=7, until_caught_up=False))
    bench.run()
    assert len(bench.store.committed) == 7
    assert len(bench.stash_requests) == 7


def test_it_starts_without_an_id_and_sends_nothing_but_the_id() -> None:
    bench = Bench(pages=5)
    bench.run()
    first, *others = [asked for asked in bench.api.truth.asked if "stash" in asked.path]
    assert first.params == ()
    assert all([name for name, _ in asked.params] == ["id"] for asked in others)
    assert {asked.path for asked in (first, *others)} == {"/public-stash-tabs"}


def test_it_goes_on_where_spool_and_store_stand() -> None:
    bench = Bench(pages=12)
    third = bench.river.walk(0.0)[3]
    bench.store.standing = Standing(third.change_id, 4, (), ())
    bench.store.saved_cursor = "1-2-3-4-5"
    bench.run()
    assert bench.committed_chain == bench.expected_chain[3:]
    assert bench.store.committed[0].seq == 4
    assert "the cursor file says 1-2-3-4-5" in bench.said()


def damage(seq: int, fate: Fate) -> Damage:
    return Damage(seq, "torn or altered, the checksum does not fit", fate, Path(f"/spool/{seq:012d}.damaged"))


@pytest.mark.parametrize(
    ("discarded", "damaged", "said"),
    [
        (
            range(185, 198),
            [damage(184, Fate.ASKED_AGAIN)],
            "the spool file of page 184 is damaged: torn or altered, the checksum does not fit"
            " (/spool/000000000184.damaged) — it and 13 pages behind are set aside, and asked for again from 1-1"
            " — Check the disk.",
        ),
        (
            (),
            [damage(184, Fate.ASKED_AGAIN), damage(186, Fate.ASKED_AGAIN)],
            "2 spool files are damaged, that of page 184 and on: torn or altered, the checksum does not fit"
            " (/spool/000000000184.damaged) — they are set aside, and asked for again from 1-1 — Check the disk.",
        ),
        (
            (),
            [damage(184, Fate.RESTORED)],
            "the spool file of page 184 is damaged: torn or altered, the checksum does not fit — the store has begun"
            " with the page: its file is written anew from there (/spool/000000000184.damaged) — Check the disk.",
        ),
        (
            (),
            [damage(184, Fate.COMMITTED)],
            "the spool file of page 184 is damaged: torn or altered, the checksum does not fit — nothing is missing:"
            " the store has what it held. It is set aside (/spool/000000000184.damaged) — Check the disk.",
        ),
        (
            range(185, 198),
            [],
            "13 spooled pages, 185 to 197, do not continue what the store holds — set aside; the stream is asked from"
            " where the store stands",
        ),
        (
            [7],
            [],
            "spooled page 7 does not continue what the store holds — set aside; the stream is asked from where the"
            " store stands",
        ),
    ],
    ids=["damaged", "two damaged", "begun", "committed", "discarded", "one discarded"],
)
def test_what_a_start_finds_wrong_in_the_spool_is_one_event(
    discarded: Sequence[int], damaged: Sequence[Damage], said: str
) -> None:
    bench = Bench(pages=3)
    bench.store.standing = Standing("1-1", 184, (), tuple(discarded), damaged=tuple(damaged))
    bench.run(seconds=0.0)

    assert [event.line() for event in bench.events.tail(10) if event.level is Level.WARNING] == [f"psapi:pc: {said}"]


@pytest.mark.parametrize("when", ["at a start", "at a commit"])
def test_a_damaged_page_that_stops_the_queue_says_how_it_goes_on(when: str) -> None:
    bench = Bench(pages=12)
    damaged = DamagedPage(Path("/spool/000000000004.page"), "torn or altered")
    if when == "at a start":
        bench.store.fail_open = lambda: damaged
    else:
        bench.store.fail_commit = lambda seq: damaged if seq == 4 else None
    with pytest.raises(QueueStopped, match=r"is damaged: torn or altered") as stopped:
        bench.run()

    assert "/spool/000000000004.page" in str(stopped.value)
    todo = "move the file away, then start again" if when == "at a start" else "Check the disk, then start again"
    assert todo in stopped.value.todo
    assert bench.meter.state is QueueState.FAILED


TROUBLES = {
    "500": answer(500, b'{"error":{"code":4,"message":"x"}}'),
    "503 html": edge(503),
    "522": edge(522),
    "challenge": edge(403),
    "html as 200": wrong_body(b"<html>maintenance</html>"),
    "wrong shape": wrong_body(b'["FILLER"]'),
    "cut": Override("cut", keep=60, ending=Ending.CUT),
    "reset": Override("reset", keep=60, ending=Ending.RESET),
    "reset without headers": Override("reset", silent=True, ending=Ending.RESET),
    "stuck": Override("stuck", keep=60, ending=Ending.STUCK),
    "stuck without headers": Override("stuck", silent=True, ending=Ending.STUCK),
    "bad compression": Override("gzip", headers=(("Content-Encoding", "gzip"),), body=b"no gzip at all"),
    "429 without headers": answer(429, b"{}", ("Retry-After", "7"), bare=True),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
@pytest.mark.parametrize("at", [0, 4])
def test_a_passing_trouble_loses_nothing_and_doubles_nothing(trouble: Override, at: int) -> None:
    same_bytes_twice = trouble.body is not None and trouble.status is None
    bench = Bench(pages=12, faults=ScriptedFaults([*[None] * at, *[trouble] * (1 if same_bytes_twice else 2)]))
    bench.run()
    harvested_once(bench)
    assert bench.meter.trouble is None
    assert "try 2 in" in bench.said() or "rate limited" in bench.said() or "again" in bench.said()


def test_a_body_that_is_twice_the_same_rubbish_becomes_a_dead_letter_and_the_stream_goes_on() -> None:
    rubbish = wrong_body(b"<html>for ever</html>")
    bench = Bench(
        pages=10,
        faults=ScriptedFaults([None, None, rubbish, None, None, rubbish]),
        policy=policy_until_caught_up(ahead=0),
    )
    # Without running ahead the third and fourth requests ask for the same page.
    bench.api.faults = ScriptedFaults([None, None, rubbish, rubbish])
    bench.run()
    letter = bench.store.committed[2]
    assert letter.page.body == b"<html>for ever</html>"
    assert letter.page.rejected
    assert letter.page.next_change_id == bench.expected_chain[2][1]
    rest = [s for s in bench.store.committed if not s.page.rejected]
    assert [s.page.change_id for s in rest] == [c for c, _, _ in bench.expected_chain[:2] + bench.expected_chain[3:]]


def test_rubbish_that_differs_each_time_does_not_block_the_queue_for_ever() -> None:
    script = [None, *(wrong_body(b"<html>ray %d</html>" % n) for n in range(200))]
    bench = Bench(pages=5, faults=ScriptedFaults(script), policy=policy_until_caught_up(ahead=0, until_caught_up=False))
    bench.run(seconds=3600)
    letter = bench.store.committed[1]
    assert letter.page.rejected
    assert letter.page.next_change_id == bench.expected_chain[1][1]
    assert len(bench.store.committed) > 2


def test_paused_it_does_not_retry_either() -> None:
    bench = Bench(pages=10, faults=ScriptedFaults([None, *[answer(500, b"{}")] * 500]))
    asked: list[int] = []

    async def pause(bench: Bench) -> None:
        await bench.clock.sleep(20)
        assert bench.worker is not None
        bench.worker.pause()
        await bench.clock.sleep(100)
        asked.append(len(bench.stash_requests))
        await bench.clock.sleep(1000)
        asked.append(len(bench.stash_requests))
        await asyncio.Event().wait()

    bench.run(seconds=2000, beside=pause)
    assert asked[0] == asked[1]


def test_different_rubbish_each_time_is_asked_for_again_until_it_is_a_page() -> None:
    script = [wrong_body(b"<html>%d</html>" % n) for n in range(6)]
    bench = Bench(pages=4, faults=ScriptedFaults(script))
    bench.run()
    harvested_once(bench)


def test_a_page_that_names_another_next_id_than_announced_drops_the_requests_ahead() -> None:
    lie = Override("lie", headers=(("X-Next-Change-Id", "9999999999-9999999999-9-9-9"),))
    slow_bodies = Latency(thinking=(0.2, 0.2), bytes_per_second=500)
    benches = [
        Bench(pages=30, faults=ScriptedFaults(script), latency=slow_bodies, policy=policy_until_caught_up(ahead=1))
        for script in ([], [None, lie])
    ]
    for bench in benches:
        bench.run()
        harvested_once(bench)
    honest, lied_to = benches
    assert "not what was announced" in lied_to.said()
    # A request ahead that nobody wants any more would keep the place of those that are wanted.
    assert lied_to.clock.elapsed < honest.clock.elapsed + 10


@pytest.mark.parametrize("status", [400, 404, 405, 422])
def test_a_refused_request_is_tried_three_times_at_most(status: int) -> None:
    refusal = answer(status, b'{"error":{"code":2,"message":"no"}}')
    bench = Bench(
        pages=10, faults=ScriptedFaults([None, None, *[refusal] * 20]), policy=policy_until_caught_up(ahead=0)
    )
    with pytest.raises(QueueStopped) as stopped:
        bench.run()
    assert sum(asked.status == status for asked in bench.api.truth.asked) <= 3
    assert stopped.value.todo
    assert bench.meter.state is QueueState.FAILED
    assert [s.page.change_id for s in bench.store.committed] == [c for c, _, _ in bench.expected_chain[:2]]


NO = b'{"error":{"code":2,"message":"no"}}'


@pytest.mark.parametrize(
    "between",
    [answer(500, b"{}"), answer(429, b"{}", ("Retry-After", "1")), edge(403), edge(521), reset()],
    ids=["500", "429", "edge 403", "edge 521", "reset"],
)
def test_other_failures_in_between_do_not_make_a_refusal_forgotten(between: Override) -> None:
    bench = Bench(pages=10, faults=ScriptedFaults([answer(404, NO), between] * 50))
    with pytest.raises(QueueStopped, match="refused the same request 3 times"):
        bench.run()
    assert sum(asked.status == 404 for asked in bench.api.truth.asked) == 3


@pytest.mark.parametrize("ahead", [0, 2])
def test_no_more_than_ten_refusals_an_hour_whatever_succeeds_in_between(ahead: int) -> None:
    policy = policy_until_caught_up(ahead=ahead)
    bench = Bench(pages=200, faults=ScriptedFaults([answer(404, NO), answer(404, NO), None] * 500), policy=policy)
    with pytest.raises(QueueStopped, match=r"refused 10 requests within an hour|refused the same request 3") as stopped:
        bench.run()
    assert stopped.value.todo
    assert sum(asked.status == 404 for asked in bench.api.truth.asked) <= 10 + ahead


def test_a_queue_that_is_opened_anew_counts_no_refusal_twice() -> None:
    clock = VirtualClock()
    budget = RefusalBudget(clock)
    for number in range(REFUSALS_AN_HOUR - 1):
        assert budget.remember([10.0] * number) == 0.0
        assert budget.count(Refused("HTTP 403", status=403)) == ""
        budget.answered()
        clock.elapsed += 10.0
    assert budget.count(Refused("HTTP 403", status=403))


def test_starting_again_and_again_asks_no_more_than_the_hour_bears() -> None:
    """As a service manager does with a harvest that stops: every start knows what was refused before it."""
    refused: list[float] = []
    now = Bench.START
    while now < Bench.START + 3 * 3600:
        bench = Bench(pages=10, faults=ScriptedFaults([answer(404, NO)] * 50), policy=policy_until_caught_up(ahead=0))
        bench.clock.elapsed = now - Bench.START
        bench.store.refused_before = tuple(at for at in refused if at > now - 3600)
        with contextlib.suppress(QueueStopped):
            bench.run(seconds=2000)
        refused += [asked.at for asked in bench.api.truth.asked if asked.status == 404]
        now = max(now, bench.clock.now()) + 20

    per_hour = [sum(at <= other < at + 3600 for other in refused) for at in refused]
    assert max(per_hour) <= 20
    assert max(count for at, count in zip(refused, per_hour, strict=True) if at > Bench.START + 3600) <= 11
    assert len(refused) >= 25, "it is still asked now and then"


def test_refusals_that_are_rare_do_not_stop_a_queue() -> None:
    faults = ScriptedFaults([answer(404, NO), *[None] * 30] * 40)
    river = River(3, "pc", 0.0, pages=900, stashes_per_page=1, items_per_stash=1.0)
    bench = Bench(river=river, faults=faults, latency=Latency(thinking=(25.0, 25.0)))
    bench.run(seconds=6 * 3600)
    assert sum(asked.status == 404 for asked in bench.api.truth.asked) > 10


def test_refusals_of_the_edge_have_a_slower_limit() -> None:
    bench = Bench(pages=200, faults=ScriptedFaults([edge(403), None] * 500), policy=policy_until_caught_up(ahead=0))
    with pytest.raises(QueueStopped, match="20 requests were refused within an hour"):
        bench.run()
    assert sum(asked.status == 403 for asked in bench.api.truth.asked) == 20


def test_an_edge_that_refuses_all_day_is_waited_out_slowly() -> None:
    bench = Bench(pages=10, faults=ScriptedFaults([edge(403)] * 500))
    bench.run(seconds=86400)
    assert 30 < sum(asked.status == 403 for asked in bench.api.truth.asked) < 60


def test_a_401_that_each_new_token_cures_is_not_looped_on() -> None:
    faults = ScriptedFaults([answer(401, NO), None] * 500)
    bench = Bench(pages=200, faults=faults, policy=policy_until_caught_up(ahead=0))
    with pytest.raises(QueueStopped, match="refuses us: HTTP 401") as stopped:
        bench.run()
    assert "OAuth client" in stopped.value.todo
    assert sum(asked.status == 401 for asked in bench.api.truth.asked) == 4


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_stop_the_queue_at_once(status: int) -> None:
    refusal = answer(status, b'{"error":{"code":8,"message":"no"}}')
    bench = Bench(pages=10, faults=ScriptedFaults([None, *[refusal] * 20]), policy=policy_until_caught_up(ahead=0))
    with pytest.raises(QueueStopped, match="refuses"):
        bench.run()
    assert sum(asked.status == status for asked in bench.api.truth.asked) <= 2


def test_a_client_that_is_refused_says_that_a_start_is_needed() -> None:
    bench = Bench(pages=10)
    bench.api.tokens.client_secret = "another"
    with pytest.raises(QueueStopped, match="The OAuth client was refused: mend POE_OAUTH_CLIENT_SECRET") as stopped:
        bench.run()
    assert stopped.value.misconfigured
    assert "Start again: space in the app" in stopped.value.todo
    assert bench.stash_requests == []


def test_a_store_that_is_away_lets_pages_collect_and_takes_them_in_order_when_it_is_back() -> None:
    bench = Bench(pages=40)
    away = lambda _seq: StoreError(StoreFault.UNREACHABLE, "refused") if 5 < bench.clock.elapsed < 60 else None  # noqa: E731
    bench.store.fail_commit = away
    states: set[QueueState] = set()

    async def watch(bench: Bench) -> None:
        while True:
            await bench.clock.sleep(1)
            states.add(bench.meter.state)

    bench.run(beside=watch)
    harvested_once(bench)
    assert QueueState.STORE_LOST in states
    assert "pages collect in the spool" in bench.said()
    assert "recovered" in bench.said()


def test_a_full_spool_stops_asking_and_loses_nothing() -> None:
    bench = Bench(pages=40, spool_bytes=1)
    bench.store.fail_commit = lambda _seq: (
        StoreError(StoreFault.UNREACHABLE, "refused") if bench.clock.elapsed < 300 else None
    )
    held: list[int] = []

    async def watch(bench: Bench) -> None:
        while True:
            await bench.clock.sleep(5)
            held.append(bench.store.spool_pages)

    bench.run(beside=watch)
    harvested_once(bench)
    assert max(held) <= 4
    assert "the spool is full" in bench.said()


def test_a_disk_that_refuses_is_waited_out_with_the_page_in_hand() -> None:
    bench = Bench(pages=10)
    bench.store.fail_put = lambda _seq: OSError(28, "No space left on device") if 3 < bench.clock.elapsed < 40 else None
    bench.run()
    harvested_once(bench)
    assert "No space left on device" in bench.said()
    assert "the spool cannot be written: No space left on device in /spool/psapi_pc — try 2 in " in bench.said()
    assert " — Make room there, or move POE_SPOOL_DIR; it goes on by itself." in bench.said()


@pytest.mark.parametrize("when", ["put", "commit", "open"])
def test_a_disk_that_refuses_is_named_with_what_helps(when: str) -> None:
    bench = Bench(pages=4)
    broken = [OSError(errno.EROFS, "Read-only file system", "/elsewhere/psapi_pc.json")]
    if when == "put":
        bench.store.fail_put = lambda _seq: broken.pop() if broken else None
    elif when == "commit":
        bench.store.fail_commit = lambda _seq: broken.pop() if broken else None
    else:
        bench.store.fail_open = lambda: broken.pop() if broken else None
    bench.run()

    (told,) = [event for event in bench.events.tail(100) if event.level is Level.WARNING]
    assert told.what.endswith(": Read-only file system in /elsewhere")
    assert told.todo == "Mend the disk or its rights there; it goes on by itself."


def test_a_page_that_the_store_refuses_for_good_is_set_aside_and_the_queue_goes_on() -> None:
    bench = Bench(pages=8)
    bench.store.fail_commit = lambda seq: StoreError(StoreFault.DATA, "Code: 117") if seq == 3 else None
    bench.run()
    assert bench.store.given_up == [3]
    assert [s.seq for s in bench.store.committed] == [1, 2, 4, 5, 6, 7, 8]
    assert bench.meter.set_aside == 1


def test_a_schema_that_is_wrong_never_sets_pages_aside() -> None:
    bench = Bench(pages=8)
    bench.store.fail_commit = lambda _seq: StoreError(StoreFault.NO_TABLE, "Code: 60")
    bench.run(seconds=600)
    assert bench.store.given_up == []
    assert bench.store.spool_pages == 8


def test_a_store_that_cannot_be_opened_yet_is_waited_for() -> None:
    bench = Bench(pages=4)
    bench.store.fail_open = lambda: StoreError(StoreFault.UNREACHABLE, "refused") if bench.clock.elapsed < 100 else None
    bench.run()
    harvested_once(bench)
    assert bench.clock.elapsed < 200


def test_at_the_end_of_the_stream_it_asks_from_time_to_time_and_writes_it_every_ten_seconds_at_most() -> None:
    bench = Bench(pages=3, policy=policy_until_caught_up(until_caught_up=False, poll_interval=2.0))
    bench.run(seconds=120)
    times = [at for at, _, _ in bench.store.ends]
    assert 10 <= len(times) <= 13
    assert all(later - earlier >= 10 for earlier, later in pairwise(times))
    assert bench.meter.last_progress_at is not None
    assert bench.clock.now() - bench.meter.last_progress_at < 3


def test_a_river_that_grows_again_is_followed() -> None:
    river = River(3, "pc", 1_767_225_600.0, stash_rate=0.2, stashes_per_page=3, items_per_stash=1.0, empty_pages=0.0)
    bench = Bench(river=river, policy=policy_until_caught_up(until_caught_up=False))
    bench.run(seconds=3600)
    changes = bench.committed_chain
    assert len(changes) > 100
    assert all(before[1] == after[0] for before, after in pairwise(changes))
    assert bench.api.truth.broken == []


def test_stopping_takes_no_time_even_with_a_request_that_hangs() -> None:
    stuck = Override("stuck", silent=True, ending=Ending.STUCK)
    bench = Bench(pages=30, faults=ScriptedFaults([None, None, None, stuck, stuck, stuck]))
    bench.run(seconds=5)
    assert bench.clock.elapsed < 5.1
    assert bench.meter.state is QueueState.STOPPED
    assert bench.committed_chain == bench.expected_chain[: len(bench.committed_chain)]


def test_paused_it_asks_nothing_and_goes_on_when_told() -> None:
    bench = Bench(pages=40)
    asked: list[int] = []

    async def pause(bench: Bench) -> None:
        await bench.clock.sleep(5)
        assert bench.worker is not None
        bench.worker.pause()
        await bench.clock.sleep(5)
        asked.append(len(bench.stash_requests))
        assert bench.meter.state is QueueState.PAUSED
        await bench.clock.sleep(100)
        asked.append(len(bench.stash_requests))
        bench.worker.resume()
        await asyncio.Event().wait()

    bench.run(beside=pause)
    harvested_once(bench)
    assert asked[0] == asked[1]


def stream(*next_ids: str) -> ReplayedPages:
    """Small pages, each asked with the id that the one before it names."""
    pages = [
        f'{{"next_change_id":"{to}","stashes":[{{"id":"{n}","public":false,"items":[]}}]}}'
        for n, to in enumerate(next_ids)
    ]
    return ReplayedPages([page.encode() for page in pages])


def test_a_page_that_leads_back_is_followed_when_it_comes_three_times_the_same() -> None:
    bench = Bench(river=stream("5-5", "2-2", "3-3"))  # type: ignore[arg-type]
    bench.run()
    assert [s.page.change_id for s in bench.store.committed] == ["", "5-5", "2-2"]
    assert [record.change_id for record in bench.stash_requests].count("5-5") == 3
    assert bench.meter.caught_up


@pytest.mark.parametrize("next_ids", [("5-5", "7-7", "5-5"), ("5-5", "3-3", "5-5")])
def test_a_stream_that_runs_in_circles_doubles_nothing_and_says_so(next_ids: tuple[str, ...]) -> None:
    bench = Bench(river=stream(*next_ids))  # type: ignore[arg-type]
    bench.run(seconds=3600)
    asked = [s.page.change_id for s in bench.store.committed]
    assert asked == sorted(set(asked), key=asked.index)
    assert len(asked) == 2
    assert "stored already" in bench.said()
    assert bench.meter.trouble is not None


@pytest.mark.parametrize("fault", [StoreFault.OVERTAKEN, StoreFault.LEASED])
def test_a_queue_that_another_harvester_has_taken_is_opened_anew_and_asks_nothing_meanwhile(fault: StoreFault) -> None:
    bench = Bench(pages=12)
    taken = [StoreError(fault, "elsewhere, process 7")]
    held = [StoreError(StoreFault.LEASED, "run by elsewhere, process 7")] * 5
    opened: list[float] = []

    def fail_commit(seq: int) -> Exception | None:
        return taken.pop() if seq == 4 and taken else None

    def fail_open() -> Exception | None:
        opened.append(bench.clock.now())
        return held.pop() if len(opened) > 1 and held else None

    bench.store.fail_commit = fail_commit
    bench.store.fail_open = fail_open
    bench.run()
    harvested_once(bench)
    assert len(opened) == 7
    waits = [after - before for before, after in pairwise(opened[1:])]
    assert max(waits) <= 3.0, "a look is cheap, and the lease has run out by then"
    during = [r for r in bench.stash_requests if opened[1] < r.requested_at < opened[-1]]
    assert during == []
    assert "takes over by itself" in bench.said()


def test_a_queue_that_is_lost_at_the_end_of_the_stream_is_opened_anew_and_asked_by_nobody_twice() -> None:
    bench = Bench(pages=3)
    lost = [StoreError(StoreFault.OVERTAKEN, "the lease ran out")]
    bench.store.fail_end = lambda: lost.pop() if lost else None

    bench.run()

    harvested_once(bench)
    assert bench.store.opened == 2
    (event,) = [event for event in bench.events.tail(100) if "lease" in event.what]
    assert event.line() == (
        "psapi:pc: the lease was not held for a while: the lease ran out — nothing is lost: the queue is opened anew,"
        " and goes on from where the store stands"
    )
    assert event.level is Level.INFO
