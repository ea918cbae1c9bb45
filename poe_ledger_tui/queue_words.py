"""How a queue is, in words: used by the table, the detail view and the figures a test reads."""

from __future__ import annotations

from harvester.feeds.currency_exchange import FEED_NAME, HISTORY_FEED, hour_text, is_hour
from harvester.lag import LagLevel
from harvester.snapshot import QueueSnapshot, QueueState
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.words import UNKNOWN, duration, short_time, tries_words

_PLAIN = {
    QueueState.STARTING: ("… STARTING", "accent"),
    QueueState.RECOVERING: ("… RECOVERING", "accent"),
    QueueState.STORE_LOST: ("!! STORE LOST", "red"),
    QueueState.SPOOL_FULL: ("!! SPOOL FULL", "red"),
    QueueState.PAUSED: ("‖ PAUSED", "amber"),
    QueueState.STOPPING: ("… STOPPING", "accent"),
    QueueState.STOPPED: ("○ STOPPED", "muted"),
    QueueState.FAILED: ("!! FAILED", "red"),
    QueueState.UNKNOWN: ("? UNKNOWN", "amber"),
}


def state_words(queue: QueueSnapshot) -> tuple[str, str]:
    """The state word with its sign, and its role in the theme."""
    if queue.state in _PLAIN:
        return _PLAIN[queue.state]
    if queue.level is LagLevel.RED:
        return ("!! STALLED" if queue.trouble else "!! RED"), "red"
    if queue.state is QueueState.RETRYING:
        return "! RETRYING", "amber"
    if queue.state is QueueState.RESTRICTED:
        return "! RESTRICTED", "amber"
    if queue.level is LagLevel.AMBER:
        return "! AMBER", "amber"
    if queue.state is QueueState.CAUGHT_UP:
        return "CAUGHT UP", "ok"
    return ("OK", "ok") if queue.level is LagLevel.OK else ("… WAITING", "accent")


def lag_now(queue: QueueSnapshot, taken_at: float, at: float) -> float | None:
    """The lag goes on growing after the Snapshot was taken."""
    if queue.lag_seconds is None:
        return None
    if queue.wakes_at is not None and queue.wakes_at > taken_at:
        return max(0.0, at - queue.wakes_at) if at > queue.wakes_at else queue.lag_seconds
    return queue.lag_seconds + max(0.0, at - taken_at)


def cursor_words(queue_key: str, cursor: str) -> str:
    """A cursor as people read it: of the currency exchange an hour in UTC, else as it is. Empty where there is none."""
    if queue_key.partition(":")[0] in (FEED_NAME, HISTORY_FEED) and cursor and is_hour(cursor):
        return hour_text(cursor)
    return clean(cursor)


def behind_words(queue: QueueSnapshot) -> str:
    """Whole hours behind the head of the stream; `?` where the head is unknown."""
    return "?" if queue.behind_hours is None else f"{queue.behind_hours:,} h"


def stalled_words(queue: QueueSnapshot) -> str:
    """Since when nothing moves."""
    return "" if queue.stalled_since is None else short_time(queue.stalled_since)


def trouble_words(queue: QueueSnapshot, at: float) -> str:
    """The last trouble with its tries and its next try; else what the queue waits for."""
    trouble = queue.trouble
    if trouble is not None:
        then = "" if trouble.next_try_at is None else f", next in {duration(max(0.0, trouble.next_try_at - at))}"
        words = f"{clean(trouble.what)}{tries_words(trouble.tries)}{then}"
        return words + (f". {clean(trouble.todo)}" if trouble.todo else "")
    if queue.wakes_at is not None and queue.wakes_at > at:
        return f"next at {short_time(queue.wakes_at)}"
    return ""


def lag_words(queue: QueueSnapshot, taken_at: float, at: float) -> str:
    """The lag as it is at `at`."""
    lag = lag_now(queue, taken_at, at)
    return UNKNOWN if lag is None else duration(lag)
