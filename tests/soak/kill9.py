"""The proof by fire: a harvest is killed with SIGKILL again and again, and at the end every page is there once.

    python -m tests.soak.kill9 --kills 100 --seed 1          random instants, about a third while recovering
    python -m tests.soak.kill9 --crash-points --seed 1       once at every named step of a commit

Prints its figures as one line of JSON. Exit code 1 where anything was lost, doubled or differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random

from harvester.commands.store_access import engine_of
from harvester.store.crash_points import CRASH_POINTS
from tests.soak.child import CRASHED, settings_in
from tests.soak.harvest_process import ROOT, Child, HarvestBroke, finish
from tests.soak.verdict import Verdict, judge, report

_RECOVERY_SHARE = 0.45
"""Share of kills aimed at the recovery; some come too late and count as others."""


@dataclass(kw_only=True)
class Figures(Verdict):
    """What is reported."""

    kills: int = 0
    kills_in_recovery: int = 0
    crash_points: int = 0


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


def prove(directory: Path, seed: int, kills: int, *, crash_points: bool) -> tuple[Figures, list[str]]:
    """The whole proof in a fresh `directory`: figures, and what is wrong in words."""
    began = time.monotonic()
    figures = Figures(seed=seed)
    subprocess.run(
        [sys.executable, "-m", "tests.soak.child", str(directory), str(seed), "--prepare"], cwd=ROOT, check=True
    )
    kill_at_random(directory, seed, kills, figures)
    if crash_points:
        crash_at_every_point(directory, seed, figures)
    finish(directory, seed)
    findings = judge(engine_of(settings_in(directory)), directory, seed)
    figures.take(findings, began)
    return figures, findings.wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.kill9", description=__doc__)
    parser.add_argument("--kills", type=int, default=0, help="kills at random instants")
    parser.add_argument("--seed", type=int, default=1, help="of the stream and of the instants")
    parser.add_argument("--crash-points", action="store_true", help="also end at every named step of a commit")
    parser.add_argument("--directory", type=Path, help="a fresh directory, kept; else a temporary one")
    options = parser.parse_args()
    return report(
        lambda directory: prove(directory, options.seed, options.kills, crash_points=options.crash_points),
        options.directory,
        "kill9-",
    )


if __name__ == "__main__":
    sys.exit(main())
