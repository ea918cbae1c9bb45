"""What every proof by fire ends with: the store against the truth, figures as one line of JSON, an exit code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from harvester.store.engine import Engine
from harvester.store.spool import Spool
from tests.soak.child import QUEUE, settings_in
from tests.soak.proof import Findings, examine, truth_of
from tests.soak.stream import Stream


@dataclass(kw_only=True)
class Verdict:
    """What each proof reports, beside figures of its own."""

    seed: int
    pages: int = 0
    stashes: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    seconds: float = 0.0

    def take(self, findings: Findings, began: float) -> None:
        """The figures of what was found, and of the time since `began`."""
        self.pages, self.stashes = findings.pages, findings.stashes
        self.lost, self.doubled, self.wrong = findings.lost, findings.doubled, len(findings.wrong)
        self.seconds = round(time.monotonic() - began, 1)

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, nothing else wrong."""
        return not (self.wrong or self.lost or self.doubled)


V = TypeVar("V", bound=Verdict)


def judge(engine: Engine, directory: Path, seed: int) -> Findings:
    """What the store holds against the truth of the stream."""
    with engine.open(writes=False) as handle:
        pages = int(handle.value("SELECT max(seq) FROM bronze_ingest_checkpoints"))
        spool = Spool(settings_in(directory).spool_dir, QUEUE)
        return examine(engine, spool, truth_of(Stream(seed), pages), directory / "scratch")


def report(prove: Callable[[Path], tuple[V, Sequence[str]]], directory: Path | None, prefix: str) -> int:
    """Run a proof in `directory`, or in one that goes with it; print its figures; the exit code."""
    with TemporaryDirectory(prefix=prefix) as temporary:
        verdict, wrong = prove(directory or Path(temporary))
    print(json.dumps(asdict(verdict)))
    for text in wrong:
        print(text, file=sys.stderr)
    return 0 if verdict.good else 1
