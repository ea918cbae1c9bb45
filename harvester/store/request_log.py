"""What the store remembers of requests, where a new start has to know it."""

from __future__ import annotations

from harvester.clock import utc
from harvester.model import Outcome, Queue
from harvester.store.handle import Handle

_MOST = 100


def refused_since(handle: Handle, queue: Queue, since: float) -> tuple[float, ...]:
    """When requests of a queue were refused after `since`, Epoch seconds, in order; the newest hundred at most."""
    rows = handle.rows(
        "SELECT toUnixTimestamp64Milli(requested_at) / 1000 FROM bronze_requests"
        " WHERE queue_key = {queue:String} AND requested_at > {since:DateTime64(3, 'UTC')}"
        f" AND outcome = {{refused:String}} ORDER BY requested_at DESC LIMIT {_MOST}",
        {"queue": queue.key, "since": utc(since), "refused": Outcome.REFUSED.value},
    )
    return tuple(sorted(row[0] for row in rows))
