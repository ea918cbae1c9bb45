"""The proof over a server: it is killed, hung and cut off in the middle of inserts, and every page is there once.

    python -m tests.soak.server_faults --faults 200 --seed 1

One harvest runs through all of it, over a wire (`tests.http_front`). A fault is aimed: it waits until the harvest has
committed a page since the last one and an INSERT goes over, and strikes some milliseconds later, at a random instant.
Prints its figures as one line of JSON. Exit code 1
where anything was lost, doubled or differs.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from harvester.commands.store_access import engine_of
from harvester.store.cursor_file import CursorFile
from tests.http_front.process import ServerProcess
from tests.http_front.wire import Wire
from tests.soak.child import QUEUE, SERVER_TIMEOUT, prepare, settings_in
from tests.soak.harvest_process import Child, HarvestBroke, finish
from tests.soak.verdict import Verdict, judge, report

_INSERT = re.compile(rb"INSERT(?:[ +]|%20)INTO", re.IGNORECASE)
_PATIENCE = 120.0


@dataclass(kw_only=True)
class Figures(Verdict):
    """What is reported."""

    faults: dict[str, int] = field(default_factory=dict)
    """How often each kind struck."""
    amid_inserts: int = 0
    """Faults that struck while the answer to an INSERT was outstanding."""


class InsertsInFlight:
    """Which INSERTs have gone over the wire and are not answered yet."""

    def __init__(self) -> None:
        self.begun = threading.Condition()
        self._connections: set[int] = set()

    def __call__(self, connection: int, answer: bool, piece: bytes) -> None:
        """See `Wire.watch`."""
        with self.begun:
            if answer:
                self._connections.discard(connection)
            elif _INSERT.search(piece):
                self._connections.add(connection)
                self.begun.notify_all()

    @property
    def any(self) -> bool:
        """Whether one is outstanding now."""
        return bool(self._connections)

    def forget(self) -> None:
        """No connection of before will be answered."""
        with self.begun:
            self._connections.clear()


class Tormentor:
    """Does to a server and its wire what can happen to them, and mends it again."""

    def __init__(self, server: ServerProcess, wire: Wire, dice: Random) -> None:
        self._server = server
        self._wire = wire
        self._dice = dice
        self.kinds: dict[str, Callable[[], None]] = {
            "killed": self._kill,
            "hung": self._hang,
            "connections reset": self._wire.cut,
            "answer cut": self._cut_answers,
            "request cut": self._cut_requests,
            "refused": self._refuse,
        }

    def strike(self, kind: str) -> None:
        """One fault; all is well again when this returns."""
        self.kinds[kind]()
        self._wire.heal()

    def _kill(self) -> None:
        self._server.kill()
        time.sleep(self._dice.uniform(0.0, 0.3))
        self._server.start()

    def _hang(self) -> None:
        self._server.freeze()
        time.sleep(self._dice.uniform(0.1, 2 * SERVER_TIMEOUT))
        self._server.thaw()

    def _cut_answers(self) -> None:
        self._wire.faults.cut_answer_after = self._dice.randrange(0, 300)
        time.sleep(self._dice.uniform(0.1, 0.5))

    def _cut_requests(self) -> None:
        self._wire.faults.cut_request_after = self._dice.randrange(0, 6000)
        time.sleep(self._dice.uniform(0.1, 0.5))

    def _refuse(self) -> None:
        self._wire.faults.refuse = True
        self._wire.cut()
        time.sleep(self._dice.uniform(0.1, 1.0))


def torment(
    child: Child,
    moved: Callable[[], object],
    tormentor: Tormentor,
    inserts: InsertsInFlight,
    dice: Random,
    faults: int,
    figures: Figures,
) -> None:
    """Let `faults` faults strike, each when the harvest has moved on and an INSERT has just begun."""
    kinds = list(tormentor.kinds)
    stood: object = None
    for number in range(faults):
        give_up_at = time.monotonic() + _PATIENCE
        while (stands := moved()) == stood:
            if time.monotonic() > give_up_at:
                raise HarvestBroke(f"no page was committed for {_PATIENCE} s. {child.complaint()}")
            time.sleep(0.02)
        stood = stands
        with inserts.begun:
            if not inserts.begun.wait(_PATIENCE):
                raise HarvestBroke(f"nothing was written for {_PATIENCE} s. {child.complaint()}")
        child.lives()
        time.sleep(dice.uniform(0.0, 0.04))
        # Each kind equally often, in a random order.
        if number % len(kinds) == 0:
            dice.shuffle(kinds)
        kind = kinds[number % len(kinds)]
        figures.amid_inserts += inserts.any
        figures.faults[kind] = figures.faults.get(kind, 0) + 1
        tormentor.strike(kind)
        inserts.forget()
        if (number + 1) % 10 == 0:
            print(f"{number + 1} of {faults} faults", file=sys.stderr, flush=True)


def prove(directory: Path, seed: int, faults: int) -> tuple[Figures, list[str]]:
    """The whole proof in a fresh `directory`: figures, and what is wrong in words."""
    began = time.monotonic()
    figures, dice, inserts = Figures(seed=seed), Random(f"server faults {seed}"), InsertsInFlight()
    with (
        ServerProcess(directory / "server") as server,
        Wire(lambda: server.port, watch=inserts) as wire,
    ):
        prepare(directory, server.url)
        child = Child(directory, seed, "--server", wire.url)
        try:
            child.begin()
            child.expect("recovered")
            cursor = CursorFile(settings_in(directory).cursor_dir, QUEUE)
            torment(child, cursor.read, Tormentor(server, wire, dice), inserts, dice, faults, figures)
            child.kill()
        finally:
            child.discard()
        finish(directory, seed, "--server", server.url)
        patient = settings_in(directory, server.url).model_copy(update={"clickhouse_timeout": 300.0})
        findings = judge(engine_of(patient), directory, seed)
    figures.take(findings, began)
    return figures, findings.wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.server_faults", description=__doc__)
    parser.add_argument("--faults", type=int, default=200, help="how many faults")
    parser.add_argument("--seed", type=int, default=1, help="of the stream, the kinds and the instants")
    parser.add_argument("--directory", type=Path, help="a fresh directory, kept; else a temporary one")
    options = parser.parse_args()
    return report(lambda directory: prove(directory, options.seed, options.faults), options.directory, "server-faults-")


if __name__ == "__main__":
    sys.exit(main())
