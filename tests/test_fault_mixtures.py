"""Every fault alone and seeded mixtures of all, in virtual time, through the real worker, chain, client and pacer.

`make soak` plays 500 mixtures; `FAULT_MIXTURES` sets how many are played here.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from harvester.events import Level
from harvester.model import Outcome, SpooledPage
from harvester.queue_worker import QueueStopped
from harvester.simulator.answers import Latency
from harvester.simulator.edge_guard import EdgeGuard
from harvester.simulator.fault_plan import KINDS, NAMES, FaultPlan, Spell
from harvester.simulator.neighbours import NoisyNeighbour
from harvester.simulator.river import EndOfStream, River
from harvester.simulator.rules import OBSERVED_GROWTH, STASH_POLICY, Policy
from harvester.simulator.windows import bucketed, fixed, sliding
from harvester.snapshot import Trouble
from harvester.store.errors import StoreError, StoreFault
from tests.worker_bench import Bench, policy_until_caught_up

PAGES = 45
EVENTS_KEPT = 20_000
STORE_FAULTS: dict[str, StoreFault] = {
    "store unreachable": StoreFault.UNREACHABLE,
    "store disk full": StoreFault.DISK_FULL,
    "store refused": StoreFault.CREDENTIALS,
    "store not allowed": StoreFault.NOT_ALLOWED,
    "store too many parts": StoreFault.TOO_MANY_PARTS,
}
AWAY_NAMES = (
    *STORE_FAULTS,
    "store slow",
    "store timeout after commit",
    "store refuses one page",
    "disk full",
    "disk slow",
    "disk torn",
)


@dataclass
class Trial:
    """One harvest under a plan, restarted by a patient operator whenever the queue stops."""

    bench: Bench
    plan: FaultPlan
    stops: list[tuple[float, QueueStopped]] = field(default_factory=list)
    sent: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """Every whole body with status 200, by the cursor it was asked with."""
    shown: list[tuple[float, Trouble]] = field(default_factory=list)
    """The trouble that a Snapshot would show, every other second."""
    held: list[tuple[float, float]] = field(default_factory=list)
    """When a Snapshot would show a request that waits for its turn, and when it would say that this comes."""

    listening: bool = False

    def play(self) -> Trial:
        bench = self.bench
        self.listen()
        for _ in range(30):
            try:
                bench.run(seconds=4 * 3600, beside=_until_done(self))
            except QueueStopped as stop:
                self.stops.append((bench.clock.now(), stop))
                bench.clock.elapsed += 900  # the operator reads, mends and starts again
                continue
            break
        return self

    def listen(self) -> None:
        """Keep what the API sends from now on, and all events."""
        if self.listening:
            return
        self.listening, bench = True, self.bench
        bench.events._events = type(bench.events._events)(maxlen=EVENTS_KEPT)
        handle = bench.api.handle

        async def listening(method: str, path: str, query: object = (), headers: object = None, body: bytes = b""):  # type: ignore[no-untyped-def]
            answer = await handle(method, path, query, headers, body)  # type: ignore[arg-type]
            if answer.status == 200 and "stash" in path:
                told, content = dict(answer.headers), answer.body
                if told.get("Content-Encoding") == "gzip":
                    try:
                        content = gzip.decompress(content)
                    except (OSError, EOFError, zlib.error):
                        return answer
                self.sent[dict(query).get("id", "")].add(content)  # type: ignore[call-overload]
            return answer

        bench.api.handle = listening  # type: ignore[method-assign]

    # What must hold -------------------------------------------------------------------------------------------------

    def check(self) -> None:
        self.everything_is_there_once()
        self.no_4xx_loop()
        self.no_wait_without_a_reason()
        self.back_soon_after()
        assert all(stop.todo for _, stop in self.stops)
        assert self.bench.api.truth.complaints == []
        if self.bench.api.guard is not None:
            assert self.bench.api.guard.bans == 0

    def everything_is_there_once(self) -> None:
        bench = self.bench
        pages = [*bench.store.committed, *bench.store.set_aside, *bench.store.spooled.values()]
        pages.sort(key=lambda spooled: spooled.seq)
        assert [spooled.seq for spooled in pages] == list(range(1, len(pages) + 1))
        assert pages[0].page.change_id == ""
        for before, after in pairwise(pages):
            assert after.page.change_id == before.page.next_change_id
        for spooled in pages:
            self._right(spooled)
        assert _place(pages[-1].page.next_change_id) == _place(bench.river.head(bench.clock.now() + 1e6))
        place = {page.change_id: _place(page.next_change_id) for page in bench.api.truth.published}
        assert max(place.values()) <= _place(pages[-1].page.next_change_id)

    def _right(self, spooled: SpooledPage) -> None:
        page = spooled.page
        assert page.body in self.sent[page.change_id], "bytes that were never sent"
        if not page.rejected:
            names = json.loads(page.body)
            assert names["next_change_id"] == page.next_change_id
            if page.change_id:  # as many changes as the cursor moves: nothing skipped, nothing twice
                assert len(names["stashes"]) == _place(page.next_change_id) - _place(page.change_id)
        elif page.change_id:
            assert _place(page.next_change_id) > _place(page.change_id)

    def no_4xx_loop(self) -> None:
        asked = self.bench.api.truth.asked
        in_a_row = 0
        for request in asked:
            refused = 400 <= request.status < 500 and request.status != 429 and "1015" not in request.fault
            in_a_row = in_a_row + 1 if refused and request.fault != "challenge" else 0
            assert in_a_row <= 3, request
            if any(abs(at - request.at) < 600 for at, _ in self.stops):
                in_a_row = 0 if in_a_row == 3 else in_a_row
        refusals = [request.at for request in asked if 400 <= request.status < 500]
        for first, fourth in zip(refusals, refusals[3:], strict=False):
            assert fourth - first > 20, [request for request in asked if first <= request.at <= fourth]

    def no_wait_without_a_reason(self) -> None:
        bench = self.bench
        told = [event for event in bench.events.tail(EVENTS_KEPT) if event.then or event.todo]
        stops = [at for at, _ in self.stops]
        progress = [spooled.page.fetched_at for spooled in (*bench.store.committed, *bench.store.set_aside)]
        records = sorted(bench.records, key=lambda record: record.requested_at)
        ended = 0.0
        for before, after in pairwise(records):
            ended = max(ended, before.requested_at + before.response_ms / 1000)  # several are in flight
            if after.requested_at - ended < 5 or any(ended - 1 <= at <= after.requested_at for at in stops):
                continue
            moved = max((at for at in progress if at <= ended + 1), default=0.0)
            reasons: list[object] = [
                event
                for event in told
                if ended - 40 <= event.at <= after.requested_at
                or ("asking again" in event.then and moved - 1 <= event.at <= ended + 1)
            ]
            # The repeats of a failure are told at growing intervals; the Snapshot shows each, and when the next try is.
            reasons += [
                trouble
                for at, trouble in self.shown
                if ended <= at <= after.requested_at
                and (trouble.next_try_at is None or abs(trouble.next_try_at - after.requested_at) < 3)
            ]
            # So is a request that the limits hold back: the pacer's Snapshot says how long.
            reasons += [
                until
                for at, until in self.held
                if ended <= at <= after.requested_at and until <= after.requested_at + 1
            ]
            assert reasons, f"nothing was said between {ended:.0f} and {after.requested_at:.0f}: {before}"

    def back_soon_after(self) -> None:
        """The first good page comes within one back-off after the last fault, as it was announced."""
        bench = self.bench
        struck = [request.at for request in bench.api.truth.asked if request.fault]
        good = [
            r.requested_at + r.response_ms / 1000
            for r in bench.records
            if r.outcome is Outcome.OK and "stash" in r.endpoint
        ]
        for last in struck:
            following = [at for at in struck if at > last]
            back = next((at for at in good if at >= last), None)
            if back is None or (following and following[0] <= back):
                continue
            if any(last <= at <= back for at, _ in self.stops):
                continue
            waits = [wait for at, wait in _announced(bench) if last - 1 <= at <= back]
            waits += [shown.next_try_at - last for at, shown in self.shown if last <= at <= back and shown.next_try_at]
            # On top of the pause that was announced: a request that hangs (its body may for two minutes), the token.
            allowed = max([*waits, 0]) + 160
            assert back - last <= allowed, (_faults_at(bench, last), back - last, waits)


def _faults_at(bench: Bench, at: float) -> str:
    return " ".join(f"{asked.fault} {asked.status}" for asked in bench.api.truth.asked if asked.at == at)


def _announced(bench: Bench) -> list[tuple[float, float]]:
    found = []
    for event in bench.events.tail(EVENTS_KEPT):
        match = re.search(r"(?:try \d+|again) in (\d+) s", event.then)
        if match:
            found.append((event.at, float(match[1])))
    return found


def _place(cursor: str) -> int:
    return sum(int(part) for part in cursor.split("-"))


def _until_done(trial: Trial) -> Callable[[Bench], object]:
    """Ends the run when the river is in the store and the plan has nothing more to play."""

    async def watch(bench: Bench) -> None:
        head = bench.river.head(bench.clock.now() + 1e6)
        while True:
            await bench.clock.sleep(2)
            if bench.meter.trouble is not None:
                trial.shown.append((bench.clock.now(), bench.meter.trouble))
            for pacer in bench.book.snapshots() if bench.book else ():
                if pacer.waiting and pacer.next_slot_seconds:
                    trial.held.append((bench.clock.now(), bench.clock.now() + pacer.next_slot_seconds))
            caught = (
                bench.meter.caught_up
                and _place(bench.meter.next_cursor or "0") == _place(head)
                and not bench.store.spooled
            )
            if caught and bench.clock.now() > trial.plan.start + LAST:
                bench.finish()

    return watch


LAST = 30.0
"""Seconds after which a plan without spells left may end."""


def trial(
    seed: int, spells: list[Spell] | None = None, away: tuple[str, ...] = (), *, memory: Path, pages: int = PAGES
) -> Trial:
    """A harvest with these spells, or with a mixture, and with these troubles of store and disk."""
    dice = Random(f"trial {seed}")
    latency = Latency(
        upstream=(0.02, 0.02 + dice.uniform(0, 0.2)),
        thinking=(0.05, 0.05 + dice.uniform(0, 0.4)),
        bytes_per_second=dice.choice((0, 3_000, 20_000)),
    )
    start = Bench.START
    river = River(
        seed,
        "pc",
        start,
        pages=pages,
        stashes_per_page=3,
        items_per_stash=0.5,
        empty_pages=0.0,
        population=60,
        end=dice.choice(list(EndOfStream)),
        stash_rate=dice.choice((None, 1.5)),
        backlog_pages=pages // 2,
        delay=dice.choice((0.0, 300.0)),
    )
    bench = Bench(
        river=river,
        latency=latency,
        policy=policy_until_caught_up(until_caught_up=False, ahead=dice.randrange(3)),
        guard=EdgeGuard(),
        rules=_rules(seed) if spells is None else None,
        memory=memory,
        max_body=1 << 20,
        spool_bytes=dice.choice((float("inf"), 20_000)),
    )
    revoke = bench.api.tokens.revoke
    if spells is None:
        plan = FaultPlan.mixture(seed, start, 60, revoke=revoke)
    else:
        plan = FaultPlan(seed, spells, start, revoke)
    bench.api.faults = plan
    for name in away:
        _go_away(bench, name, dice)
    return Trial(bench, plan)


def _rules(seed: int) -> Policy:
    """The limits of a mixture: any kind of window, growing restrictions, a neighbour, other rules in mid-stream."""
    dice = Random(f"rules {seed}")
    start = Bench.START
    window = dice.choice((sliding(), sliding(), fixed(dice.uniform(0, 60)), bucketed(1.0, dice.uniform(0, 60))))
    changes = [(start + dice.uniform(5, 60), {"Ip": ["3:2:60", "20:30:60"], "Client": ["30:60:60"]})]
    return Policy(
        STASH_POLICY,
        {"Ip": ["2:1:60"]},
        window,
        growth=OBSERVED_GROWTH if dice.random() < 0.5 else (),
        neighbour=NoisyNeighbour(seed, 0.02, start) if dice.random() < 0.3 else None,
        changes=changes if dice.random() < 0.4 else (),
    )


def _go_away(bench: Bench, name: str, dice: Random) -> None:
    """Trouble of the store or the disk, for a while."""
    store, clock = bench.store, bench.clock
    begin = dice.uniform(0, 20)
    end = begin + dice.uniform(5, 200)

    def now() -> bool:
        return begin <= clock.elapsed < end

    if name in STORE_FAULTS:
        error = StoreError(STORE_FAULTS[name], name)
        store.fail_commit = lambda _seq: error if now() else None
        store.fail_open = lambda: error if now() and error.retryable else None
    elif name == "store slow":
        store.commit_seconds = dice.uniform(0.5, 6)
    elif name == "store timeout after commit":
        struck = {dice.randrange(1, 20) for _ in range(4)}
        store.fail_after_commit = lambda seq: (
            StoreError(StoreFault.TIMEOUT, "timed out") if seq in struck and not struck.discard(seq) else None
        )
    elif name == "store refuses one page":
        bad = dice.randrange(1, 15)
        store.fail_commit = lambda seq: StoreError(StoreFault.PROOF, "Code: 395") if seq == bad else None
        store.fail_give_up = lambda _seq: StoreError(StoreFault.UNREACHABLE, "just now") if now() else None
    elif name == "disk full":
        store.fail_put = lambda _seq: OSError(28, "No space left on device") if now() else None
    elif name == "disk slow":
        store.put_seconds = lambda: dice.uniform(0, 8) if now() else 0.0
    elif name == "disk torn":
        store.tear = lambda _seq: now() and dice.random() < 0.5
    else:
        raise ValueError(name)


@pytest.mark.parametrize("name", NAMES)
def test_each_fault_of_the_api_alone(name: str, tmp_path: Path) -> None:
    for seed in range(2):
        plan = FaultPlan.alone(name, seed, Bench.START, at=2.0 + seed)
        played = trial(seed, list(plan.spells), memory=tmp_path / str(seed)).play()
        played.check()
        assert any(spell.began_at is not None for spell in played.plan.spells), "the fault never struck"
        assert bool(played.stops) == (name in KINDS and KINDS[name].stops)


@pytest.mark.parametrize("name", AWAY_NAMES)
def test_each_trouble_of_store_and_disk_alone(name: str, tmp_path: Path) -> None:
    for seed in range(2):
        played = trial(seed, [], (name,), memory=tmp_path / str(seed)).play()
        played.check()
        assert played.stops == []
        assert (len(played.bench.store.given_up) == 1) == (name == "store refuses one page")


def mixture(seed: int, directory: Path) -> Trial:
    """Two to six spells, and in half of all cases trouble of the store or the disk."""
    dice = Random(f"away {seed}")
    away = tuple(dice.sample(AWAY_NAMES, dice.choice((0, 0, 1, 1, 2))))
    played = trial(seed, None, away, memory=directory / str(seed)).play()
    try:
        played.check()
    except AssertionError as error:
        spells = "; ".join(f"{spell.at:.0f} s {spell.name}" for spell in played.plan.spells)
        raise AssertionError(f"mixture {seed} ({spells}; {', '.join(away)}): {error}") from error
    return played


@pytest.mark.parametrize("first", range(0, int(os.environ.get("FAULT_MIXTURES", "10")), 10))
def test_mixtures_of_all_faults(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 10):
        mixture(seed, tmp_path)


def test_the_proof_sees_a_loop_over_old_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harvester.feeds.public_stash.goes_back", lambda *_: False)
    monkeypatch.setattr("harvester.fetch_chain.goes_back", lambda *_: False)
    with pytest.raises(AssertionError):
        trial(1, [Spell("id going back", 3.0)], memory=tmp_path).play().everything_is_there_once()


def test_the_api_coming_back_does_not_say_that_the_store_is(tmp_path: Path) -> None:
    played = trial(2, [Spell("500", 30.0, strikes=4)], memory=tmp_path)
    bench = played.bench
    bench.store.fail_commit = lambda _seq: (
        StoreError(StoreFault.UNREACHABLE, "refused") if bench.clock.elapsed < 300 else None
    )
    played.play().check()
    recovered = [event for event in bench.events.tail(EVENTS_KEPT) if "recovered" in event.what]
    assert all(("ClickHouse" in event.what) == (event.at > Bench.START + 300) for event in recovered)
    assert len([event for event in recovered if "ClickHouse" in event.what]) == 1


def test_an_event_says_that_a_page_leads_back(tmp_path: Path) -> None:
    played = trial(1, [Spell("id going back", 3.0)], memory=tmp_path).play()
    events = [event for event in played.bench.events.tail(EVENTS_KEPT) if "leads back" in event.what]
    assert [event.level for event in events] == [Level.WARNING]
    assert "try 2 in" in events[0].then


def test_a_restriction_that_is_older_than_the_process_is_told_and_kept(tmp_path: Path) -> None:
    locked = Trial(Bench(pages=5, memory=tmp_path), FaultPlan(1, [Spell("429", 1.0)], Bench.START))
    locked.bench.api.faults = locked.plan
    locked.bench.run(seconds=3)
    again = Bench(pages=5, memory=tmp_path)
    again.clock.elapsed = locked.bench.clock.elapsed
    again.run()
    event, end = (event for event in again.events.tail(100) if "restriction" in event.what)
    assert end.what == f"recovered: {event.what}"
    assert re.fullmatch(r"asking again in \d+ s", event.then)
    struck = locked.plan.spells[0].ended_at
    assert struck is not None
    assert min(asked.at for asked in again.api.truth.asked if "stash" in asked.path) - struck >= 20
