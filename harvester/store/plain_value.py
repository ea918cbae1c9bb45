"""Values of a result in the two forms that people and programs read: text, and JSON.

| ClickHouse | text | JSON |
|---|---|---|
| NULL | nothing (`NULL` on a screen) | null |
| numbers | as they are | numbers, of any size; `nan`, `inf`, `-inf` as texts |
| Decimal | exact | exact, as text |
| Date, DateTime | `2026-11-25`, `2026-11-25T03:00:00.123Z` | the same, as text |
| FixedString, String | as it is; bytes that are no UTF-8 in hexadecimal | the same |
| Array, Tuple | as JSON | array |
| Map, named Tuple | as JSON | object; keys as text |
| UUID, IP, Enum … | as ClickHouse writes it | the same, as text |
"""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any


def as_text(value: Any, *, null: str = "") -> str:
    """A value as text, in one form for screen, CSV and table."""
    if value is None:
        return null
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    plain = as_json(value)
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def as_json(value: Any) -> Any:
    """A value as `json.dumps` takes it, whatever ClickHouse type it came from."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes(bytes(value))
    if isinstance(value, dict):
        return {as_text(key, null="NULL"): as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [as_json(item) for item in value]
    return str(value)


def _instant(value: datetime) -> str:
    """The driver leaves the zone away where it is UTC."""
    moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    text = moment.isoformat(timespec="milliseconds" if not moment.microsecond % 1000 else "microseconds")
    if not moment.microsecond:
        text = moment.isoformat(timespec="seconds")
    return text.replace("+00:00", "Z")


def _bytes(value: bytes) -> str:
    try:
        return value.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError:
        return value.hex()
