"""Lag and its level: one function, used by the screen, the status rows and the commands."""

from __future__ import annotations

from enum import StrEnum


class LagLevel(StrEnum):
    """How worrying a lag is."""

    OK = "ok"
    AMBER = "amber"
    RED = "red"
    UNKNOWN = "unknown"
    """Nothing has been harvested yet."""

    @classmethod
    def _missing_(cls, value: object) -> LagLevel:  # noqa: ARG003
        return cls.UNKNOWN  # a word of another program version


def lag_level(lag_seconds: float | None, amber_seconds: float, red_seconds: float) -> LagLevel:
    """The level of a lag, the age of the last progress; the view `v_ingest_health` says the same in SQL."""
    if lag_seconds is None:
        return LagLevel.UNKNOWN
    if lag_seconds >= red_seconds:
        return LagLevel.RED
    return LagLevel.AMBER if lag_seconds >= amber_seconds else LagLevel.OK
