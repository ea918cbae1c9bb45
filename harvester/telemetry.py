"""Counters of the harvest, and the one frozen `Snapshot` that everything outside is drawn from."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass
from enum import StrEnum

from harvester.api.pacer import PacerSnapshot
from harvester.clock import Clock
from harvester.events import Event
from harvester.lag import LagLevel, lag_level
from harvester.model import Queue, RequestRecord

RATE_WINDOW_SECONDS = 60.0
LATENCY_SAMPLES = 2000


class QueueState(StrEnum):
    """What a queue is doing."""

    STARTING = "starting"
    RECOVERING = "recovering"
    HARVESTING = "harvesting"
    CAUGHT_UP = "caught up"
    RETRYING = "retrying"
    """A failure is being waited out."""
    STORE_LOST = "store lost"
    """Pages collect in the spool until ClickHouse is back."""
    SPOOL_FULL = "spool full"
    """Polling has stopped until the store takes pages."""
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    """Stopped by a cause that waiting does not mend."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps a queue from moving."""

    what: str
    since: float
    tries: int
    next_try_at: float | None
    """Epoch seconds; None where nothing is tried again by itself."""
    todo: str = ""


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """One queue at one instant."""

    queue_key: str
    state: QueueState
    level: LagLevel
    lag_seconds: float | None
    """Age of the last progress, counted from `wakes_at` where that is later; None before the first."""
    last_progress_at: float | None
    stalled_since: float | None
    """Since when nothing has moved though it should; None while all is well."""
    cursor: str
    """Cursor of the last committed page."""
    next_cursor: str
    seq: int
    """Place of the last committed page; 0 before the first."""
    pages: int
    """Committed since the start, as are the following."""
    stashes: int
    items: int
    page_bytes: int
    set_aside: int
    """Records and pages that became dead letters."""
    spool_pages: int
    spool_bytes: int
    caught_up: bool
    wakes_at: float | None
    """Epoch seconds of the planned next look of a queue that has nothing to do until then; else None."""
    behind_hours: int | None
    """Whole hours that are published and not yet stored; None where the head of the stream is unknown."""
    trouble: Trouble | None
    commit_ms: float
    """How long the last page took from its last byte until it could be queried; 0 before the first."""


@dataclass(frozen=True, slots=True)
class RequestsSnapshot:
    """The requests of all queues since the start."""

    total: int
    per_second: float
    """Mean over the last minute."""
    ok: int
    rate_limited: int
    refused: int
    server_errors: int
    network_errors: int
    p50_ms: float | None
    p95_ms: float | None
    wire_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole harvest at one instant."""

    taken_at: float
    started_at: float
    amber_seconds: float
    red_seconds: float
    requests: RequestsSnapshot
    queues: tuple[QueueSnapshot, ...]
    pacers: tuple[PacerSnapshot, ...]
    events: tuple[Event, ...]
    """The newest, oldest first."""


@dataclass(slots=True)
class QueueMeter:
    """The counters of one queue. Written by its worker, read by `Telemetry`; single assignments only."""

    queue: Queue
    state: QueueState = QueueState.STARTING
    last_progress_at: float | None = None
    started_at: float = 0.0
    cursor: str = ""
    next_cursor: str = ""
    seq: int = 0
    pages: int = 0
    stashes: int = 0
    items: int = 0
    page_bytes: int = 0
    set_aside: int = 0
    spool_pages: int = 0
    spool_bytes: int = 0
    caught_up: bool = False
    wakes_at: float | None = None
    behind_hours: int | None = None
    trouble: Trouble | None = None
    commit_ms: float = 0.0

    def begin_anew(self) -> None:
        """The queue is set going; what it has counted stays."""
        self.state = QueueState.STARTING
        self.trouble = self.wakes_at = None
        self.caught_up = False

    def snapshot(self, now: float, amber: float, red: float) -> QueueSnapshot:
        """This queue as it is."""
        since = self.last_progress_at
        if since is not None and self.wakes_at is not None:
            since = max(since, self.wakes_at)
        lag = None if since is None else max(0.0, now - since)
        level = lag_level(lag, amber, red)
        stalled = self.trouble.since if self.trouble else None
        if stalled is None and level is LagLevel.RED:
            stalled = since
        return QueueSnapshot(
            queue_key=self.queue.key,
            state=self.state,
            level=level,
            lag_seconds=lag,
            last_progress_at=self.last_progress_at,
            stalled_since=stalled,
            cursor=self.cursor,
            next_cursor=self.next_cursor,
            seq=self.seq,
            pages=self.pages,
            stashes=self.stashes,
            items=self.items,
            page_bytes=self.page_bytes,
            set_aside=self.set_aside,
            spool_pages=self.spool_pages,
            spool_bytes=self.spool_bytes,
            caught_up=self.caught_up,
            wakes_at=self.wakes_at,
            behind_hours=self.behind_hours,
            trouble=self.trouble,
            commit_ms=self.commit_ms,
        )


class RequestMeter:
    """Counts requests of all queues. Safe from every thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._times: deque[float] = deque()
        self._latencies: deque[float] = deque(maxlen=LATENCY_SAMPLES)
        self._wire_bytes = 0
        self._since = clock.monotonic()

    def count(self, record: RequestRecord) -> None:
        """Take note of a request."""
        with self._lock:
            self._outcomes[record.outcome.value] += 1
            self._times.append(self._clock.monotonic())
            self._forget()
            self._wire_bytes += record.wire_bytes
            if record.http_status:
                self._latencies.append(record.response_ms)

    def snapshot(self) -> RequestsSnapshot:
        """The figures as they are."""
        with self._lock:
            self._forget()
            measured = sorted(self._latencies)
            span = min(RATE_WINDOW_SECONDS, max(1.0, self._clock.monotonic() - self._since))
            counts = self._outcomes
            return RequestsSnapshot(
                total=counts.total(),
                per_second=len(self._times) / span,
                ok=counts["ok"],
                rate_limited=counts["rate_limited"],
                refused=counts["refused"],
                server_errors=counts["server_error"],
                network_errors=counts["network_error"] + counts["bad_body"],
                p50_ms=_quantile(measured, 0.5),
                p95_ms=_quantile(measured, 0.95),
                wire_bytes=self._wire_bytes,
            )

    def _forget(self) -> None:
        horizon = self._clock.monotonic() - RATE_WINDOW_SECONDS
        while self._times and self._times[0] < horizon:
            self._times.popleft()


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
