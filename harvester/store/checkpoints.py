"""How far each queue has come, as the store knows it."""

from __future__ import annotations

from harvester.clock import utc
from harvester.model import Checkpoint, CheckpointStatus, Queue
from harvester.store.handle import Handle

_COLUMNS = {
    "queue_key": "LowCardinality(String)",
    "seq": "UInt64",
    "last_cursor_id": "String",
    "next_cursor_id": "String",
    "retrieved_at": "DateTime64(3, 'UTC')",
    "status": "LowCardinality(String)",
    "http_status": "UInt16",
    "response_ms": "Float32",
    "committed_at": "DateTime64(3, 'UTC')",
}


_LATER = 0.002
"""Seconds by which a time of the store, kept in milliseconds, is certainly later than another."""


def write_checkpoint(handle: Handle, checkpoint: Checkpoint, now: float) -> None:
    """Add a checkpoint row; `now` is when every layer held the page."""
    row = (
        checkpoint.queue_key,
        checkpoint.seq,
        checkpoint.last_cursor_id,
        checkpoint.next_cursor_id,
        utc(checkpoint.retrieved_at),
        checkpoint.status.value,
        checkpoint.http_status,
        checkpoint.response_ms,
        utc(now),
    )
    handle.insert("bronze_ingest_checkpoints", _COLUMNS, [row])


def not_before(handle: Handle, queue: Queue, now: float) -> float:
    """`now`, or later than every checkpoint of the newest page, where the clock was set back since.

    Of checkpoints of the same seq the one with the latest `retrieved_at` counts: each that is written goes ahead.
    """
    last = last_checkpoint(handle, queue)
    return now if last is None else max(now, last.retrieved_at + _LATER)


def last_page_checkpoint(handle: Handle, queue: Queue) -> Checkpoint | None:
    """The checkpoint of the newest committed page, or of the move behind it; None on a new store."""
    return _newest(handle, queue, "AND status != 'caught_up' ORDER BY seq DESC, retrieved_at DESC")


def first_cursor(handle: Handle, queue: Queue) -> str | None:
    """The cursor that the first committed page was asked with; None on a new store."""
    rows = handle.rows(
        "SELECT last_cursor_id FROM bronze_ingest_checkpoints"
        " WHERE queue_key = {queue:String} AND status != 'caught_up' ORDER BY seq LIMIT 1",
        {"queue": queue.key},
    )
    return str(rows[0][0]) if rows else None


def last_checkpoint(handle: Handle, queue: Queue) -> Checkpoint | None:
    """The newest checkpoint, the end of the stream included; None on a new store."""
    return _newest(handle, queue, "ORDER BY seq DESC, retrieved_at DESC")


def _newest(handle: Handle, queue: Queue, order: str) -> Checkpoint | None:
    rows = handle.rows(
        "SELECT seq, last_cursor_id, next_cursor_id, toUnixTimestamp64Milli(retrieved_at) / 1000, status,"
        " http_status, response_ms FROM bronze_ingest_checkpoints"
        f" WHERE queue_key = {{queue:String}} {order} LIMIT 1",
        {"queue": queue.key},
    )
    if not rows:
        return None
    seq, last, following, retrieved_at, status, http_status, response_ms = rows[0]
    return Checkpoint(queue.key, seq, last, following, retrieved_at, CheckpointStatus(status), http_status, response_ms)


def was_asked(handle: Handle, queue: Queue, cursor: str) -> bool:
    """Whether a committed page was asked with this cursor. Reads all checkpoints of the queue: for rare questions."""
    return bool(
        handle.value(
            "SELECT count() FROM bronze_ingest_checkpoints"
            " WHERE queue_key = {queue:String} AND last_cursor_id = {cursor:String}"
            " AND status IN ('page', 'dead_letter')",
            {"queue": queue.key, "cursor": cursor},
        )
    )


def cursor_of_page(handle: Handle, queue: Queue, seq: int) -> str | None:
    """The cursor that the committed page `seq` was asked with; None where that page is not committed."""
    rows = handle.rows(
        "SELECT last_cursor_id FROM bronze_ingest_checkpoints"
        " WHERE queue_key = {queue:String} AND seq = {seq:UInt64} AND status IN ('page', 'dead_letter')",
        {"queue": queue.key, "seq": seq},
    )
    return str(rows[0][0]) if rows else None
