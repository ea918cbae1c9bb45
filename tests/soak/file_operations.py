"""The enumeration: a harvest is killed before every single change of a file in one commit, and in its recovery.

    python -m tests.soak.file_operations                      all points; `--sample 5` five of the commit
    python -m tests.soak.file_operations --full-recoveries 4  of four of the states every point of the recovery, too

One page goes from its answer through spool, bronze, silver and checkpoint to the cursor file. Before each change of a
file on that way the process kills itself, in a run of its own; the next process recovers and harvests one page more.
Then every row of every table and view must be what it is where nobody was killed. Each state that a kill has left is
also recovered by a process that is killed before one of its own changes, by lot, and then by one that is not. Every
durable file is enumerated alone as well, and the order of all syncs is checked: a kill shows nothing of a power loss.

Prints its figures as one line of JSON. Exit code 1 where anything was lost, doubled or differs; 0 with a message where
there is no C compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from queue import SimpleQueue
from random import Random
from typing import Any

from harvester.store.crash_points import CRASH_POINTS
from tests.soak.fork_server import ForkServer, JobFailed
from tests.soak.preload import CannotPreload, Operation, build, read_log
from tests.soak.single_files import WRITERS
from tests.soak.sync_order import unsafe

TRIES = 3
"""How often a point is aimed at that a run did not come to."""


@dataclass
class Figures:
    """What is reported."""

    seed: int
    commit_points: int = 0
    commit_kills: int = 0
    recovery_points: int = 0
    recovery_kills: int = 0
    states_with_every_recovery_point: int = 0
    file_points: int = 0
    file_kills: int = 0
    syncs: int = 0
    missed: int = 0
    """Points at which no run could be killed."""
    wrong: list[str] = field(default_factory=list)
    """Whatever was lost, doubled or differs, in words."""
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """All points were come to, and nothing was wrong at any."""
        return self.commit_kills > 0 and not (self.missed or self.wrong)


class Enumeration:
    """One commit and its recovery, over a store that is prepared once and copied for each kill."""

    def __init__(self, directory: Path, seed: int, servers: Sequence[ForkServer]) -> None:
        """`directory` is fresh; each of the `servers` works in a folder of its own below it."""
        self.figures = Figures(seed)
        self._directory = directory
        self._dice = Random(f"recoveries {seed}")
        self._idle: SimpleQueue[tuple[ForkServer, Path]] = SimpleQueue()
        self._lock = threading.Lock()
        self._base = directory / "base"
        self._expected: dict[int, dict[str, str]] = {}
        """What an undisturbed store holds, by how many pages behind the one enumerated."""
        for number, server in enumerate(servers):
            self._idle.put((server, directory / f"worker{number}"))

    def measure(self) -> list[Operation]:
        """Prepare the store, harvest one page undisturbed, and say what that changes on disk."""
        with self._worker() as (server, place):
            server.run("prepare", directory=place / "live")
            (place / "live").rename(self._base)
            log = self._copy(self._base, place / "live").with_name("log")
            done = server.run("commit", directory=place / "live", log=log)
            operations = read_log(log, place / "live")
            for pages_more in (0, 1):
                undisturbed = self._copy(place / "live", place / "killed")
                self._expected[pages_more] = server.run("recover", directory=undisturbed, pages_more=pages_more)["held"]
        self.figures.commit_points = done["count"]
        self.figures.syncs = sum(operation.name == "sync" for operation in operations)
        self.figures.wrong += unsafe(operations)
        if missing := set(CRASH_POINTS) - set(done["steps"]):
            self.figures.wrong.append(f"the page does not take the steps {sorted(missing)}: choose another")
        return operations

    def examine(self) -> None:
        """Hold the undisturbed store against the truth: it is the measure of all others."""
        with self._worker() as (server, place):
            live = self._copy(self._base, place / "live")
            server.run("recover", directory=live, pages_more=1)
            self.figures.wrong += server.run("examine_undisturbed", directory=live)

    def kill_at(self, points: Iterable[int], *, recoveries: int, full: Iterable[int] = ()) -> None:
        """Kill the commit before each of `points` and, of what that leaves, so many `recoveries`; of `full` all.

        After `measure`.
        """
        work = [(point, self._dice.random(), point in set(full)) for point in points]
        with ThreadPoolExecutor(self._idle.qsize()) as pool:
            for done, _ in enumerate(pool.map(lambda one: self._kill_and_recover(*one, recoveries), work), 1):
                if done % 10 == 0:
                    print(f"{done} of {len(work)} points, {len(self.figures.wrong)} wrong", file=sys.stderr)

    def kill_writers(self) -> None:
        """Kill each writer of a single file before each of its changes."""
        with self._worker() as (server, place):
            for writer in WRITERS:
                log = place / "log"
                count = server.run("write_files", directory=self._fresh(place), writer=writer, log=log)
                if writer not in ("lease", "page removed"):
                    self.figures.wrong += [f"{writer}: {what}" for what in unsafe(read_log(log, place / "live"))]
                found = []
                for point in range(1, count + 1):
                    directory = self._fresh(place)
                    self.figures.file_points += 1
                    self.figures.file_kills += server.kill(
                        "write_files", directory=directory, writer=writer, die_before=point
                    )
                    found.append(server.run("read_files", directory=directory, writer=writer))
                found.append(server.run("read_files", directory=self._written(server, place, writer), writer=writer))
                if found != sorted(found, key=["old", "new"].index) or found[-1] != "new":
                    self.figures.wrong.append(f"{writer}: killed at each point it left {found}")

    def _written(self, server: ForkServer, place: Path, writer: str) -> Path:
        server.run("write_files", directory=self._fresh(place), writer=writer)
        return place / "live"

    def _kill_and_recover(self, point: int, lot: float, full: bool, recoveries: int) -> None:
        with self._worker() as (server, place):
            live, killed = place / "live", place / "killed"
            for _ in range(TRIES):
                self._copy(self._base, live)
                if server.kill("commit", directory=live, die_before=point):
                    break
            else:
                self._note(missed=1)
                return
            self._copy(live, killed)
            count = self._judged(server, live, 1, f"killed before change {point}")
            self._note(commit_kills=1, recovery_points=count, states_with_every_recovery_point=int(full))
            chosen = range(1, count + 1) if full else [1 + int(lot * count)] * bool(recoveries and count)
            for again in chosen:
                for _ in range(TRIES):
                    self._copy(killed, live)
                    if server.kill("recover", directory=live, die_before=again):
                        break
                else:
                    self._note(missed=1)
                    continue
                self._judged(server, live, 0, f"killed before change {point}, its recovery before change {again}")
                self._note(recovery_kills=1)

    def _judged(self, server: ForkServer, live: Path, pages_more: int, story: str) -> int:
        """Recover `live` and hold it against the undisturbed store; how many changes the recovery took."""
        try:
            done = server.run("recover", directory=live, pages_more=pages_more)
        except JobFailed as error:
            with self._lock:
                self.figures.wrong.append(f"{story}: {error}")
            return 0
        held, expected = done["held"], self._expected[pages_more]
        # The cursor file is a copy for people: killed right before it, it follows with the next page.
        promised = expected if pages_more else expected.keys() - {"cursor file"}
        different = sorted(name for name in promised if held.get(name) != expected[name])
        if different:
            with self._lock:
                self.figures.wrong.append(f"{story}: {', '.join(different)} differ")
        return int(done["count"])

    def _note(self, **more: int) -> None:
        with self._lock:
            for name, number in more.items():
                setattr(self.figures, name, getattr(self.figures, name) + number)

    @contextmanager
    def _worker(self) -> Iterator[tuple[ForkServer, Path]]:
        server, place = self._idle.get()
        try:
            place.mkdir(exist_ok=True)
            yield server, place
        finally:
            self._idle.put((server, place))

    @staticmethod
    def _copy(source: Path, target: Path) -> Path:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, symlinks=True)
        return target

    @staticmethod
    def _fresh(place: Path) -> Path:
        shutil.rmtree(place / "live", ignore_errors=True)
        (place / "live").mkdir()
        return place / "live"


@contextmanager
def enumeration_of(seed: int, workers: int) -> Iterator[Enumeration]:
    """An enumeration in a throw-away directory. Raises `CannotPreload`."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="operations-", dir=_quick())))
        library = build(directory)
        yield Enumeration(directory, seed, [stack.enter_context(ForkServer(library)) for _ in range(workers)])


