"""Going on from a cursor that a person names: what lies around it, whether that is safe, and doing it.

A queue goes on from the newest page of its store. A person may name another cursor only where that can double nothing:
on a store without pages, or ahead of all that is stored. What is skipped is written down as a checkpoint `moved`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from harvester.clock import utc
from harvester.feeds.cursor_order import is_behind_or_same, is_cursor
from harvester.model import Checkpoint, CheckpointStatus, Queue
from harvester.store.begun import begun_after
from harvester.store.checkpoints import last_page_checkpoint, not_before, write_checkpoint
from harvester.store.cursor_file import CursorFile
from harvester.store.handle import Handle
from harvester.store.spool import Spool

PAGES_AROUND = 4


@dataclass(frozen=True, slots=True)
class PageLine:
    """A page in the neighbourhood of the cursor."""

    seq: int
    asked_with: str
    leads_to: str
    fetched_at: float
    status: str
    """As in the checkpoint; `spooled` for one that waits in the spool."""
    in_bronze: bool | None
    """None where that is not known, or does not apply."""
    continues: bool
    """Whether it was asked with the cursor that the one before it names."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What is stored and spooled around a cursor."""

    lines: tuple[PageLine, ...]
    first_seq: int
    last: Checkpoint | None
    """The newest page, or the move behind it; None where the store has no page of the queue."""
    pages: int
    breaks: int
    """Places in the whole chain where a page does not continue the one before."""
    asked_by: int | None
    """The committed page that was asked with the cursor."""
    named_by: int | None
    """The committed page that leads to it."""
    begun: int | None
    """A page that is begun in bronze and has no checkpoint yet."""
    spooled: tuple[PageLine, ...]
    saved_cursor: str | None


class Safety(Enum):
    """What going on from a cursor would mean."""

    ALREADY = "already"
    """It is where the harvest goes on anyway."""
    SAFE = "safe"
    GAP = "gap"
    """Nothing is doubled, but what lies before it is never fetched: only where that is allowed."""
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether the harvest may go on from a cursor."""

    safety: Safety
    why: str
    todo: str = ""


def look_around(handle: Handle | None, queue: Queue, cursor: str, spool: Spool, file: CursorFile) -> Neighbourhood:
    """What lies around `cursor`. `handle` is None for a store that does not exist yet.

    Raises:
        StoreError: the store cannot be asked.
        DamagedPage: a spooled page cannot be read.
        CursorFileDamaged: the cursor file cannot be read.
    """
    saved = file.read()
    spooled = _spooled(spool)
    if handle is None or not handle.value("EXISTS TABLE bronze_ingest_checkpoints"):
        return Neighbourhood((), 0, None, 0, 0, None, None, None, spooled, saved.cursor if saved else None)
    last = last_page_checkpoint(handle, queue)
    key = {"queue": queue.key, "cursor": cursor}
    first, pages, asked_by, named_by = handle.rows(
        "SELECT min(seq), countIf(status != 'moved'),"
        " maxIf(seq, last_cursor_id = {cursor:String} AND status != 'moved'),"
        " maxIf(seq, next_cursor_id = {cursor:String})"
        " FROM bronze_ingest_checkpoints WHERE queue_key = {queue:String} AND status != 'caught_up'",
        key,
    )[0]
    breaks = handle.value(
        f"SELECT countIf(NOT continues) FROM ({_CHAIN})",
        key,
    )
    centre = asked_by or named_by or (last.seq if last else 0)
    begun = begun_after(handle, queue, last.seq if last else 0)
    return Neighbourhood(
        lines=_lines(handle, queue, centre),
        first_seq=first,
        last=last,
        pages=pages,
        breaks=breaks,
        asked_by=asked_by or None,
        named_by=named_by or None,
        begun=begun.seq if begun else None,
        spooled=spooled,
        saved_cursor=saved.cursor if saved else None,
    )


_CHAIN = """
    SELECT
        seq, last_cursor_id, next_cursor_id, toUnixTimestamp64Milli(retrieved_at) / 1000 AS fetched_at, status,
        lagInFrame(seq, 1, 0) OVER w AS before_seq,
        lagInFrame(next_cursor_id) OVER w AS before_next,
        before_seq = 0 OR (seq = before_seq + if(status = 'moved', 0, 1) AND last_cursor_id = before_next) AS continues
    FROM bronze_ingest_checkpoints
    WHERE queue_key = {queue:String} AND status != 'caught_up'
    WINDOW w AS (PARTITION BY queue_key ORDER BY seq, retrieved_at ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)
