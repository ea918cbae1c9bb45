"""Would the tests notice? One promise at a time is broken in a copy of the project; the test named for it must fail.

    python -m tests.soak.mutants                 all of them; prints the table
    python -m tests.soak.mutants --only fsync    those whose name holds a word

The mutants stand in `tests.soak.mutant_list`. The working tree is never touched. Each named test must first pass on the
copy as it is. Exit code 1 where a mutant survives; 2 where the code that one breaks is no longer there exactly once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.soak.mutant_list import MUTANTS, Mutant, MutantOutdated

_ROOT = Path(__file__).resolve().parents[2]
_COPIED = ("harvester", "poe_ledger_tui", "poe_trade", "schema", "tests", "pyproject.toml")
_PASSED, _FAILED = 0, 1
"""Exit codes of pytest: all passed, and some failed. Others say that it could not run."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one mutant."""

    mutant: Mutant
    caught: bool
    said: str
    """The end of what the test run printed."""


class CannotJudge(Exception):  # noqa: N818
    """The named tests do not even pass on the code as it is; the message holds what they said."""


def judge(mutants: Sequence[Mutant]) -> Iterable[Verdict]:
    """One verdict after the other. Raises `MutantOutdated`, `CannotJudge`."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as temporary:
        tree = Path(temporary)
        for name in _COPIED:
            source = _ROOT / name
            if source.is_dir():
                shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, tree / name)
        for mutant in mutants:
            mutant.broken(tree)  # all of them before the first long run
        code, said = _run(tree, sorted({mutant.test for mutant in mutants}))
        if code != _PASSED:
            raise CannotJudge(f"the named tests do not pass on the code as it is:\n{said}")
        if " skipped" in said:
            raise CannotJudge(f"some of the named tests are skipped here:\n{said}")
        for mutant in mutants:
            path = tree / mutant.file
            whole = path.read_text()
            path.write_text(mutant.broken(tree))
            try:
                code, said = _run(tree, [mutant.test])
            finally:
                path.write_text(whole)
            yield Verdict(mutant, code == _FAILED, said)


def _run(tree: Path, tests: Sequence[str]) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-m", "soak or not soak", "-p", "no:cacheprovider", *tests],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr)[-3000:]


def table(verdicts: Iterable[Verdict]) -> str:
    """As Markdown."""
    rows = [
        f"| {verdict.mutant.name} | `{verdict.mutant.test}` | {'yes' if verdict.caught else '**no**'} |"
        for verdict in verdicts
    ]
    return "\n".join(["| Broken | Test | Caught |", "|---|---|---|", *rows])


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak.mutants", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="WORD", help="mutants whose name holds it")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    verdicts = []
    try:
        for verdict in judge(chosen):
            print(f"{'caught  ' if verdict.caught else 'SURVIVES'} {verdict.mutant.name}", file=sys.stderr, flush=True)
            verdicts.append(verdict)
    except (MutantOutdated, CannotJudge) as error:
        print(error, file=sys.stderr)
        return 2
    print(table(verdicts))
    survived = [verdict for verdict in verdicts if not verdict.caught]
    for verdict in survived:
        print(f"\n{verdict.mutant.name} survives {verdict.mutant.test}:\n{verdict.said}", file=sys.stderr)
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