def prove(
    seed: int, *, sample: int | None = None, recoveries: int = 1, full_recoveries: int = 0, workers: int = 2
) -> Figures:
    """The whole enumeration, or a `sample` of the points of the commit. Raises `CannotPreload`."""
    began = time.monotonic()
    with enumeration_of(seed, workers) as enumeration:
        operations = enumeration.measure()
        enumeration.examine()
        points: Sequence[int] = range(1, enumeration.figures.commit_points + 1)
        begun = _beginnings(operations)
        full = Random(seed).sample(begun, min(full_recoveries, len(begun)))
        if sample is not None:
            points = sorted({*Random(seed).sample(points, min(sample, len(points))), *full})
        enumeration.kill_at(points, recoveries=recoveries, full=full)
        enumeration.kill_writers()
    enumeration.figures.seconds = round(time.monotonic() - began, 1)
    return enumeration.figures


def _beginnings(operations: Sequence[Operation]) -> list[int]:
    """The points right behind each rename: a page or a part has just come into being. Numbered as counted."""
    counted = [operation for operation in operations if operation.name != "sync"]
    return [number + 1 for number, operation in enumerate(counted, 1) if operation.name == "rename"][:-1]


def _quick() -> str | None:
    """A file system in memory where there is one: a kill shows no difference, and hundreds of stores are copied."""
    memory = Path("/dev/shm")
    return str(memory) if os.access(memory, os.W_OK) else None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak.file_operations", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=1, help="of the samples and of the lots in the recoveries")
    parser.add_argument("--sample", type=int, help="so many points of the commit; else all")
    parser.add_argument("--recoveries", type=int, choices=(0, 1), default=1, help="0: do not kill any recovery")
    parser.add_argument("--full-recoveries", type=int, default=0, help="states of which every recovery point is tried")
    parser.add_argument("--workers", type=int, default=2, help="how many processes at a time")
    options: dict[str, Any] = vars(parser.parse_args())
    try:
        figures = prove(options.pop("seed"), **options)
    except CannotPreload as error:
        print(f"not run: {error}", file=sys.stderr)
        return 0
    print(json.dumps(asdict(figures)))
    for text in figures.wrong:
        print(text, file=sys.stderr)
    return 0 if figures.good else 1


if __name__ == "__main__":
    sys.exit(main())
