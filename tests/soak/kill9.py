"""The proof by fire: a harvest is killed with SIGKILL again and again, and at the end every page is there once.

    python -m tests.soak.kill9 --kills 100 --seed 1          random instants, about a third while recovering
    python -m tests.soak.kill9 --crash-points --seed 1       once at every named step of a commit

Prints its figures as one line of JSON. Exit code 1 where anything was lost, doubled or differs.
"""

from __future__ import annotations

import argparse
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from harvester.commands.store_access import engine_of
from harvester.store.crash_points import CRASH_POINTS
from harvester.store.spool import Spool
from tests.soak.child import CRASHED, QUEUE, settings_in
from tests.soak.proof import Findings, examine, truth_of
from tests.soak.stream import Stream

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 120.0
"""Seconds after which a child that says nothing is a failure of its own."""
_FINISH_PAGES = 6
_RECOVERY_SHARE = 0.45
"""Share of kills aimed at the recovery; some come too late and count as others."""


class HarvestBroke(Exception):  # noqa: N818
    """A harvest ended by itself, or does not move; the message holds what it said."""


@dataclass
class Figures:
    """What is reported."""

    seed: int
    kills: int = 0
    kills_in_recovery: int = 0
    crash_points: int = 0
    pages: int = 0
    stashes: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    seconds: float = 0.0


class Child:
    """One harvest process; it loads while its predecessor still runs, and begins when told."""

    def __init__(self, directory: Path, seed: int, *options: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.child", str(directory), str(seed), *options],
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._said: queue.Queue[str] = queue.Queue()
        self._heard: set[str] = set()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def begin(self) -> None:
        """Let it open the store; returns when it does."""
        self.expect("loaded")
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self.expect("recovering")

    def expect(self, phase: str, within: float = _PATIENCE) -> None:
        """Wait until it says `phase`."""
        while phase not in self._heard:
            try:
                said = self._said.get(timeout=within)
            except queue.Empty:
                raise HarvestBroke(f"nothing but {self._heard} in {within} s. {self._complaint()}") from None
            if not said:
                raise HarvestBroke(f"it ended before {phase!r}. {self._complaint()}")
            self._heard.add(said)

    def lives(self) -> None:
        """Raises where it has ended by itself."""
        if self._process.poll() is not None:
            raise HarvestBroke(f"it ended by itself. {self._complaint()}")

    def freeze(self) -> None:
        """Stop it where it is, as a machine that sleeps does."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, knowing nothing."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> bool:
        """Kill it; True where it was still recovering."""
        self.lives()
        self._process.kill()
        self._end()
        return "recovered" not in self._heard

    def wait(self) -> int:
        """Its exit code, when it ends by itself."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise HarvestBroke(f"it does not end. {self._complaint()}") from None
        self._end()
        return code

    def discard(self) -> None:
        """End it wherever it is."""
        self._process.kill()
        self._end()

    def complaint(self) -> str:
        """What it wrote to standard error."""
        return self._complaint()

    def _end(self) -> None:
        self._process.wait()
        self._reader.join()
        while not self._said.empty():
            self._heard.add(self._said.get())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line.strip())
        self._said.put("")

    def _complaint(self) -> str:
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")[-3000:]


def kill_at_random(directory: Path, seed: int, kills: int, figures: Figures) -> None:
    """Let `kills` harvests in turn work on one store, and kill each."""
    dice = Random(f"kills {seed}")
    child = Child(directory, seed)
    try:
        for done in range(kills):
            child.begin()
            heir = Child(directory, seed) if done + 1 < kills else None
            if dice.random() < _RECOVERY_SHARE:
                time.sleep(dice.uniform(0.0, 0.5))
            else:
                child.expect("recovered")
                time.sleep(dice.uniform(0.0, 1.0))
            figures.kills_in_recovery += child.kill()
            figures.kills += 1
            if figures.kills % 10 == 0:
                print(f"{figures.kills} of {kills} kills", file=sys.stderr)
            if heir is not None:
                child = heir
    finally:
        child.discard()


def crash_at_every_point(directory: Path, seed: int, figures: Figures) -> None:
    """Let a harvest end itself at every named step of a commit, each on what the one before left."""
    for step in CRASH_POINTS:
        child = Child(directory, seed, "--crash-at", step)
        try:
            child.begin()
            code = child.wait()
            if code != CRASHED:
                raise HarvestBroke(f"it never came to {step!r}, exit code {code}. {child.complaint()}")
            figures.crash_points += 1
        finally:
            child.discard()


def finish(directory: Path, seed: int) -> None:
    """Harvest undisturbed to the end of the stream."""
    child = Child(directory, seed, "--finish", str(_FINISH_PAGES))
    try:
        child.begin()
        code = child.wait()
        if code != 0:
            raise HarvestBroke(f"the last harvest ended with {code}. {child.complaint()}")
    finally:
        child.discard()


def judge(directory: Path, seed: int) -> Findings:
    """What the store holds against the truth."""
    settings = settings_in(directory)
    engine = engine_of(settings)
    with engine.open(writes=False) as handle:
        pages = int(handle.value("SELECT max(seq) FROM bronze_ingest_checkpoints"))
        return examine(engine, Spool(settings.spool_dir, QUEUE), truth_of(Stream(seed), pages), directory / "scratch")


def prove(directory: Path, seed: int, kills: int, *, crash_points: bool) -> tuple[Figures, list[str]]:
    """The whole proof in a fresh `directory`: figures, and what is wrong in words."""
    began = time.monotonic()
    figures = Figures(seed)
    subprocess.run(
        [sys.executable, "-m", "tests.soak.child", str(directory), str(seed), "--prepare"], cwd=_ROOT, check=True
    )
    kill_at_random(directory, seed, kills, figures)
    if crash_points:
        crash_at_every_point(directory, seed, figures)
    finish(directory, seed)
    findings = judge(directory, seed)
    figures.pages, figures.stashes = findings.pages, findings.stashes
    figures.lost, figures.doubled, figures.wrong = findings.lost, findings.doubled, len(findings.wrong)
    figures.seconds = round(time.monotonic() - began, 1)
    return figures, findings.wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kill9", description=__doc__)
    parser.add_argument("--kills", type=int, default=0, help="kills at random instants")
    parser.add_argument("--seed", type=int, default=1, help="of the stream and of the instants")
    parser.add_argument("--crash-points", action="store_true", help="also end at every named step of a commit")
    parser.add_argument("--directory", type=Path, help="a fresh directory, kept; else a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill9-") as temporary:
        figures, wrong = prove(
            options.directory or Path(temporary), options.seed, options.kills, crash_points=options.crash_points
        )
    print(json.dumps(asdict(figures)))
    for text in wrong:
        print(text, file=sys.stderr)
    return 1 if wrong or figures.lost or figures.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
