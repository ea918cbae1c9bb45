"""One HTTP request as one statement of the engine: its settings, its parameters, its data."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What the HTTP interface reads itself; everything else in the URL is a setting of the statement.
_TRANSPORT = frozenset(
    {
        "query", "database", "query_id", "session_id", "session_timeout", "session_check", "quota_key", "compress",
        "decompress", "buffer_size", "wait_end_of_query", "client_protocol_version", "role", "default_format",
        "send_progress_in_http_headers", "http_headers_progress_interval_ms", "enable_http_compression",
    }
)  # fmt: skip
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT_WITH_DATA = re.compile(
    rb"\A\s*INSERT\s+INTO\s+(?P<into>.+?)\s+FORMAT\s+(?P<format>\w+)\s*?\n", re.IGNORECASE | re.DOTALL
)
_CODE = re.compile(r"Code: (\d+)\.")
_CONTROL = re.compile(
    rb"\A\s*(CREATE|ALTER|DROP|RENAME|EXCHANGE|INSERT|OPTIMIZE|TRUNCATE|KILL|SET|USE|SYSTEM)\b", re.IGNORECASE
)


class Refused(Exception):  # noqa: N818
    """The statement failed; `code` is ClickHouse's."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @property
    def http_status(self) -> int:
        """As the server maps codes to statuses."""
        if self.code in (60, 81):
            return 404
        if self.code in (192, 193, 194, 497, 516):
            return 403
        if self.code in (47, 62, 164, 241, 252, 27, 43, 53):
            return 500 if self.code in (241, 252) else 400
        return 500


@dataclass(frozen=True)
class Result:
    """What a statement returned."""

    body: bytes
    format: str | None
    """None for a statement that returns nothing."""
    summary: Mapping[str, str]


def execute(connection: Any, parameters: Mapping[str, str], body: bytes, *, fixed: Mapping[str, str]) -> Result:
    """Run a request on a connection that nobody else uses.

    Args:
        connection: a chdb connection, fresh.
        parameters: the URL's.
        body: the request's body, decompressed: the statement, its end, or its data.
        fixed: settings of the user, which the request cannot change.

    Raises:
        Refused: the engine says no.
    """
    database = parameters.get("database")
    if database:
        _ask(connection, f"USE {_quote_name(database)}")
    for name, value in parameters.items():
        if name in _TRANSPORT or name.startswith("param_"):
            continue
        if "readonly" in fixed:
            raise Refused(164, f"Code: 164. DB::Exception: Cannot modify '{name}' setting in readonly mode. (READONLY)")
        _ask(connection, f"SET {_setting(name)} = {_quote(value)}")
    for name, value in fixed.items():
        _ask(connection, f"SET {_setting(name)} = {_quote(value)}")
    statement = parameters.get("query", "").encode()
    statement = statement + b"\n" + body if statement and body else statement or body
    values = {name[6:]: value for name, value in parameters.items() if name.startswith("param_")}
    found = _INSERT_WITH_DATA.match(statement)
    if found:
        return _insert(connection, found, statement[found.end() :])
    named = _FORMAT.search(statement)
    if named:
        answer = _ask(connection, statement, named.group(1).decode(), values)
        return Result(answer.bytes() or b"", named.group(1).decode(), _summary(answer))
    answer = _ask(connection, statement, "TabSeparated", values)
    returns = None if _CONTROL.match(statement) else "TabSeparated"
    return Result(answer.bytes() or b"", returns, _summary(answer))


def _insert(connection: Any, found: re.Match[bytes], data: bytes) -> Result:
    """The engine takes data from a file only."""
    descriptor, name = tempfile.mkstemp(suffix=".data")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        sql = b"INSERT INTO %b FROM INFILE %b FORMAT %b" % (
            found["into"],
            _quote(name).encode(),
            found["format"],
        )
        answer = _ask(connection, sql)
        summary = _summary(answer)
        return Result(b"", None, {"written_rows": summary["read_rows"], "written_bytes": summary["read_bytes"]})
    finally:
        Path(name).unlink()


def _ask(connection: Any, sql: str | bytes, form: str = "TabSeparated", values: Mapping[str, str] | None = None) -> Any:
    try:
        return connection.query(sql, form, params=dict(values or {}))
    except Exception as error:
        text = str(error)
        text = text[max(0, text.find("Code: ")) :]
        code = _CODE.search(text)
        raise Refused(int(code.group(1)) if code else 1002, text) from None


def _summary(answer: Any) -> dict[str, str]:
    return {"read_rows": str(answer.rows_read()), "read_bytes": str(answer.bytes_read())}


def summary_header(summary: Mapping[str, str]) -> str:
    """As `X-ClickHouse-Summary` carries it."""
    return json.dumps(dict(summary))


def _setting(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise Refused(
            115,
            f"Code: 115. DB::Exception: Setting {name} is unknown (UNKNOWN_SETTING)",
        )
    return name


def _quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _quote_name(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
