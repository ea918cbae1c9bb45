"""Sanity checks: the queries of `schema/sanity/*.sql`, each with a title and a rule that judges its result.

A file can be given to `clickhouse-client --multiquery` as it is. It begins with `USE poe_trade;`, which is
skipped here: checks run in the database in force. Each check is one SELECT below two comment lines:

    -- title: Every page has its stash rows
    -- verdict: red when bad > 0 or checked = 0

Every row of the result is judged (`harvester.store.verdict`) and the worst counts; no row at all is red.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle, Row
from harvester.store.sql_script import SqlScriptError, Statement, split
from harvester.store.verdict import Level, Verdict, VerdictError, VerdictRule

LIMITS: dict[str, Any] = {
    "max_execution_time": 60,
    "max_result_rows": 1_000,
    "result_overflow_mode": "throw",
}
"""What a check may cost: seconds, and rows of its result."""

_COMMENT_LINE = re.compile(r"^\s*--\s*(title|verdict)\s*:\s*(.*?)\s*$", re.MULTILINE | re.IGNORECASE)
_READING_WORDS = frozenset({"SELECT", "WITH"})


class SanityFilesError(Exception):
    """Check files that cannot be read; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Check:
    """One query and how its result is judged."""

    title: str
    file: Path
    line: int
    sql: str
    verdict: str
    """The rule as written."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check said."""

    check: Check
    level: Level
    said: str
    """Why it is not green, with the figures; empty for green."""
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    took_ms: int

    @property
    def title(self) -> str:
        """The title of the check."""
        return self.check.title

    @property
    def file(self) -> Path:
        """The file of the check."""
        return self.check.file


def load_checks(directory: Path, only: str | None = None) -> list[Check]:
    """The checks of all `.sql` files of a directory; `only` names one file without its suffix.

    Raises:
        SanityFilesError: naming what cannot be read.
    """
    files = sorted(directory.glob("*.sql")) if directory.is_dir() else []
    if only is not None:
        names = [file.stem for file in files]
        files = [file for file in files if file.stem == only.removesuffix(".sql")]
        if not files:
            raise SanityFilesError(f"There are no checks called {only}; there are: {', '.join(names) or 'none'}.")
    if not files:
        raise SanityFilesError(f"There are no sanity checks in {directory}.")
    return [check for file in files for check in _read(file)]


def _read(file: Path) -> list[Check]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        statements = split(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SanityFilesError(f"{file.name} cannot be read: {error}.") from error
    except SqlScriptError as error:
        raise SanityFilesError(f"{file.name}, {error}") from error
    checks: list[Check] = []
    comments_from = 0
    for statement in statements:
        comments = text[comments_from : statement.start]
        comments_from = statement.end
        if statement.number == 1 and statement.first_word == "USE":
            continue
        checks.append(_check(file, statement, comments))
    return checks


def _check(file: Path, statement: Statement, comments: str) -> Check:
    place = f"{file.name}, line {statement.line}"
    if statement.first_word not in _READING_WORDS:
        raise SanityFilesError(f"{place}: a check is one SELECT, not {statement.kind}.")
    found: dict[str, list[str]] = {"title": [], "verdict": []}
    for match in _COMMENT_LINE.finditer(comments):
        found[match.group(1).lower()].append(match.group(2))
    if len(found["title"]) != 1 or not found["verdict"]:
        raise SanityFilesError(f"{place}: above a check stand one line '-- title: …' and one '-- verdict: …'.")
    rule = "; ".join(found["verdict"])
    try:
        VerdictRule(rule)
    except VerdictError as error:
        raise SanityFilesError(f"{place}: {error}.") from error
    return Check(found["title"][0], file, statement.line, statement.sql, rule)


def run_check(handle: Handle, check: Check, monotonic: Callable[[], float] = time.monotonic) -> CheckResult:
    """Run one check on a read-only handle and judge it. A query that fails is a result of level `error`.

    Raises:
        StoreError: the store itself is gone or refuses us.
    """
    began = monotonic()
    columns: tuple[str, ...] = ()
    rows: list[Row] = []
    try:
        columns, rows = handle.table(check.sql)
        verdict = _judge(VerdictRule(check.verdict), columns, rows)
    except StoreError as error:
        if error.fault in {StoreFault.UNREACHABLE, StoreFault.CREDENTIALS, StoreFault.HELD}:
            raise
        verdict = Verdict(Level.ERROR, f"{error} {error.hint}".strip())
    except VerdictError as error:
        verdict = Verdict(Level.ERROR, str(error))
    took_ms = round((monotonic() - began) * 1000)
    return CheckResult(check, verdict.level, verdict.reason, columns, tuple(rows), took_ms)


def _judge(rule: VerdictRule, columns: Sequence[str], rows: Sequence[Row]) -> Verdict:
    if not rows:
        return Verdict(Level.RED, "the check returned no row")
    verdicts = [rule.judge(dict(zip(columns, map(_plain, row), strict=True))) for row in rows]
    return max(verdicts, key=lambda verdict: verdict.level.rank)


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def run_checks(
    engine: Engine,
    checks: Sequence[Check],
    on_result: Callable[[CheckResult], None] = lambda _: None,
    monotonic: Callable[[], float] = time.monotonic,
) -> list[CheckResult]:
    """Run checks one after the other on a read-only handle with time and row limits.

    Raises:
        StoreError: the store cannot be asked.
    """
    results: list[CheckResult] = []
    with engine.open_read_only(LIMITS) as handle:
        for check in checks:
            result = run_check(handle, check, monotonic)
            results.append(result)
            on_result(result)
    return results
