"""What the harvest says of itself, into the store: request rows in batches and a status row per queue.

Rows not yet written are lost when the process is killed; that is accepted for telemetry and for nothing else.
"""

from __future__ import annotations

import threading
from collections import deque
from datetime import datetime

import msgspec

from harvester.clock import utc
from harvester.model import RequestRecord
from harvester.snapshot import QueueSnapshot, Snapshot
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.handle import Handle

LONGEST_BACKLOG = 50_000
"""Request rows kept while the store is away; older ones are dropped."""

_REQUEST_COLUMNS = {
    "requested_at": "DateTime64(3, 'UTC')",
    "queue_key": "LowCardinality(String)",
    "endpoint": "LowCardinality(String)",
    "change_id": "String",
    "outcome": "LowCardinality(String)",
    "http_status": "UInt16",
    "headers_ms": "Float32",
    "response_ms": "Float32",
    "wire_bytes": "UInt64",
    "body_bytes": "UInt64",
    "policy": "LowCardinality(String)",
    "triplets": "Array(Tuple(rule String, hits UInt32, period UInt32, restriction UInt32))",
    "states": "Array(Tuple(rule String, used Nullable(UInt32), active_restriction UInt32))",
    "retry_after": "Nullable(Float64)",
    "error": "String",
}
_STATUS_COLUMNS = {
    "taken_at": "DateTime64(3, 'UTC')",
    "queue_key": "LowCardinality(String)",
    "status": "LowCardinality(String)",
    "last_cursor": "String",
    "next_change_id": "String",
    "last_ingest_at": "Nullable(DateTime64(3, 'UTC'))",
    "lag_seconds": "Nullable(Float64)",
    "level": "LowCardinality(String)",
    "request_rate": "Float32",
    "error_count": "UInt64",
    "stalled_since": "Nullable(DateTime64(3, 'UTC'))",
    "last_error": "String",
    "amber_seconds": "Float64",
    "red_seconds": "Float64",
    "snapshot": "String",
}


class TelemetrySink:
    """Collects from any thread (`record`), writes from one (`flush`, `close`)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._handle: Handle | None = None
        self._waiting: deque[RequestRecord] = deque(maxlen=LONGEST_BACKLOG)
        self._lock = threading.Lock()

    def record(self, record: RequestRecord) -> None:
        """Keep a request until the next flush."""
        with self._lock:
            self._waiting.append(record)

    def flush(self, snapshot: Snapshot | None) -> None:
        """Write what has collected, and the Snapshot where one is given.

        Raises:
            StoreError: the store is away; the request rows are kept for the next time.
        """
        if self._handle is None:
            self._handle = self._engine.open()
        with self._lock:
            records = list(self._waiting)
            self._waiting.clear()
        if records:
            try:
                self._handle.insert("bronze_requests", _REQUEST_COLUMNS, [_request_row(r) for r in records])
            except StoreError:
                with self._lock:
                    self._waiting.extendleft(reversed(records))
                raise
        if snapshot is not None and snapshot.queues:
            whole = msgspec.json.encode(snapshot).decode()
            rows = [
                _status_row(snapshot, queue, whole if index == 0 else "") for index, queue in enumerate(snapshot.queues)
            ]
            self._handle.insert("poe_ingest_status", _STATUS_COLUMNS, rows)

    def close(self) -> None:
        """Give the handle back."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None


def _request_row(record: RequestRecord) -> tuple[object, ...]:
    triplets = [(rule.name, triplet) for rule in record.limits.rules for triplet in rule.triplets]
    return (
        utc(record.requested_at),
        record.queue_key,
        record.endpoint,
        record.change_id,
        record.outcome.value,
        record.http_status,
        record.headers_ms,
        record.response_ms,
        record.wire_bytes,
        record.body_bytes,
        record.limits.policy or "",
        [(name, _count(t.hits), _count(t.period), _count(t.restriction)) for name, t in triplets],
        [(name, None if t.used is None else _count(t.used), _count(t.active_restriction)) for name, t in triplets],
        record.limits.retry_after,
        record.error,
    )


def _count(value: int) -> int:
    return max(0, min(value, 2**32 - 1))


def _status_row(snapshot: Snapshot, queue: QueueSnapshot, whole: str) -> tuple[object, ...]:
    requests = snapshot.requests
    return (
        utc(snapshot.taken_at),
        queue.queue_key,
        queue.state.value,
        queue.cursor,
        queue.next_cursor,
        _when(queue.last_progress_at),
        queue.lag_seconds,
        queue.level.value,
        requests.per_second,
        requests.refused + requests.rate_limited + requests.server_errors + requests.network_errors,
        _when(queue.stalled_since),
        queue.trouble.what if queue.trouble else "",
        snapshot.amber_seconds,
        snapshot.red_seconds,
        whole,
    )


def _when(epoch_seconds: float | None) -> datetime | None:
    return None if epoch_seconds is None else utc(epoch_seconds)
