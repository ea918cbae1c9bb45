"""What a command line asks of the terminal app."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

SIMULATED_FEED = "psapi"
_PLAIN = frozenset({"--demo", "--monitor", "--start", "--no-start"})


@dataclass(frozen=True, slots=True)
class Wishes:
    """How the app is to be opened."""

    demo: bool = False
    monitor: bool = False
    start: bool | None = None
    """`--start`, `--no-start`; None: as it was left."""
    feeds: Sequence[str] | None = None
    realms: Sequence[str] | None = None
    leagues: Sequence[str] | None = None


def on_a_terminal() -> bool:
    """Whether standard input and output both are a terminal."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def plain_wishes(arguments: Sequence[str]) -> Wishes | None:
    """The wishes of a command line that only opens the app; None where there is more to it than that."""
    given = set(arguments)
    if not given <= _PLAIN or given >= {"--start", "--no-start"} or not on_a_terminal():
        return None
    start = True if "--start" in given else False if "--no-start" in given else None
    return Wishes("--demo" in given, "--monitor" in given, start)
