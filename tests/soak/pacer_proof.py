"""The pacer's arithmetic against the rule engine, in a loop of events without HTTP and without a task.

A request leaves when `Pace` allows it, arrives after the upstream latency, is judged by the simulator's own rules, and
its headers are back after the downstream latency. Every refusal is judged too. It is *ours* when what we could know was
already enough: our own requests, and whatever the States that had come back before ours left had counted. It is *early*
when it left under a restriction that we had been told of. All else is a neighbour whom nobody could have foreseen, or a
rule of which no answer had told yet.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter as Tally
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from harvester.api.pace import Pace
from harvester.api.restrictions import RestrictionFile, SavedLimits, SavedPolicy
from harvester.api.window import Hit
from harvester.model import Limits, Rule, Triplet
from harvester.simulator.neighbours import NoisyNeighbour
from harvester.simulator.rules import OBSERVED_GROWTH, Policy, WindowKind
from harvester.simulator.windows import bucketed, fixed, sliding

_HOUR = 3_600.0
_KEPT = 2_000.0
"""Seconds of hits remembered for judging: more than any period with its bucket."""

Rules = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Case:
    """One stretch of simulated time."""

    window: str
    rules: Rules
    seed: int
    hours: float
    base: float = 0.15
    """Seconds each way at least."""
    jitter: float = 0.0
    """Up to so many seconds more, each way, evenly spread."""
    callers: int = 1
    neighbour: float = 0.0
    """Foreign requests a second."""
    burst: int = 1
    changes: tuple[tuple[float, Rules], ...] = ()
    restarts: int = 0
    growth: bool = True
    """Restrictions grow on repeats."""
    losses: float = 0.0
    """Share of requests whose answer never comes."""

    @property
    def latency(self) -> str:
        """As the table names it."""
        return f"{2000 * self.base:.0f} ms" + (f" + 2 x 0-{1000 * self.jitter:.0f}" if self.jitter else "")

    @property
    def ideal(self) -> float:
        """Requests a second that the tightest triplet allows."""
        return min(
            int(text.split(":")[0]) / float(text.split(":")[1]) for triplets in self.rules.values() for text in triplets
        )


@dataclass
class Outcome:
    """What came of a case, or of several."""

    hours: float = 0.0
    requests: int = 0
    possible: float = 0.0
    refused: int = 0
    """429s of all causes."""
    learning: int = 0
    """Refusals of ours forgiven: the first of a policy with buckets."""
    ours: int = 0
    early: int = 0
    worst: list[str] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests answered, as a share of hits ÷ period; the time under restrictions counts."""
        return self.requests / self.possible if self.possible else math.nan

    def add(self, other: Outcome) -> None:
        """Sum up."""
        self.hours += other.hours
        self.requests += other.requests
        self.possible += other.possible
        self.refused += other.refused
        self.learning += other.learning
        self.ours += other.ours
        self.early += other.early
        self.worst += other.worst


class _Watched:
    """A neighbour whose requests are also told to the judge."""

    def __init__(self, neighbour: NoisyNeighbour, log: deque[tuple[float, bool]]) -> None:
        self._neighbour = neighbour
        self._log = log

    def hits_until(self, now: float) -> list[float]:
        hits = self._neighbour.hits_until(now)
        self._log.extend((at, False) for at in hits)
        return hits


