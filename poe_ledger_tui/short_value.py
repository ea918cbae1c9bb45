"""Values of a result as a cell can show them: a megabyte of text or a list of millions costs no more than a word."""

from __future__ import annotations

from typing import Any

from harvester.store.plain_value import as_text

_DEEPEST = 4


def short_text(value: Any, *, limit: int) -> str:
    """The beginning of a value as text; `NULL` for none. The result itself, and what is exported, stay whole."""
    text = as_text(_trimmed(value, limit, _DEEPEST), null="NULL")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _trimmed(value: Any, limit: int, depth: int) -> Any:
    if isinstance(value, (str, bytes)):
        return value[: limit + 1]
    if not isinstance(value, (list, tuple, dict)):
        return value
    if depth == 0:
        return "…"
    most = max(1, limit // 4)
    if isinstance(value, dict):
        some = list(value.items())[:most]
        return {_trimmed(key, limit, depth - 1): _trimmed(item, limit, depth - 1) for key, item in some}
    return [_trimmed(item, limit, depth - 1) for item in value[:most]]
