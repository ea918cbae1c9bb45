"""Results of queries as CSV and JSON: one writer for the terminal app and for `poe-ledger --headless query`.

Item names and notes come from strangers, and a spreadsheet runs a cell that begins with `=`, `+`, `-` or `@`. So CSV
puts an apostrophe in front of such texts (of texts alone: numbers stay numbers). JSON is exact.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from harvester.store.plain_value import as_json, as_text
from harvester.store.query_result import QueryResult

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_QUOTED_FOR = frozenset('",\r\n')


class ResultFormat(StrEnum):
    """How a result is written."""

    CSV = "csv"
    """RFC 4180 with a header; NULL is nothing, the empty text is `""`."""
    JSON = "json"
    """One object: `columns`, `types`, `rows` (arrays), `cut` (why the result is not whole, or null), `took_ms`."""
    JSONL = "jsonl"
    """One object a line, by column name."""


class Writes(Protocol):
    """Takes text, as every text stream does."""

    def write(self, text: str, /) -> int: ...


def write_result(out: Writes, result: QueryResult, form: ResultFormat) -> None:
    """Write a result. Line ends are `\\n`, so that a file is the same everywhere."""
    for line in _lines(result, form):
        out.write(line + "\n")


def save_result(path: Path, result: QueryResult, form: ResultFormat) -> None:
    """Write a result to a new file that only its owner may read; an unfinished file is removed.

    Raises:
        FileExistsError: there is one already; nothing is overwritten.
        OSError: it cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", newline="") as out:  # noqa: PTH123
            write_result(out, result, form)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _lines(result: QueryResult, form: ResultFormat) -> Iterator[str]:
    match form:
        case ResultFormat.CSV:
            yield ",".join(map(_csv_text, result.columns))
            for row in result.rows:
                yield ",".join(map(_csv, row))
        case ResultFormat.JSONL:
            for row in result.rows:
                yield json.dumps(dict(zip(result.columns, map(as_json, row), strict=True)), ensure_ascii=True)
        case ResultFormat.JSON:
            head = {"columns": list(result.columns), "types": list(result.types)}
            tail = {"cut": result.cut or None, "took_ms": result.took_ms}
            yield json.dumps(head)[:-1] + ', "rows": ['
            last = len(result.rows) - 1
            for number, row in enumerate(result.rows):
                yield json.dumps([as_json(value) for value in row]) + ("," if number < last else "")
            yield "], " + json.dumps(tail)[1:]


def _csv(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return as_text(value)
    return _csv_text(as_text(value))


def _csv_text(text: str) -> str:
    if text.startswith(_FORMULA):
        text = f"'{text}"
    if not text or _QUOTED_FOR & set(text) or text != text.strip():
        return '"' + text.replace('"', '""') + '"'
    return text
