"""A time as an operator types it: a clock time, a date, or how long ago. In UTC, as everywhere in the app."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

EXAMPLES = "13:05, 2026-11-24 13:05, 90m or 2h 30m (ago)"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AGO = re.compile(r"-?\s*((?:\d{1,6}\s*[smhd]\s*)+)(?:ago)?", re.IGNORECASE)
_PIECE = re.compile(r"(\d{1,6})\s*([smhd])", re.IGNORECASE)
_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d")
_CLOCK_FORMS = ("%H:%M:%S", "%H:%M")


class AskedTimeError(ValueError):
    """The text is no time, or one that is not over yet; the message says what would be one."""


def asked_time(text: str, now: float) -> float:
    """The time that is meant, in epoch seconds; a clock time alone is the last such time before `now`.

    Raises:
        AskedTimeError: it cannot be read, or lies ahead.
    """
    given = text.strip()
    ago = _AGO.fullmatch(given)
    if ago:
        return now - sum(int(number) * _UNITS[unit.lower()] for number, unit in _PIECE.findall(ago.group(1)))
    plain = given.upper().removesuffix("UTC").removesuffix("Z").replace("T", " ").strip()
    today = datetime.fromtimestamp(now, UTC)
    for form in _CLOCK_FORMS:
        found = _parsed(plain, form)
        if found is not None:
            wanted = datetime.combine(today.date(), found.time(), UTC)
            return (wanted if wanted <= today else wanted - timedelta(days=1)).timestamp()
    for form in _FORMS:
        found = _parsed(plain, form)
        if found is not None:
            at = found.replace(tzinfo=UTC).timestamp()
            if at > now:
                raise AskedTimeError("That time is still to come.")
            return at
    raise AskedTimeError(f"That is no time. Type for example {EXAMPLES}.")


def _parsed(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - a zone is given by who asks
    except ValueError:
        return None
