"""What a question to the store may cost, and what came back: plain columns and rows, frozen."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from harvester.store.handle import Answer, Row


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What one query may cost."""

    seconds: int = 60
    rows: int = 10_000
    """Of the result. What is over is cut off, and said."""
    result_bytes: int = 16 << 20
    """Of the result, before it is cut off."""
    memory_bytes: int = 2 << 30
    """While it runs."""

    def settings(self, mark: str) -> dict[str, Any]:
        """ClickHouse settings; `mark` is what the query is found by when it is to be cancelled."""
        return {
            "max_execution_time": self.seconds,
            "max_result_rows": self.rows + 1,  # one more tells "exactly so many" from "more"
            "max_result_bytes": 2 * self.result_bytes,
            "result_overflow_mode": "break",
            "max_block_size": min(self.rows + 1, 8_192),  # the engine looks at the limits after each block
            "max_memory_usage": self.memory_bytes,
            # The harvest, and the screen, want the other half of the machine.
            "max_threads": max(1, (os.cpu_count() or 1) // 2),
            # A server ends the query of somebody who has gone away.
            "cancel_http_readonly_queries_on_client_close": 1,
            "allow_ddl": 0,
            "allow_introspection_functions": 0,
            "log_comment": mark,
        }


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query returned."""

    sql: str
    """As it was run: the engine's own writing of what was asked."""
    columns: tuple[str, ...]
    types: tuple[str, ...]
    """The ClickHouse type of each column."""
    rows: tuple[Row, ...]
    took_ms: int
    read_rows: int
    """Rows that the engine read to answer; 0 where it does not say."""
    read_bytes: int
    cut: str
    """Why the result is not whole; empty where it is."""


def result_of(sql: str, answer: Answer, limits: QueryLimits, took_ms: int) -> QueryResult:
    """An answer with the limits applied to the row and byte."""
    rows = answer.rows
    cut = ""
    if len(rows) > limits.rows:
        rows = rows[: limits.rows]
        cut = f"cut off after {limits.rows:,} rows; there are more"
    fitting = _rows_within(rows, limits.result_bytes)
    if fitting < len(rows):
        rows = rows[:fitting]
        cut = f"cut off after {fitting:,} rows, {limits.result_bytes / (1 << 20):,.0f} MB; there are more"
    return QueryResult(
        sql=sql,
        columns=answer.columns,
        types=answer.types,
        rows=tuple(rows),
        took_ms=took_ms,
        read_rows=answer.read_rows,
        read_bytes=answer.read_bytes,
        cut=cut,
    )


def _rows_within(rows: list[Row], limit: int) -> int:
    """How many rows fit; a cell counts as at least what the engine counts for it."""
    size = 0
    for number, row in enumerate(rows):
        size += sum(_size(value) for value in row)
        if size > limit:
            return number
    return len(rows)


def _size(value: Any) -> int:
    if isinstance(value, str):
        return 16 + (len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass")))
    if isinstance(value, bytes):
        return 16 + len(value)
    if isinstance(value, dict):
        return 16 + sum(_size(key) + _size(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return 16 + sum(map(_size, value))
    return 16
