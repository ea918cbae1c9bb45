"""Which way a cursor leads: what can be said of ids that are opaque, as long as they look as they always did.

Every cursor seen is dash-joined counters that only rise, and one page moves their sum by about the number of its
records. What is no such thing is not judged.
"""

from __future__ import annotations

import re

_COUNTERS = re.compile(r"[0-9]{1,18}(-[0-9]{1,18}){0,15}")

LARGEST_PLAUSIBLE_STEP = 100_000
"""Records between two cursors. A page holds about a thousand; more than this deserves a second look."""


def step(before: str, after: str) -> int | None:
    """By how much the counters rise from one cursor to the next; None where the two cannot be compared."""
    if not (_COUNTERS.fullmatch(before) and _COUNTERS.fullmatch(after)):
        return None
    first, second = before.split("-"), after.split("-")
    if len(first) != len(second):
        return None
    return sum(map(int, second)) - sum(map(int, first))


def goes_back(before: str, after: str) -> bool:
    """Whether the next cursor lies before the one that was asked with: following it would run in circles."""
    moved = step(before, after)
    return moved is not None and moved < 0


def is_cursor(text: str) -> bool:
    """Whether a text looks as every cursor seen so far."""
    return _COUNTERS.fullmatch(text) is not None


def is_behind_or_same(first: str, second: str) -> bool:
    """Whether no counter of `first` is above that of `second`; False where the two cannot be compared."""
    if step(first, second) is None:
        return False
    return all(int(one) <= int(other) for one, other in zip(first.split("-"), second.split("-"), strict=True))
