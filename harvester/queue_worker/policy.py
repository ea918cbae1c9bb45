"""What the operator decided about a queue, and how a queue says that it cannot go on."""

from __future__ import annotations

from dataclasses import dataclass

from harvester.backoff import Backoff


@dataclass(frozen=True, slots=True)
class WorkerPolicy:
    """What the operator decided about one queue."""

    backoff: Backoff
    show_trouble_after: int
    """Tries before a failure is shown as trouble."""
    poll_interval: float
    """Seconds between requests at the end of the stream."""
    ahead: int = 2
    """Requests in flight or unread beside the one that is awaited."""
    pages: int | None = None
    """Stop after so many pages; None for no such goal."""
    until_caught_up: bool = False
    """Stop when the end of the stream is confirmed and everything is committed."""


class QueueStopped(Exception):  # noqa: N818
    """The queue cannot go on by itself; the message says why, `todo` what helps.

    `misconfigured` says that starting again without a change of the settings leads here again.
    """

    def __init__(self, message: str, todo: str, *, misconfigured: bool = False) -> None:
        super().__init__(message)
        self.todo = todo
        self.misconfigured = misconfigured
