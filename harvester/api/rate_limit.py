"""Reads the rate-limit headers of an answer. Whatever stands there, reading never raises."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from harvester.api.errors import clean_text
from harvester.model import Limits, Rule, Triplet

_PREFIX = "x-rate-limit-"
_NOT_RULES = frozenset({"policy", "rules"})
_TRIPLET = re.compile(r"\s*([0-9]{1,9})\s*:\s*([0-9]{1,9})\s*:\s*([0-9]{1,9})\s*")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_MOST_RULES = 16
_MOST_TRIPLETS = 16

LONGEST_WAIT = 7 * 86_400.0
"""Seconds; a `Retry-After` beyond it is taken for a mistake and cut."""


def parse_limits(headers: Mapping[str, str], *, now: float | None = None) -> Limits:
    """The limits that an answer's headers tell; names in any case.

    `now` (epoch seconds) is what a `Retry-After` date is compared with where the answer has no `Date`.
    What cannot be read is left out and named in `Limits.problem`.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    problems: list[str] = []
    policy = clean_text(lower.get(_PREFIX + "policy", ""), 128) or None
    rules = []
    for name in _rule_names(lower, problems):
        rule = _rule(name, lower, problems)
        if rule is not None:
            rules.append(rule)
    return Limits(
        policy=policy,
        rules=tuple(rules),
        retry_after=_retry_after(lower, now, problems),
        problem=clean_text("; ".join(problems)) or None,
    )


def date_of(text: str | None) -> float | None:
    """An HTTP date as epoch seconds; None where it cannot be read."""
    if not text:
        return None
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _rule_names(lower: Mapping[str, str], problems: list[str]) -> list[str]:
    names = list(dict.fromkeys(clean_text(name, 64) for name in lower.get(_PREFIX + "rules", "").split(",")))
    names = [name for name in names if name]
    if not names:
        names = [
            key[len(_PREFIX) :]
            for key in lower
            if key.startswith(_PREFIX) and not key.endswith("-state") and key[len(_PREFIX) :] not in _NOT_RULES | {""}
        ]
        if names:
            problems.append("X-Rate-Limit-Rules is missing")
    if len(names) > _MOST_RULES:
        problems.append(f"more than {_MOST_RULES} rules")
    return names[:_MOST_RULES]


def _rule(name: str, lower: Mapping[str, str], problems: list[str]) -> Rule | None:
    header = _PREFIX + name.lower()
    limits = _triplets(header, lower, problems)
    if not limits:
        problems.append(f"rule {name} has no readable limit")
        return None
    state = _triplets(header + "-state", lower, problems)
    free = list(range(len(state)))
    triplets = []
    for position, limit in enumerate(limits):
        hits, period, restriction = limit
        match = position if position in free and state[position][1] == period else None
        if match is None:
            match = next((index for index in free if state[index][1] == period), None)
        if hits == 0 or period == 0:
            problems.append(f"rule {name} has the impossible limit {hits}:{period}")
            continue
        if match is None:
            triplets.append(Triplet(hits, period, restriction))
        else:
            free.remove(match)
            triplets.append(Triplet(hits, period, restriction, state[match][0], state[match][2]))
    return Rule(name, tuple(triplets)) if triplets else None


def _triplets(header: str, lower: Mapping[str, str], problems: list[str]) -> list[tuple[int, int, int]]:
    text = lower.get(header)
    if text is None:
        return []
    found = []
    parts = text.split(",", _MOST_TRIPLETS)
    for part in parts[:_MOST_TRIPLETS]:
        match = _TRIPLET.fullmatch(part)
        if match is None:
            problems.append(f"{header}: cannot read {clean_text(part, 40)!r}")
        else:
            found.append((int(match[1]), int(match[2]), int(match[3])))
    if len(parts) > _MOST_TRIPLETS:
        problems.append(f"{header}: more than {_MOST_TRIPLETS} triplets")
    return found


def _retry_after(lower: Mapping[str, str], now: float | None, problems: list[str]) -> float | None:
    text = lower.get("retry-after")
    if text is None:
        return None
    text = text.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        until, base = date_of(text), date_of(lower.get("date"))
        base = now if base is None else base
        if until is None or base is None or not math.isfinite(until - base):
            problems.append(f"Retry-After: cannot read {clean_text(text, 40)!r}")
            return None
        seconds = max(0.0, until - base)
    if seconds > LONGEST_WAIT:
        problems.append(f"Retry-After: {seconds:.0f} s cut to {LONGEST_WAIT:.0f} s")
        return LONGEST_WAIT
    return seconds
