"""`poe-ledger --headless sanity`: run the sanity checks and say how they stand.

Exit codes: 0 no check is red, 1 a check could not be judged or the store could not be asked, 2 the check
files are at fault, 4 a check is red.
"""

from __future__ import annotations

import json as json_format
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from harvester.commands.hints import HEADLESS, nothing_yet
from harvester.commands.output import print_table, printable, say
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.migration_status import is_unborn
from harvester.store.read import nothing_harvested
from harvester.store.sanity import CheckResult, SanityFilesError, load_checks, run_checks
from harvester.store.schema_files import SchemaFilesMissingError, sanity_directory
from harvester.store.verdict import Level

DONE, FAILED, MISUSED, RED = 0, 1, 2, 4

# A word or sign always stands beside the colour.
_STYLES = {
    Level.GREEN.value: "green",
    Level.AMBER.value: "yellow",
    Level.RED.value: "bold red",
    Level.ERROR.value: "bold red",
}


def run_sanity(
    engine: Engine,
    *,
    out: TextIO,
    err: TextIO,
    only: str | None = None,
    json: bool = False,
    directory: Path | None = None,
    command: str = HEADLESS,
) -> int:
    """Run the checks and return the exit code. `only` names one file, for example `bronze`.

    `directory` holds the checks; default are those of this release. `command` begins the commands in hints.
    """
    try:
        checks = load_checks(directory or sanity_directory(), only)
    except (SanityFilesError, SchemaFilesMissingError) as error:
        say(err, str(error))
        return MISUSED
    if is_unborn(engine):
        say(err, f"There is no store yet: {nothing_yet(command)}")
        return FAILED
    try:
        results = run_checks(engine, checks)
    except StoreError as error:
        empty = error.fault is StoreFault.NO_DATABASE
        say(err, f"The store is empty: {nothing_yet(command)}" if empty else f"{error} {error.hint}".strip())
        return FAILED
    if json:
        say(out, json_format.dumps({"checks": [_as_json(result) for result in results]}, indent=2))
    else:
        rows = [[r.level.value, r.file.stem, r.title, f"{r.took_ms} ms", _told(r)] for r in results]
        print_table(out, ["level", "file", "check", "took", "figures"], rows, _STYLES)
    say(err, _summary(results))
    if _nothing_yet(engine, results):
        say(err, f"The store is empty: {nothing_yet(command)}")
    levels = {result.level for result in results}
    if Level.ERROR in levels:
        return FAILED
    return RED if Level.RED in levels else DONE


def _nothing_yet(engine: Engine, results: Sequence[CheckResult]) -> bool:
    """Whether checks are red only because there is nothing to check."""
    if all(result.level is Level.GREEN for result in results):
        return False
    try:
        with engine.open_read_only() as handle:
            return nothing_harvested(handle)
    except StoreError:
        return False  # the results have said what is wrong


def _told(result: CheckResult) -> str:
    """Why a check is not green; else the figures of its first row."""
    if result.said or not result.rows:
        return result.said
    figures = zip(result.columns, result.rows[0], strict=True)
    return ", ".join(f"{name} = {'NULL' if value is None else value}" for name, value in figures)


def _summary(results: Sequence[CheckResult]) -> str:
    counts = [(level, sum(result.level is level for result in results)) for level in Level]
    return f"{len(results)} checks: " + ", ".join(f"{count} {level.value}" for level, count in counts if count) + "."


def _as_json(result: CheckResult) -> dict[str, Any]:
    return {
        "title": result.title,
        "file": result.file.name,
        "level": result.level.value,
        "said": result.said,
        "verdict": result.check.verdict,
        "columns": list(result.columns),
        "rows": [[_json_value(value) for value in row] for row in result.rows],
        "took_ms": result.took_ms,
    }


def _json_value(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return printable(str(value), keep_lines=True)
