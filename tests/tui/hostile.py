"""What strangers may write: markup, escape sequences, bidi marks, NUL, towers of accents, ten thousand characters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

import pytest

TEXTS = (
    "[red]markup[/red] [/x] [@click=app.leave]click[/] [link=http://evil]l[/link]",
    "\x1b[31mred\x1b[0m \x1b[2J\x1b[H \x9b31m c1",
    "\x1b]0;title\x07 \x1b]52;c;ZXZpbA==\x07 \x1b]8;;http://evil\x1b\\link",
    "\u202eright to left\u202c \u2066isolate\u2069 \u200e\u200f\u061c",
    "NUL \x00 BEL \x07 BS \x08 DEL \x7f CR \r\n lines \n and \t tabs \v \f \x85 \u2028 \u2029",
    "tower e" + "\u0301" * 300 + " zalgo",
    "lone \ud800 surrogate \udfff, private \ue000, tags \U000e0041, zero\u200bwidth\u200d\ufeff",
    "x" * 10_000,
    "[" * 3_000,
    "日本語 " * 50 + "👩‍👩‍👧‍👦" * 20,
    "\\[escaped\\] $variable {format} %s",
)

_ALWAYS = (0, 2, 3, 4, 6)

FORBIDDEN = frozenset(
    [chr(code) for code in range(0x20)]
    + [chr(code) for code in range(0x7F, 0xA0)]
    + list("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff\u200b")
    + [chr(code) for code in range(0xD800, 0xE000)]
)
"""What must never be in a cell of the screen."""


def poisoned(value: Any, text: str) -> Any:
    """A frozen value with every string in it, however deep, replaced."""
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return text
    if isinstance(value, tuple):
        return tuple(poisoned(part, text) for part in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{part.name: poisoned(getattr(value, part.name), text) for part in fields(value)})
    return value


def slice_of(texts: Sequence[str]) -> list[Any]:
    """The kinds that differ most for `make test`, all of them for the soak; as parameters named by their place."""
    return [
        pytest.param(text, id=str(place), marks=() if place in _ALWAYS else pytest.mark.soak)
        for place, text in enumerate(texts)
    ]