class Simulation:
    """One case, played."""

    def __init__(self, case: Case, scratch: Path | None = None) -> None:
        """`scratch`: a directory through which restarts pass on what must outlive them."""
        self._case = case
        self._dice = Random(f"pacer {case.seed}")
        self._log: deque[tuple[float, bool]] = deque()
        noise = NoisyNeighbour(case.seed, case.neighbour, burst=case.burst) if case.neighbour else None
        self._policy = Policy(
            "proof",
            case.rules,
            kind_of(case.window, case.seed),
            growth=OBSERVED_GROWTH if case.growth else (),
            neighbour=_Watched(noise, self._log) if noise else None,
            changes=case.changes,
        )
        self._file = RestrictionFile(scratch) if scratch else None
        self._pace = Pace()
        self._seen_until = -math.inf
        """Arrival of the newest request whose State has come back."""
        self._told_locked_until = -math.inf
        self._told_rules: tuple[tuple[str, str], ...] = ()
        self.outcome = Outcome(hours=case.hours)

    def run(self) -> Outcome:
        """Play it to its end."""
        case, pace, outcome = self._case, self._pace, self.outcome
        end = case.hours * _HOUR
        restarts = deque(sorted(self._dice.uniform(0, end) for _ in range(case.restarts)))
        # (when, order, arrives?, hit, left, what was known then, answer)
        flights: list[tuple[float, int, bool, Hit, tuple[float, float, tuple[tuple[str, str], ...]], object]] = []
        order = itertools.count()
        idle, now = case.callers, self._dice.random()
        while now < end:
            if restarts and now >= restarts[0]:
                restarts.popleft()
                self._pace = pace = self._restarted(pace, now)
                idle = case.callers
                flights = [flight for flight in flights if flight[2]]  # they arrive, and nobody reads the answer
            leave = max(now, pace.earliest(now)) if idle else math.inf
            due = flights[0][0] if flights else math.inf
            if leave <= due:
                if leave == math.inf:
                    raise RuntimeError("the pacer waits for an answer that nobody owes")
                now = leave
                hit = pace.grant(now)
                pace.sent(hit, now)
                idle -= 1
                known = (self._seen_until, self._told_locked_until, self._told_rules)
                arrival = now + case.base + self._dice.random() * case.jitter
                heapq.heappush(flights, (arrival, next(order), True, hit, known, pace))
                continue
            now, _, arrives, hit, known, what = heapq.heappop(flights)
            if arrives:
                limits, status, rules = self._arrive(now, known)
                if what is not pace:
                    continue
                back = now + case.base + self._dice.random() * case.jitter
                lost = case.losses and self._dice.random() < case.losses
                answer = None if lost else (limits, status, now, rules)
                heapq.heappush(flights, (now + 30.0 if lost else back, next(order), False, hit, known, answer))
                continue
            idle += 1
            if what is None:
                pace.failed(hit, now)
                continue
            limits, status, arrived, rules = what  # type: ignore[misc]
            pace.answered(hit, limits, status, now)
            if arrived > self._seen_until:
                self._seen_until, self._told_rules = arrived, rules
            if limits.retry_after:
                self._told_locked_until = max(self._told_locked_until, arrived + limits.retry_after - 1)
            outcome.requests += 1
        outcome.possible = end * case.ideal
        return outcome

    def _arrive(
        self, now: float, known: tuple[float, float, tuple[tuple[str, str], ...]]
    ) -> tuple[Limits, int, tuple[tuple[str, str], ...]]:
        broken = self._policy.count(now)
        log = self._log
        log.append((now, True))
        while log[0][0] < now - _KEPT:
            log.popleft()
        rules, told = [], []
        for name, counters in self._policy.counters.items():
            triplets = []
            for counter in counters:
                limit = counter.limit
                told.append((name, str(limit)))
                triplets.append(
                    Triplet(limit.hits, int(limit.period), int(limit.restriction), counter.used, counter.active(now))
                )
            rules.append(Rule(name, tuple(triplets)))
        if not broken:
            return Limits("proof", tuple(rules)), 200, tuple(told)
        self._judge(now, known)
        return Limits("proof", tuple(rules), float(self._policy.retry_after(now))), 429, tuple(told)

    def _judge(self, now: float, known: tuple[float, float, tuple[tuple[str, str], ...]]) -> None:
        seen_until, told_locked_until, told_rules = known
        outcome = self.outcome
        outcome.refused += 1
        if now < told_locked_until:
            outcome.early += 1
            return
        counters = [(name, counter) for name, counters in self._policy.counters.items() for counter in counters]
        if tuple((name, str(counter.limit)) for name, counter in counters) != told_rules:
            return
        ours = False
        for _, counter in counters:
            if counter.locked_until < now or counter.locked_until > now + counter.lock_seconds - 1e-9:
                # Not locked before: broken by this request, if at all.
                since = counter.window.since(now)
                enough = sum(at >= since and (own or at <= seen_until) for at, own in self._log)
                if counter.used > counter.limit.hits and enough > counter.limit.hits:
                    ours = True
                    outcome.worst.append(f"{self._case.window} {counter.limit} seed {self._case.seed} at {now:.1f}")
        if ours:
            if self._case.window.startswith("bucketed") and outcome.learning == 0:
                outcome.learning = 1
                outcome.worst.pop()
            else:
                outcome.ours += 1

    def _restarted(self, pace: Pace, now: float) -> Pace:
        """A new process: what it knows has passed through the file."""
        left = max(0.0, pace.blocked_until - now)
        bare = tuple(
            Rule(rule.name, tuple(replace(triplet, used=None, active_restriction=0) for triplet in rule.triplets))
            for rule in pace.rules
        )
        saved = SavedPolicy(now + left if left > 0 else 0.0, left, bare, pace.learned)
        if self._file is not None:
            self._file.save(SavedLimits({"proof": saved}))
            limits, warning = self._file.load()
            assert warning is None
            saved = limits.policies["proof"]
        fresh = Pace()
        remaining = saved.left_at(now)
        fresh.resume(saved.rules, now + remaining if remaining > 0 else -math.inf, now, saved.learned)
        self._seen_until = -math.inf
        return fresh


