"""The proof of the lease: two harvesters on one queue of one server, one works, and the other takes over.

    python -m tests.soak.takeover --rounds 20 --seed 1

Each round ends the one that works, at a random instant: killed, or frozen until the other has taken over, and then let
go on knowing nothing. The other must write within the time of the lease; who comes back must wait. Each has a spool
and cursors of its own, as on a machine of its own. Prints its figures as one line of JSON. Exit code 1 where anything
was lost, doubled or differs, or where a takeover came too late.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from harvester.commands.store_access import engine_of
from harvester.store.engine import Engine
from harvester.store.queue_lease import holder_of_queue
from harvester.store.row_lease import LEASE_SECONDS
from tests.http_front.process import ServerProcess
from tests.soak.child import QUEUE, prepare, settings_in
from tests.soak.harvest_process import Child, HarvestBroke, finish
from tests.soak.verdict import Verdict, judge, report

OPENING_SECONDS = 10.0
"""On top of the lease: seeing that it is free, comparing spool and store, and the first page."""
_LOOK_EVERY = 0.1
_PATIENCE = 60.0
"""Seconds behind the end of the lease after which nobody comes any more."""


@dataclass(kw_only=True)
class Figures(Verdict):
    """What is reported."""

    killed: int = 0
    frozen: int = 0
    longest_takeover: float = 0.0
    """Seconds from the end of the one to the first page of the other, at most."""
    late: int = 0
    """Takeovers that took longer than the lease and the opening."""
    usurped: int = 0
    """Rounds that began with another holder of the lease than the one that worked."""
    takeovers: list[float] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """And every takeover came in time, from the one that worked."""
        return super().good and not (self.late or self.usurped)


class Harvesters:
    """The one that works and the one that waits."""

    def __init__(self, directory: Path, seed: int, url: str) -> None:
        self._directory = directory
        self._seed = seed
        self._url = url
        self._made = 0
        self.working, self.waiting = self.another(), self.another()

    def another(self) -> Child:
        """A new harvester with a spool of its own."""
        self._made += 1
        directory = self._directory / f"harvester {self._made}"
        directory.mkdir()
        return Child(directory, self._seed, "--server", self._url)

    def change_over(self, heir: Child | None) -> None:
        """Who waited works now; `heir` waits, or a new one."""
        if heir is None:
            heir = self.another()
            heir.begin()
        self.working, self.waiting = self.waiting, heir

    def discard(self) -> None:
        """End both."""
        for child in (self.working, self.waiting):
            child.discard()


def stands(engine: Engine) -> tuple[int, str]:
    """The newest page of the queue, and who holds its lease."""
    with engine.open(writes=False) as handle:
        holder = holder_of_queue(handle, QUEUE.key)
        return (
            int(handle.value("SELECT max(seq) FROM bronze_ingest_checkpoints")),
            holder.owner if holder else "",
        )


def until_written_by(child: Child, behind: int, engine: Engine) -> None:
    """Wait until `child` holds the lease and a page behind `behind` stands."""
    give_up_at = time.monotonic() + LEASE_SECONDS + _PATIENCE
    while True:
        seq, owner = stands(engine)
        if seq > behind and owner.endswith(f"process {child.pid}"):
            return
        if time.monotonic() > give_up_at:
            raise HarvestBroke(f"page {seq} since {_PATIENCE} s, lease of {owner or 'nobody'}. {child.complaint()}")
        time.sleep(_LOOK_EVERY)


def play(harvesters: Harvesters, engine: Engine, dice: Random, figures: Figures) -> None:
    """One round."""
    time.sleep(dice.uniform(0.2, 4.0))
    ended, heir = harvesters.working, harvesters.waiting
    before, owner = stands(engine)
    figures.usurped += not owner.endswith(f"process {ended.pid}")
    frozen = dice.random() < 0.5
    if frozen:
        ended.freeze()
        figures.frozen += 1
    else:
        ended.kill()
        figures.killed += 1
    began = time.monotonic()
    until_written_by(heir, before, engine)
    took = time.monotonic() - began
    figures.takeovers.append(round(took, 1))
    figures.late += took > LEASE_SECONDS + OPENING_SECONDS
    if frozen:
        ended.thaw()
    harvesters.change_over(ended if frozen else None)


def prove(directory: Path, seed: int, rounds: int) -> tuple[Figures, list[str]]:
    """The whole proof in a fresh `directory`: figures, and what is wrong in words."""
    began = time.monotonic()
    figures, dice = Figures(seed=seed), Random(f"takeover {seed}")
    with ServerProcess(directory / "server") as server:
        engine = prepare(directory, server.url)
        harvesters = Harvesters(directory, seed, server.url)
        try:
            harvesters.working.begin()
            harvesters.working.expect("recovered")
            harvesters.waiting.begin()
            for number in range(rounds):
                play(harvesters, engine, dice, figures)
                print(f"{number + 1} of {rounds}: {figures.takeovers[-1]} s", file=sys.stderr, flush=True)
        finally:
            harvesters.discard()
        finish(directory, seed, "--server", server.url)
        patient = settings_in(directory, server.url).model_copy(update={"clickhouse_timeout": 300.0})
        findings = judge(engine_of(patient), directory, seed)
    figures.longest_takeover = max(figures.takeovers, default=0.0)
    figures.take(findings, began)
    return figures, findings.wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.takeover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how often one takes over from the other")
    parser.add_argument("--seed", type=int, default=1, help="of the stream and of the instants")
    parser.add_argument("--directory", type=Path, help="a fresh directory, kept; else a temporary one")
    options = parser.parse_args()
    return report(lambda directory: prove(directory, options.seed, options.rounds), options.directory, "takeover-")


if __name__ == "__main__":
    sys.exit(main())
