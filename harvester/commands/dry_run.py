"""One request and nothing written: what would come next for a queue, read and told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

import httpx

from harvester.api.access import ApiAccess
from harvester.api.errors import ApiError
from harvester.clock import SystemClock
from harvester.commands.exit_codes import DONE, FAILED, MISUSED
from harvester.commands.harvest import NO_CLIENT
from harvester.commands.output import print_table, say
from harvester.events import EventLog
from harvester.feeds.base import EndOfStream, Unreadable
from harvester.feeds.page_scan import PageScan, scan_page
from harvester.feeds.registry import make_feed
from harvester.model import Limits, Queue
from harvester.settings import Settings, SettingsError
from harvester.store.cursor_file import CursorFile, CursorFileDamaged

MOST_LEAGUES = 10


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes
    http_status: int
    response_ms: float
    limits: Limits


def run_dry(
    settings: Settings,
    queue: Queue,
    *,
    out: TextIO,
    err: TextIO,
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
) -> int:
    """Ask for the page behind the queue's saved cursor; returns the exit code. No file and no store is touched."""
    feed = make_feed(queue.feed, settings)
    if feed.needs_token and not settings.has_oauth_client:
        say(err, NO_CLIENT)
        return MISUSED
    try:
        cursor = _saved_cursor(settings, queue)
        answer = asyncio.run(_ask(settings, queue, cursor, transport() if transport else None))
    except SettingsError as error:
        say(err, str(error))
        return MISUSED
    except (ApiError, CursorFileDamaged) as error:
        say(err, f"{queue}: {error}")
        return FAILED
    reading = feed.read(cursor, answer.body)
    facts = [
        ("queue", queue.key),
        ("asked with", cursor or "no cursor: the start of the stream"),
        ("answer", f"HTTP {answer.http_status} in {answer.response_ms:,.0f} ms, {len(answer.body):,} bytes"),
        ("rate limit", _limits(answer.limits)),
    ]
    if isinstance(reading, Unreadable):
        print_table(out, ["what", "says"], [*facts, ("body", f"no page: {reading.reason}")])
        return FAILED
    scan = scan_page(answer.body)
    following = "the same: the end of the stream" if isinstance(reading, EndOfStream) else scan.next_change_id
    facts += [
        ("next cursor", following),
        ("stashes", f"{len(scan.records):,}, {sum(record.public for record in scan.records):,} of them public"),
        ("items", f"{scan.item_count:,}"),
        ("cannot be read", f"{len(scan.rejected):,} records"),
        ("leagues", _leagues(scan)),
        ("kept of them", f"{_kept(scan, settings):,} public stashes" if settings.leagues else "all"),
    ]
    print_table(out, ["what", "says"], facts)
    say(err, "Dry run: nothing was written.")
    return DONE


async def _ask(settings: Settings, queue: Queue, cursor: str, transport: httpx.AsyncBaseTransport | None) -> _Answer:
    async with (
        ApiAccess(
            settings, transport=transport, clock=SystemClock(), record=lambda _: None, events=EventLog(), writes=False
        ) as access,
        access.client.exchange(make_feed(queue.feed, settings).request(queue, cursor)) as exchange,
    ):
        body = await exchange.read()
        return _Answer(body, exchange.status, exchange.response_ms, exchange.limits)


def _saved_cursor(settings: Settings, queue: Queue) -> str:
    if not settings.cursor_dir.is_dir():
        return ""
    saved = CursorFile(settings.cursor_dir, queue).read()
    return saved.cursor if saved else ""


def _limits(limits: Limits) -> str:
    rules = [
        f"{rule.name} " + ",".join(f"{t.hits}:{t.period}:{t.restriction}" for t in rule.triplets)
        for rule in limits.rules
    ]
    return "; ".join([limits.policy or "no policy named", *rules])


def _leagues(scan: PageScan) -> str:
    counts = Counter(record.league or "?" for record in scan.records if record.public)
    named = [f"{league} {count:,}" for league, count in counts.most_common(MOST_LEAGUES)]
    more = len(counts) - len(named)
    return ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _kept(scan: PageScan, settings: Settings) -> int:
    return sum(record.public and record.league in settings.leagues for record in scan.records)
