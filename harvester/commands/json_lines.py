"""The lines of a headless harvest for machines: one JSON object a line, times in UTC."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TextIO

from harvester.commands.fill_progress import Filled
from harvester.commands.output import say
from harvester.events import Event, Level
from harvester.lag import LagLevel
from harvester.snapshot import QueueSnapshot, Snapshot

_LEVELS = {LagLevel.AMBER: Level.WARNING, LagLevel.RED: Level.ERROR}


class JsonLines:
    """Writes events (`"kind": "event"`) and the standing of queues (`"kind": "queue"`)."""

    def __init__(self, err: TextIO) -> None:
        self._err = err

    def event(self, event: Event) -> None:
        """What happened; `since`, `then` and `todo` only where there is something to say."""
        fields = {
            "at": _time(event.at),
            "kind": "event",
            "level": event.level.value,
            "queue": event.queue_key,
            "what": event.what,
            "since": None if event.since is None else _time(event.since),
            "then": event.then,
            "todo": event.todo,
        }
        self._write({name: value for name, value in fields.items() if value not in (None, "")})

    def queue(self, queue: QueueSnapshot, snapshot: Snapshot, filled: Filled | None) -> None:
        """How a queue stands; its `level` is `warning` for an amber lag and `error` for a red one."""
        fields: dict[str, object] = {
            "at": _time(snapshot.taken_at),
            "kind": "queue",
            "level": _LEVELS.get(queue.level, Level.INFO).value,
            "queue": queue.queue_key,
            "state": queue.state.value,
            "lag_seconds": None if queue.lag_seconds is None else round(queue.lag_seconds, 1),
            "cursor": queue.next_cursor,
            "pages": queue.pages,
            "stashes": queue.stashes,
            "items": queue.items,
            "set_aside": queue.set_aside,
            "spool_pages": queue.spool_pages,
            "requests_per_second": round(snapshot.requests.per_second, 3),
            "rate_limited": snapshot.requests.rate_limited,
        }
        if queue.trouble:
            fields["trouble"] = queue.trouble.line(snapshot.taken_at)
        if filled:
            fields["filled"] = {"done": filled.done, "total": filled.total}
        self._write(fields)

    def _write(self, fields: dict[str, object]) -> None:
        # Escaped: what strangers wrote may hold anything that a terminal or a log reader obeys.
        say(self._err, json.dumps(fields))


def _time(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
