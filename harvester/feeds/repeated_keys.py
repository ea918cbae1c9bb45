"""Keys that stand twice in one JSON object: readers differ in which of the two they take, so nobody may guess.

The door's reader takes the last, the engine's functions the first.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

_MARK = b'":'
"""What stands behind every key, and in no other place that reading and writing anew does not keep."""
_SPACED_MARK = re.compile(rb'"[ \t\r\n]+:')
_ESCAPED_MARK = re.compile(rb"\\u00(?:22|3[aA])")


def may_repeat(body: bytes) -> bool:
    """Whether any object of a text might hold a key twice. False is certain; True has to be looked into.

    Reading makes one of two keys, so what is written anew has fewer. That takes a tenth of a slow reader's time.
    """
    if _ESCAPED_MARK.search(body) or _SPACED_MARK.search(body):
        return True
    try:
        return msgspec.json.encode(msgspec.json.decode(body)).count(_MARK) != body.count(_MARK)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError):
        return True


def repeated_keys(text: bytes) -> tuple[frozenset[str], frozenset[str]]:
    """The keys that stand twice in the object that `text` is, and those that do in any object within it.

    None of a text that cannot be read at all.
    """
    objects: list[frozenset[str]] = []

    def take(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        objects.append(frozenset(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]

    try:
        json.loads(text.decode("utf-8", "surrogateescape"), strict=False, object_pairs_hook=take)
    except (ValueError, RecursionError):
        return frozenset(), frozenset()
    return (objects[-1] if objects else frozenset()), frozenset().union(*objects[:-1])


def told(keys: frozenset[str]) -> str:
    """A reason in words, without a character that a terminal obeys."""
    names = ", ".join(json.dumps(key)[:60] for key in sorted(keys)[:3])
    return f"a key stands twice in one object: {names}"
