"""What could not be derived, kept with its bytes as they may be stored, and the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from harvester.clock import utc
from harvester.model import Queue, SpooledPage
from harvester.store.handle import Handle

_COLUMNS = {
    "queue_key": "LowCardinality(String)",
    "seq": "UInt64",
    "change_id": "String",
    "kind": "LowCardinality(String)",
    "position": "UInt32",
    "byte_offset": "UInt64",
    "byte_length": "UInt64",
    "item_count": "UInt32",
    "reason": "String",
    "rejected_at": "DateTime64(3, 'UTC')",
    "body": "String",
}


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of a stored page, or a whole body that is no page."""

    kind: Literal["record", "page"]
    position: int
    """Index of the record in its page, from 0; 0 for a page."""
    byte_offset: int
    byte_length: int
    item_count: int
    """Items of the record that its page counts."""
    reason: str
    body: bytes


def add_dead_letters(handle: Handle, spooled: SpooledPage, letters: Sequence[DeadLetter]) -> None:
    """Keep letters of one page, each once however often this is repeated."""
    page = spooled.page
    there = {
        (row[0], row[1])
        for row in handle.rows(
            "SELECT kind, position FROM bronze_dead_letters WHERE queue_key = {queue:String} AND seq = {seq:UInt64}",
            {"queue": page.queue.key, "seq": spooled.seq},
        )
    }
    rows = [
        (
            page.queue.key,
            spooled.seq,
            page.change_id,
            letter.kind,
            letter.position,
            letter.byte_offset,
            letter.byte_length,
            letter.item_count,
            letter.reason,
            utc(page.fetched_at),
            letter.body,
        )
        for letter in letters
        if (letter.kind, letter.position) not in there
    ]
    if rows:
        handle.insert("bronze_dead_letters", _COLUMNS, rows)


def reason_given_up(handle: Handle, queue: Queue, seq: int) -> str | None:
    """Why a whole page was set aside; None where it was not."""
    rows = handle.rows(
        "SELECT reason FROM bronze_dead_letters"
        " WHERE queue_key = {queue:String} AND seq = {seq:UInt64} AND kind = 'page' LIMIT 1",
        {"queue": queue.key, "seq": seq},
    )
    return str(rows[0][0]) if rows else None


def positions_set_aside(handle: Handle, queue: Queue, seq: int) -> set[int]:
    """The records of a stored page that are dead letters."""
    rows = handle.rows(
        "SELECT position FROM bronze_dead_letters"
        " WHERE queue_key = {queue:String} AND seq = {seq:UInt64} AND kind = 'record'",
        {"queue": queue.key, "seq": seq},
    )
    return {int(row[0]) for row in rows}
