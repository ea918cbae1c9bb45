"""The counters of the harvest: written by those who work, read once a second for a `Snapshot`."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field

from harvester.clock import Clock
from harvester.history import Gauge, Tally
from harvester.lag import LagLevel, lag_level
from harvester.model import Queue, RequestRecord
from harvester.snapshot import (
    History,
    QueueSnapshot,
    QueueState,
    RecentPage,
    RequestsSnapshot,
    ThroughputSnapshot,
    Trouble,
)

RATE_WINDOW_SECONDS = 60.0
LATENCY_SAMPLES = 2000
RECENT_PAGES = 20


@dataclass(slots=True)
class QueueMeter:
    """The counters of one queue. Written by its worker, read from anywhere; single assignments only."""

    queue: Queue
    throughput: ThroughputMeter | None = None
    lag_history: Gauge | None = None
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
    held_by: str = ""
    recent_pages: deque[RecentPage] = field(default_factory=lambda: deque(maxlen=RECENT_PAGES))

    def committed(self, page: RecentPage, *, whole: bool = True) -> None:
        """A page is in the store; with `whole` False it was set aside as a whole."""
        self.pages += whole
        self.stashes += page.stashes
        self.items += page.items
        self.set_aside += page.set_aside
        self.page_bytes += page.page_bytes
        self.cursor, self.seq = page.cursor, page.seq
        self.last_progress_at = page.at
        self.commit_ms = page.commit_ms
        self.recent_pages.append(page)
        if self.throughput is not None and whole:
            self.throughput.committed(page)

    def measure_spool(self, pages: int, size: int) -> None:
        """Take note of what waits for the store: pages, and their bytes on disk."""
        self.spool_pages, self.spool_bytes = pages, size

    def lag_seconds(self, now: float) -> float | None:
        """Age of the last progress, counted from a planned wake-up where that is later; None before the first."""
        since = self._waiting_since()
        return None if since is None else max(0.0, now - since)

    def sample(self, now: float) -> None:
        """Take the lag into its history."""
        if self.lag_history is not None:
            self.lag_history.set(self.lag_seconds(now))

    def begin_anew(self) -> None:
        """The queue is set going; what it has counted stays."""
        self.state = QueueState.STARTING
        self.trouble = self.wakes_at = None
        self.caught_up = False

    def snapshot(self, now: float, amber: float, red: float) -> QueueSnapshot:
        """This queue as it is."""
        lag = self.lag_seconds(now)
        level = lag_level(lag, amber, red)
        trouble = self.trouble
        stalled = trouble.since if trouble else None
        if stalled is None and level is LagLevel.RED:
            stalled = self._waiting_since()
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
            trouble=trouble,
            commit_ms=self.commit_ms,
            lag=self.lag_history.history() if self.lag_history is not None else History(),
            recent_pages=tuple(self.recent_pages),
            held_by=self.held_by,
        )

    def _waiting_since(self) -> float | None:
        since, wakes_at = self.last_progress_at, self.wakes_at
        return since if since is None or wakes_at is None else max(since, wakes_at)


class RequestMeter:
    """Counts requests of all queues. Safe from every thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._times: deque[float] = deque()
        self._latencies: deque[float] = deque(maxlen=LATENCY_SAMPLES)
        self._wire_bytes = 0
        self._rate = Tally(clock)
        self._since = clock.monotonic()

    def count(self, record: RequestRecord) -> None:
        """Take note of a request."""
        with self._lock:
            self._outcomes[record.outcome.value] += 1
            self._times.append(self._clock.monotonic())
            self._rate.add()
            self._forget()
            self._wire_bytes += record.wire_bytes
            if record.http_status:
                self._latencies.append(record.response_ms)

    def snapshot(self) -> RequestsSnapshot:
        """The figures as they are."""
        with self._lock:
            self._forget()
            latencies = list(self._latencies)
            counts = self._outcomes.copy()
            span = min(RATE_WINDOW_SECONDS, max(1.0, self._clock.monotonic() - self._since))
            per_second, rate, wire_bytes = len(self._times) / span, self._rate.history(), self._wire_bytes
        latencies.sort()
        return RequestsSnapshot(
            total=counts.total(),
            per_second=per_second,
            ok=counts["ok"],
            rate_limited=counts["rate_limited"],
            refused=counts["refused"],
            server_errors=counts["server_error"],
            network_errors=counts["network_error"] + counts["bad_body"],
            p50_ms=_quantile(latencies, 0.5),
            p95_ms=_quantile(latencies, 0.95),
            wire_bytes=wire_bytes,
            cancelled=counts["cancelled"],
            rate=rate,
        )

    def _forget(self) -> None:
        horizon = self._clock.monotonic() - RATE_WINDOW_SECONDS
        while self._times and self._times[0] < horizon:
            self._times.popleft()


class ThroughputMeter:
    """Counts what all queues bring into the store. Safe from every thread."""

    def __init__(self, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._pages, self._stashes, self._items, self._bytes = (Tally(clock) for _ in range(4))

    def committed(self, page: RecentPage) -> None:
        """Take note of a page."""
        with self._lock:
            self._pages.add()
            self._stashes.add(page.stashes)
            self._items.add(page.items)
            self._bytes.add(page.page_bytes)

    def snapshot(self) -> ThroughputSnapshot:
        """The figures as they are."""
        with self._lock:
            return ThroughputSnapshot(
                pages_per_second=self._pages.per_second(),
                stashes_per_second=self._stashes.per_second(),
                items_per_second=self._items.per_second(),
                bytes_per_second=self._bytes.per_second(),
                pages=self._pages.history(),
                stashes=self._stashes.history(),
                items=self._items.history(),
                bytes=self._bytes.history(),
            )


def _quantile(ordered: list[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
