"""Named instants of a commit at which the crash proof may pull the plug; nothing happens at them otherwise."""

from __future__ import annotations

from collections.abc import Callable

CrashPoint = Callable[[str], None]
"""Called with the name of the step about to begin."""


def no_crash(_step: str) -> None:
    """The production hook."""


CURRENCY_CRASH_POINTS = ("bronze", "dead letters", "currency_markets", "checkpoint", "spool file")
"""Every name that a commit of an exchange hour calls out, in its order."""

CRASH_POINTS = (
    "bronze",
    "dead letters",
    "stashes",
    "listings",
    "items",
    "kept_listings",
    "stash_state",
    "item_homes",
    "checkpoint",
    "spool file",
)
"""Every name that a commit of public stash pages calls out, in the order of a page."""
