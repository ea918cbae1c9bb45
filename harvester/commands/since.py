"""`--since`: from which hour on the currency exchange is wanted, and what that means for what is stored already.

A queue goes forward only. So a new store simply begins with that hour; where the wished hour lies before what is
stored, a second queue walks back in time from there, and every hour is still fetched once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from harvester.feeds.currency_exchange import FEED_NAME, FIRST_HOURS, HISTORY_FEED, HOUR, Fill, hour_text, is_hour
from harvester.model import Queue
from harvester.settings import Settings
from harvester.store.checkpoints import first_cursor, last_page_checkpoint
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.spool import DamagedPage, Spool


class SinceRefused(ValueError):  # noqa: N818
    """The wish cannot be fulfilled; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `--since` comes to."""

    fills: dict[Queue, Fill] = field(default_factory=dict)
    more_queues: tuple[Queue, ...] = ()
    """Queues beside those of the settings: they walk back in time."""
    remarks: tuple[str, ...] = ()


def parse_since(text: str, now: float) -> int:
    """The hour that a date or time lies in, as a Unix time. Without a zone it is UTC.

    Raises:
        SinceRefused: it cannot be read, or lies in the future.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise SinceRefused(
            f"--since: {text!r} is no date. A day such as 2026-11-01, or an hour such as 2026-11-01T13:00, UTC."
        ) from None
    at = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    if at >= now:
        raise SinceRefused(f"--since: {text} lies in the future. Now it is {hour_text(int(now))} UTC.")
    return int(at) // HOUR * HOUR


def plan_since(since: int, settings: Settings, engine: Engine, queues: Iterable[Queue]) -> Plan:
    """How the exchange's queues among `queues` bring every hour from `since` on.

    Raises:
        SinceRefused: the hour lies before the exchange began, or there would be a gap.
        StoreError: the store cannot be asked.
        CursorFileDamaged: a cursor file cannot be read.
    """
    fills: dict[Queue, Fill] = {}
    more: list[Queue] = []
    remarks: list[str] = []
    for queue in queues:
        if queue.feed != FEED_NAME:
            continue
        began = FIRST_HOURS[queue.realm]
        if since < began:
            raise SinceRefused(
                f"--since: the exchange of {queue.realm} has no hour before {hour_text(began)} UTC."
                f" Say --since {datetime.fromtimestamp(began, UTC):%Y-%m-%dT%H:%M}, or later."
            )
        standing = _standing(settings, engine, queue)
        if standing is None:
            fills[queue] = Fill(since)
            continue
        first, following = standing
        if since > following:
            raise SinceRefused(
                f"--since: {queue} is stored up to {hour_text(following)} UTC, and to begin at {hour_text(since)} would"
                " leave a gap for ever. Leave --since out: it goes on from where it stands."
            )
        if since >= first:
            remarks.append(f"{queue}: begun at {hour_text(first)} UTC, going on from {hour_text(following)} UTC.")
            continue
        history = Queue(HISTORY_FEED, queue.realm)
        reached = _standing(settings, engine, history)
        frontier = reached[1] if reached else first - HOUR
        if frontier < since:
            remarks.append(f"{queue}: every hour from {hour_text(since)} UTC on is stored already.")
            continue
        fills[history] = Fill(frontier, since)
        more.append(history)
        remarks.append(f"{queue}: {history} fills the hours before {hour_text(first)} UTC, the newest first.")
    if not fills and not remarks:
        raise SinceRefused("--since is for the currency exchange, which is not among the feeds: add --feed cxapi.")
    return Plan(fills, tuple(more), tuple(remarks))


def _standing(settings: Settings, engine: Engine, queue: Queue) -> tuple[int, int] | None:
    """The first hour of a queue and the one it asks for next; None where it has not begun."""
    with engine.open(writes=False) as handle:
        first, last = first_cursor(handle, queue), last_page_checkpoint(handle, queue)
    following = last.next_cursor_id if last else None
    if (settings.spool_dir / queue.key.replace(":", "_")).is_dir():
        spool = Spool(settings.spool_dir, queue)
        for seq in spool.sequences:
            try:
                page = spool.get(seq).page
            except DamagedPage:
                break
            first, following = first or page.change_id, page.next_change_id
    if first is None and settings.cursor_dir.is_dir():
        saved = CursorFile(settings.cursor_dir, queue).read()
        first = following = saved.cursor if saved else None
    if first is None or following is None or not (is_hour(first) and is_hour(following)):
        return None
    return int(first), int(following)
