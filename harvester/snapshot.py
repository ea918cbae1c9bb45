"""The one frozen `Snapshot` that everything outside the harvest is drawn from, and its parts.

What cannot be known is None, never a made-up zero. Times are epoch seconds, rates are per second. Snapshots travel
between processes and through the store (`harvester/snapshot_json.py`): what is added later has a default, and no
name changes its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from harvester.api.pacer import PacerSnapshot
from harvester.api.throttle import Throttle
from harvester.events import Event, moment
from harvester.lag import LagLevel
from harvester.model import Count, Epoch, Seconds

SNAPSHOT_FORMAT = 1
"""Raised only when a reader of the former one would be misled; additions do not count."""


class QueueState(StrEnum):
    """What a queue is doing."""

    STARTING = "starting"
    RECOVERING = "recovering"
    HARVESTING = "harvesting"
    CAUGHT_UP = "caught up"
    RETRYING = "retrying"
    """A failure is being waited out."""
    WAITING = "waiting"
    """Another harvester runs the queue; this one takes over when that one ends."""
    RESTRICTED = "restricted"
    """The API has asked us to stay away for a while."""
    STORE_LOST = "store lost"
    """Pages collect in the spool until ClickHouse is back."""
    SPOOL_FULL = "spool full"
    """Polling has stopped until the store takes pages."""
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """Stopped by a cause that waiting does not mend."""
    UNKNOWN = "unknown"
    """A word of another program version."""

    @classmethod
    def _missing_(cls, value: object) -> QueueState:  # noqa: ARG003
        return cls.UNKNOWN


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps a queue from moving."""

    what: str
    since: Epoch
    tries: Count
    next_try_at: Epoch | None
    """None where nothing is tried again by itself, or where only the living know."""
    todo: str = ""

    def line(self, now: float) -> str:
        """Cause, since when, what happens next and what to do, in one line."""
        words = f"{self.what} (since {moment(self.since, now)})"
        if self.next_try_at is not None:
            count = f"try {self.tries + 1}" if self.tries else "again"
            words += f" — {count} in {max(0.0, self.next_try_at - now):.0f} s"
        return f"{words} — {self.todo}" if self.todo else words


@dataclass(frozen=True, slots=True)
class History:
    """One figure over the last minutes, in equal steps."""

    step_seconds: Seconds = 5.0
    ends_at: Epoch = 0.0
    """Where the newest step ends."""
    values: tuple[float | None, ...] = ()
    """Oldest first, whole steps only; None where nothing was known. Shorter after a young start."""


@dataclass(frozen=True, slots=True)
class RecentPage:
    """A page that was committed, or set aside, not long ago."""

    seq: Count
    cursor: str
    """What it was asked with."""
    stashes: Count
    items: Count
    page_bytes: Count
    commit_ms: float
    """From its last byte until it could be queried."""
    at: Epoch
    """When it was committed."""
    set_aside: Count = 0
    """Its records that became dead letters."""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """One queue at one instant."""

    queue_key: str
    state: QueueState
    level: LagLevel
    lag_seconds: Seconds | None
    """Age of the last progress, counted from `wakes_at` where that is later; None before the first."""
    last_progress_at: Epoch | None
    stalled_since: Epoch | None
    """Since when nothing has moved though it should; None while all is well."""
    cursor: str
    """Cursor of the last committed page."""
    next_cursor: str
    seq: Count
    """Place of the last committed page; 0 before the first."""
    pages: Count
    """Committed since the start, as are the following."""
    stashes: Count
    items: Count
    page_bytes: Count
    set_aside: Count
    """Records and pages that became dead letters."""
    spool_pages: Count
    spool_bytes: Count
    caught_up: bool
    wakes_at: Epoch | None
    """When a queue that has nothing to do until then looks again; else None."""
    behind_hours: Count | None
    """Whole hours that are published and not yet stored; None where the head of the stream is unknown."""
    trouble: Trouble | None
    commit_ms: float
    """How long the last page took from its last byte until it could be queried; 0 before the first."""
    lag: History = History()
    """Seconds."""
    recent_pages: tuple[RecentPage, ...] = ()
    """The newest, oldest first."""
    held_by: str = ""
    """Who runs the queue, in words, as its lease says; empty where nobody does."""


@dataclass(frozen=True, slots=True)
class RequestsSnapshot:
    """The requests of all queues since the start."""

    total: Count
    per_second: float
    """Mean over the last minute."""
    ok: Count
    """2xx and 3xx."""
    rate_limited: Count
    """429."""
    refused: Count
    """4xx but 429."""
    server_errors: Count
    """5xx."""
    network_errors: Count
    """No answer, or a body that broke off or could not be read."""
    p50_ms: float | None
    """From sending to the last byte, over the latest requests that were answered; None before the first."""
    p95_ms: float | None
    wire_bytes: Count
    cancelled: Count = 0
    """Left on purpose while in flight."""
    rate: History = History()


@dataclass(frozen=True, slots=True)
class ThroughputSnapshot:
    """What all queues bring into the store; means over the last minute."""

    pages_per_second: float = 0.0
    stashes_per_second: float = 0.0
    items_per_second: float = 0.0
    bytes_per_second: float = 0.0
    """Of page bodies, uncompressed."""
    pages: History = History()
    stashes: History = History()
    items: History = History()
    bytes: History = History()


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """The store as it was last asked."""

    kind: str = ""
    """`embedded` or `server`."""
    url: str = ""
    """Without credentials."""
    database: str = ""
    version: str = ""
    """Of the engine; empty before it was reached."""
    bytes_on_disk: Count | None = None
    """Of this database, compressed."""
    reachable: bool | None = None
    """None before it was first asked."""
    trouble: str = ""
    """The last failure in words; stays when it is over."""
    trouble_at: Epoch | None = None
    asked_at: Epoch | None = None


@dataclass(frozen=True, slots=True)
class SchemaSnapshot:
    """The migrations as they were last compared."""

    applied: Count
    pending: Count
    drifted: Count
    asked_at: Epoch


@dataclass(frozen=True, slots=True)
class SpoolSnapshot:
    """What waits on disk for the store, of all queues."""

    pages: Count = 0
    bytes: Count = 0
    budget_bytes: Count = 0
    """Where polling stops."""


@dataclass(frozen=True, slots=True)
class HarvesterSnapshot:
    """The process that harvests."""

    host: str = ""
    pid: Count = 0
    program_version: str = ""
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole harvest at one instant."""

    taken_at: Epoch
    started_at: Epoch
    amber_seconds: Seconds
    red_seconds: Seconds
    requests: RequestsSnapshot
    queues: tuple[QueueSnapshot, ...]
    pacers: tuple[PacerSnapshot, ...] = ()
    events: tuple[Event, ...] = ()
    """The newest, oldest first."""
    throughput: ThroughputSnapshot = ThroughputSnapshot()
    throttles: tuple[Throttle, ...] = ()
    """429s and restrictions since the start, the newest last."""
    store: StoreSnapshot = StoreSnapshot()
    schema: SchemaSnapshot | None = None
    """None before it was first asked."""
    spool: SpoolSnapshot = SpoolSnapshot()
    harvester: HarvesterSnapshot = HarvesterSnapshot()
    format: int = SNAPSHOT_FORMAT
