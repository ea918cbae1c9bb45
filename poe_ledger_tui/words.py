"""Figures in words: one way to write a duration, a count, a size and an instant, in every pane."""

from __future__ import annotations

from datetime import UTC, datetime

UNKNOWN = "–"


def duration(seconds: float | None) -> str:
    """`3 s`, `4m 10s`, `3h 12m`, `5d 4h`; `–` where unknown."""
    if seconds is None:
        return UNKNOWN
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def short_duration(seconds: float | None) -> str:
    """Below ten seconds with two places: `0.31 s`."""
    if seconds is not None and 0 <= seconds < 10:
        return f"{seconds:.2f} s"
    return duration(seconds)


def count(number: int | float | None) -> str:
    """`11,204`; from a hundred thousand on `1.2 M`; `–` where unknown."""
    if number is None:
        return UNKNOWN
    if abs(number) < 100_000:
        return f"{number:,.0f}"
    for size, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:,.1f} {name}" if number / size < 100 else f"{number / size:,.0f} {name}"
    return f"{number:,.0f}"


def counted(number: int, name: str) -> str:
    """`1 page`, `2 pages`."""
    return f"{count(number)} {name if number == 1 else f'{name}s'}"


def rate(per_second: float | None) -> str:
    """`1.78`, `61`, `1.9 k`."""
    if per_second is None:
        return UNKNOWN
    if per_second < 10:
        return f"{per_second:.2f}".rstrip("0").rstrip(".") if per_second else "0"
    if per_second < 1000:
        return f"{per_second:.0f}"
    return count(round(per_second)) if per_second >= 100_000 else f"{per_second / 1000:.1f} k"


def size(number: float | None) -> str:
    """Bytes in decimal units: `1.2 GB`."""
    if number is None:
        return UNKNOWN
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}" if number / unit < 100 else f"{number / unit:.0f} {name}"
    return f"{number:.0f} B"


def milliseconds(value: float | None) -> str:
    """`312 ms`, `1.24 s`."""
    if value is None:
        return UNKNOWN
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.2f} s"


def clock_time(epoch_seconds: float | None) -> str:
    """`14:02:11Z`."""
    return UNKNOWN if epoch_seconds is None else datetime.fromtimestamp(epoch_seconds, UTC).strftime("%H:%M:%SZ")


def short_time(epoch_seconds: float | None) -> str:
    """`14:02`, in UTC as everything here."""
    return UNKNOWN if epoch_seconds is None else datetime.fromtimestamp(epoch_seconds, UTC).strftime("%H:%M")


def date_time(epoch_seconds: float | None) -> str:
    """`2026-11-23 13:00:05Z`."""
    if epoch_seconds is None:
        return UNKNOWN
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def middle(text: str, width: int) -> str:
    """A long name cut in its middle: cursors differ at both ends."""
    if len(text) <= width or width < 5:
        return text[:width]
    head = (width - 1) // 2
    return f"{text[:head]}…{text[-(width - 1 - head) :]}"


def tries_words(tries: int) -> str:
    """How often something was tried, behind a comma; nothing where that does not count."""
    return "" if not tries else f", {tries:,} {'try' if tries == 1 else 'tries'}"
