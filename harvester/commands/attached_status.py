"""What `status` says where a running harvest holds the embedded store: its own Snapshot, through its socket."""

from __future__ import annotations

import contextlib
from typing import Any

from harvester.attach import AttachedSource
from harvester.settings import Settings
from harvester.snapshot import QueueSnapshot, Snapshot
from harvester.snapshot_address import socket_directory
from harvester.snapshot_source import SourceLostError
from harvester.store.engine import Engine


def ask_the_harvest(settings: Settings, engine: Engine) -> tuple[Snapshot, str] | None:
    """The Snapshot of the harvest that runs here, and what its reader should know; None where none serves one."""
    source = AttachedSource(socket_directory(settings, engine))
    with contextlib.closing(source), contextlib.suppress(SourceLostError):
        return source.read(), source.remark
    return None


def attached_words(snapshot: Snapshot, remark: str) -> str:
    """Who harvests, since when and how fast, in one line."""
    harvester, requests, through = snapshot.harvester, snapshot.requests, snapshot.throughput
    hours, minutes = divmod(int(max(0.0, snapshot.taken_at - snapshot.started_at)) // 60, 60)
    words = (
        f"{'A demo' if harvester.demo else 'A harvest'} is running: process {harvester.pid} on {harvester.host}, "
        f"version {harvester.program_version}, for {hours} h {minutes:02} min. {requests.per_second:.2f} requests/s, "
        f"429: {requests.rate_limited}; {through.stashes_per_second:,.0f} stashes/s, "
        f"{through.items_per_second:,.0f} items/s. It holds the store, so this is what it says itself."
    )
    return f"{words} {remark}".strip()


def attached_queue(queue: QueueSnapshot, cursor_file: str, now: float) -> dict[str, Any]:
    """A queue in the shape that `status` tells."""
    return {
        "queue": queue.queue_key,
        "level": queue.level.value,
        "lag_seconds": queue.lag_seconds,
        "state": queue.state.value,
        "cursor": queue.next_cursor,
        "cursor_file": cursor_file,
        "spool_pages": queue.spool_pages,
        "spool_bytes": queue.spool_bytes,
        "stalled_since": queue.stalled_since,
        "last_trouble": queue.trouble.line(now) if queue.trouble else "",
    }


def attached_harvest(snapshot: Snapshot) -> dict[str, Any]:
    """The harvest itself, for `status --json`."""
    harvester, requests, through = snapshot.harvester, snapshot.requests, snapshot.throughput
    return {
        "pid": harvester.pid,
        "host": harvester.host,
        "version": harvester.program_version,
        "demo": harvester.demo,
        "started_at": snapshot.started_at,
        "taken_at": snapshot.taken_at,
        "requests_per_second": requests.per_second,
        "rate_limited": requests.rate_limited,
        "other_errors": requests.refused + requests.server_errors + requests.network_errors,
        "stashes_per_second": through.stashes_per_second,
        "items_per_second": through.items_per_second,
    }