"""


def _lines(handle: Handle, queue: Queue, centre: int) -> tuple[PageLine, ...]:
    rows = handle.rows(
        "SELECT seq, last_cursor_id, next_cursor_id, fetched_at, status, continues"
        f" FROM ({_CHAIN}) WHERE seq BETWEEN {{low:Int64}} AND {{high:Int64}} ORDER BY seq, fetched_at",
        {"queue": queue.key, "low": centre - PAGES_AROUND, "high": centre + PAGES_AROUND},
    )
    stored = _in_bronze(handle, queue, [row[0] for row in rows])
    return tuple(
        PageLine(
            seq=seq,
            asked_with=asked,
            leads_to=leads,
            fetched_at=at,
            status=status,
            in_bronze=seq in stored if stored is not None and status == "page" else None,
            continues=bool(holds),
        )
        for seq, asked, leads, at, status, holds in rows
    )


def _in_bronze(handle: Handle, queue: Queue, sequences: list[int]) -> set[int] | None:
    if queue.feed != "psapi" or not sequences:
        return None
    rows = handle.rows(
        "SELECT seq FROM raw_public_stash_pages WHERE realm = {realm:String} AND seq IN {seqs:Array(UInt64)}",
        {"realm": queue.realm, "seqs": sequences},
    )
    return {int(row[0]) for row in rows}


def _spooled(spool: Spool) -> tuple[PageLine, ...]:
    lines: list[PageLine] = []
    for seq in spool.sequences:
        page = spool.get(seq).page
        continues = not lines or (lines[-1].seq + 1 == seq and lines[-1].leads_to == page.change_id)
        lines.append(PageLine(seq, page.change_id, page.next_change_id, page.fetched_at, "spooled", None, continues))
    return tuple(lines)


def judge(around: Neighbourhood, cursor: str) -> Judgement:
    """Whether the harvest may go on from `cursor`: never where a page would be doubled."""
    if not is_cursor(cursor):
        return Judgement(
            Safety.UNSAFE,
            f"{cursor!r} is no cursor: those are numbers, joined by dashes",
            "Take it from the column `leads to` of a status, a log line or a backup.",
        )
    if around.begun is not None:
        return Judgement(
            Safety.UNSAFE,
            f"page {around.begun} is begun in the store and not finished",
            "Start the harvest once: it finishes that page. Then look again.",
        )
    return _judge_spooled(around, cursor) if around.spooled else _judge_stored(around, cursor)


def _judge_spooled(around: Neighbourhood, cursor: str) -> Judgement:
    first, end = around.spooled[0], around.spooled[-1]
    count = len(around.spooled)
    if around.last is None and cursor == first.asked_with:
        return Judgement(Safety.SAFE, f"{count} pages in the spool begin there: they are committed first")
    in_order = all(line.continues for line in around.spooled)
    in_place = around.last is None or (around.last.next_cursor_id == first.asked_with)
    if cursor == end.leads_to and in_order and in_place and (around.last is not None or first.seq == 1):
        return Judgement(Safety.ALREADY, f"the harvest commits {count} pages of the spool and goes on from there")
    return Judgement(
        Safety.UNSAFE,
        f"{count} pages wait in the spool, from {first.asked_with or 'the start'} to {end.leads_to}",
        "Start the harvest once, so that they are committed; or move them out of the spool. Then look again.",
    )


def _judge_stored(around: Neighbourhood, cursor: str) -> Judgement:
    last = around.last
    if last is None:
        if cursor == around.saved_cursor:
            return Judgement(Safety.ALREADY, "the store has no page, and the cursor file names this cursor")
        return Judgement(Safety.SAFE, "the store has no page of this queue: nothing can be doubled")
    if cursor == last.next_cursor_id:
        return Judgement(Safety.ALREADY, f"page {last.seq:,} is the newest, and leads there")
    if around.asked_by is not None:
        return Judgement(
            Safety.UNSAFE,
            f"page {around.asked_by:,} was asked with it and is stored: it and the {last.seq - around.asked_by:,} pages"
            " behind it would be doubled",
            f"Nothing is lost: the harvest goes on from {last.next_cursor_id}. What is stored is derived anew by:"
            " rebuild silver.",
        )
    if is_behind_or_same(cursor, last.next_cursor_id):
        return Judgement(
            Safety.UNSAFE,
            f"it lies before {last.next_cursor_id}, where the store ends: the stream from there runs into stored pages,"
            " which would be doubled",
            "Harvest it into another database, with a POE_CURSOR_DIR of its own.",
        )
    if is_behind_or_same(last.next_cursor_id, cursor):
        return Judgement(
            Safety.GAP,
            f"it lies ahead of {last.next_cursor_id}, where the store ends: what is between is never fetched",
            "Only where the API no longer knows the stored cursor. If so: say it again with --allow-gap.",
        )
    return Judgement(
        Safety.UNSAFE,
        f"it is ahead of {last.next_cursor_id} in one part and behind it in another: pages could be doubled",
        "Take a cursor from one and the same answer of the API.",
    )


def go_on_from(
    handle: Handle | None, queue: Queue, around: Neighbourhood, cursor: str, file: CursorFile, now: float
) -> None:
    """Make the queue go on from `cursor`. The caller holds the lease and has a judgement that allows it.

    Raises:
        StoreError, OSError: it cannot be written; call again.
    """
    last = around.last
    if last is not None and handle is not None:
        now = not_before(handle, queue, now)
        moved = Checkpoint(
            queue_key=queue.key,
            seq=last.seq,
            last_cursor_id=last.next_cursor_id,
            next_cursor_id=cursor,
            retrieved_at=now,
            status=CheckpointStatus.MOVED,
            http_status=0,
            response_ms=0.0,
        )
        write_checkpoint(handle, moved, now)
    file.write(cursor, now)


def told_at(epoch_seconds: float) -> str:
    """A moment for a table."""
    return utc(epoch_seconds).strftime("%Y-%m-%d %H:%M:%SZ")