KINDS: tuple[tuple[str, Rules, tuple[str, ...]], ...] = (
    ("2:1", {"Ip": ["2:1:60"]}, ("sliding", "fixed", "bucketed 0.5 s", "bucketed 1 s")),
    ("15:10", {"Ip": ["15:10:60"]}, ("sliding", "fixed", "bucketed 5 s")),
    ("8:10,15:60 + 3:5", {"Ip": ["8:10:60", "15:60:120"], "Account": ["3:5:60"]}, ("sliding", "fixed", "bucketed 5 s")),
    ("30:60,60:300", {"Ip": ["30:60:60", "60:300:1800"]}, ("sliding", "fixed", "bucketed 60 s", "bucketed 5/60 s")),
)
CHANGES: tuple[Rules, ...] = (
    {"Ip": ["2:1:60"]},
    {"Ip": ["10:60:60", "2:5:10"]},
    {"Ip": ["5:10:60"], "Client": ["30:60:60"]},
    {"Ip": ["1:2:30"]},
)
LATENCIES = ((0.15, 0.0), (0.02, 0.05), (0.02, 0.2), (0.15, 0.2))


def kind_of(window: str, seed: int) -> WindowKind:
    """The window by its name in the table, at a phase of its own."""
    phase = Random(f"phase {seed}").uniform(0, 60)
    if window == "sliding":
        return sliding()
    if window == "fixed":
        return fixed(phase)
    width = window.split()[1]
    return bucketed(None if "/" in width else float(width), phase)


def cases(hours: float, seed: int = 1, length: float = 10.0) -> Iterator[Case]:
    """All window kinds x latencies x circumstances, again and again with new seeds, until `hours` are spread out."""
    dice = Random(f"cases {seed}")
    circumstances: tuple[dict[str, object], ...] = (
        {},
        {"callers": 3},
        {"neighbour": 0.02},
        {"neighbour": 0.2, "callers": 2, "growth": False},
        {"neighbour": 0.1, "burst": 3, "callers": 2, "growth": False},
        {"restarts": round(0.8 * length) or 1},
        {"restarts": round(4 * length) or 1, "neighbour": 0.1, "growth": False},
        {"changes": True},
        {"losses": 0.01, "callers": 2},
    )
    left = hours
    for number in itertools.count():
        for _, rules, windows in KINDS:
            for window in windows:
                for latency_number, (base, jitter) in enumerate(LATENCIES):
                    if left <= 0:
                        return
                    circumstance = dict(circumstances[(number + latency_number) % len(circumstances)])
                    now_seed = dice.randrange(1 << 30)
                    if circumstance.pop("changes", None):
                        steps = [Random(now_seed).choice(CHANGES) for _ in range(6)]
                        circumstance["changes"] = tuple(
                            (length * _HOUR * (place + 1) / 7, step) for place, step in enumerate(steps)
                        )
                    yield Case(
                        window,
                        rules,
                        now_seed,
                        min(length, left),
                        base,
                        jitter,
                        **circumstance,  # type: ignore[arg-type]
                    )
                    left -= length


def play(case: Case) -> tuple[Case, Outcome]:
    """One case, with a scratch directory where it needs one."""
    if not case.restarts:
        return case, Simulation(case).run()
    with TemporaryDirectory() as scratch:
        return case, Simulation(case, Path(scratch)).run()


def rows(played: Iterable[tuple[Case, Outcome]]) -> dict[tuple[str, str, str], Outcome]:
    """Outcomes by limits, window and latency; cases with changing rules or a neighbour stand in rows of their own."""
    table: dict[tuple[str, str, str], Outcome] = {}
    for case, outcome in played:
        limits = " ".join(",".join(triplets) for triplets in case.rules.values())
        latency = case.latency
        if case.neighbour:
            latency += f", neighbour {case.neighbour:g}/s"
        elif case.changes:
            latency += ", rules change"
        elif case.restarts:
            latency += ", restarts"
        elif case.losses:
            latency += ", losses"
        table.setdefault((limits, case.window, latency), Outcome()).add(outcome)
    return table


def table_of(played: Iterable[tuple[Case, Outcome]]) -> str:
    """The table to print: window x latency → rate, violations, 429s."""
    lines = [
        f"{'limits':<28} {'window':<15} {'latency':<40} {'hours':>6} {'rate':>5} {'ours':>4} {'learn':>5} {'429':>6}"
    ]
    total = Outcome()
    for (limits, window, latency), outcome in sorted(rows(played).items()):
        rate = "" if "change" in latency else f"{outcome.rate:.2f}"
        lines.append(
            f"{limits:<28} {window:<15} {latency:<40} {outcome.hours:>6.0f} {rate:>5} {outcome.ours:>4} "
            f"{outcome.learning:>5} {outcome.refused:>6}"
        )
        total.add(outcome)
    lines.append(
        f"{total.hours:.0f} hours, {total.requests:,} requests: {total.ours} violations of ours, {total.early} under a "
        f"known restriction, {total.learning} to learn a bucket, {total.refused} refusals in all"
    )
    return "\n".join(lines)


def summary(outcomes: Iterable[Outcome]) -> Tally[str]:
    """Sums of what must be zero."""
    tally: Tally[str] = Tally()
    for outcome in outcomes:
        tally["ours"] += outcome.ours
        tally["early"] += outcome.early
    return tally
