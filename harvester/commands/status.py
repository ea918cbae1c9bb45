"""`poe-ledger --headless status`: how the harvest stands, as the store and the files beside it tell."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TextIO

from msgspec import to_builtins

from harvester.clock import Clock, SystemClock
from harvester.commands.attached_status import (
    ask_the_harvest,
    attached_harvest,
    attached_queue,
    attached_words,
)
from harvester.commands.exit_codes import DONE, FAILED, MISUSED, SCHEMA_NOT_READY
from harvester.commands.hints import HEADLESS, nothing_yet
from harvester.commands.output import print_table, printable, say
from harvester.commands.signals import leaving_on_signals
from harvester.commands.store_access import engine_of
from harvester.commands.store_look import RepeatedLook, StoreLook, look_at_store
from harvester.commands.watch import watch
from harvester.events import Event, moment
from harvester.feeds.registry import make_feed
from harvester.lag import lag_level
from harvester.model import Queue
from harvester.settings import Settings
from harvester.snapshot import QueueState, Snapshot, Trouble
from harvester.store.cursor_file import CursorFile, CursorFileDamaged
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.migrations import MigrationError, MigrationStatus
from harvester.store.read import StoreFigures, loud
from harvester.store.schema_files import SchemaFilesMissingError
from harvester.store.spool import Spool, spool_folder

# A word or sign always stands beside the colour.
_LEVEL_STYLES = {"ok": "green", "amber": "yellow", "red": "bold red"}


@dataclass(frozen=True, slots=True)
class _Files:
    """What the files of a queue say, without the store."""

    queue_key: str
    cursor: str
    """Empty where there is none."""
    saved_at: str
    """When the last page was committed, ISO 8601; empty where that is not known."""
    trouble: str
    spool_pages: int
    spool_bytes: int

    @property
    def known(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.cursor or self.trouble or self.spool_pages)


def run_status(
    settings: Settings,
    *,
    json: bool,
    out: TextIO,
    err: TextIO,
    clock: Clock | None = None,
    command: str = HEADLESS,
    demo: bool = False,
    look: Callable[[Engine], StoreLook] = look_at_store,
) -> int:
    """Print the status and return the exit code. Writes nothing, and needs no store to say what the files say.

    `command` begins the commands in hints. Of a demo nobody expects that it goes on: its queues are not late when it
    has ended.
    """
    engine = engine_of(settings)
    files = [_files(settings, queue) for queue in settings.queues]
    telling = _Telling(settings, engine, files, json, out, err, (clock or SystemClock()).now(), command, demo)
    try:
        seen = look(engine)
    except StoreError as error:
        if error.fault is StoreFault.HELD:
            told = ask_the_harvest(settings, engine)
            if told is not None:
                return telling.attached(*told)
            return telling.without_store(f"{error} Beside it, this is what the files say.", DONE)
        return telling.without_store(f"{error} {error.hint}".strip(), FAILED)
    except (MigrationError, SchemaFilesMissingError) as error:
        say(err, str(error))
        return SCHEMA_NOT_READY
    if seen.schema is None:
        return telling.without_store(f"There is no store yet: {nothing_yet(command)}", DONE)
    if seen.figures is None:
        return telling.without_store(f"The store is empty: {nothing_yet(command)}", DONE)
    return telling.whole(seen.schema, seen.figures)


def watch_status(
    settings: Settings,
    every: float,
    *,
    out: TextIO,
    err: TextIO,
    clock: Clock | None = None,
    pause: Callable[[float], None] = time.sleep,
    command: str = HEADLESS,
    demo: bool = False,
) -> int:
    """The status on a terminal, again every `every` seconds, until a signal ends it; returns the exit code."""
    if not out.isatty():
        say(
            err, "--watch draws on a terminal, and standard output is none. Leave it out, or run the command in a loop."
        )
        return MISUSED
    clock = clock or SystemClock()
    look = RepeatedLook(settings, clock.now)

    def print_status(frame: TextIO) -> None:
        run_status(settings, json=False, out=frame, err=frame, clock=clock, command=command, demo=demo, look=look)

    with leaving_on_signals(lambda: None) as leave:
        watch(print_status, every, lambda: leave.asked, out=out, clock=clock, pause=pause)
    return leave.exit_code


def _files(settings: Settings, queue: Queue) -> _Files:
    cursor = saved_at = trouble = ""
    pages = size = 0
    try:
        if spool_folder(settings.spool_dir, queue).is_dir():
            spool = Spool(settings.spool_dir, queue)
            pages, size = len(spool.sequences), spool.total_bytes
        if settings.cursor_dir.is_dir():
            saved = CursorFile(settings.cursor_dir, queue).read()
            if saved is not None:
                cursor, saved_at = saved.cursor, saved.saved_at
    except (CursorFileDamaged, OSError) as error:
        trouble = str(error)
    return _Files(queue.key, cursor, saved_at, trouble, pages, size)


@dataclass(frozen=True, slots=True)
class _Telling:
    """Says what was found, as tables or as JSON."""

    settings: Settings
    engine: Engine
    files: list[_Files]
    json: bool
    out: TextIO
    err: TextIO
    now: float
    command: str
    demo: bool

    def whole(self, schema: MigrationStatus, figures: StoreFigures) -> int:
        queues = [self._with_files(row, figures.troubles.get(row["queue_key"])) for row in figures.health]
        told = {queue["queue"] for queue in queues}
        queues += [
            self._from_files(files, figures.troubles.get(files.queue_key))
            for files in self.files
            if files.queue_key not in told
        ]
        if self.json:
            store = {**self._store(), "engine": figures.engine_version, "bytes": figures.bytes_on_disk}
            state = {"pending": schema.pending, "drifted": schema.drifted}
            self._print(
                {
                    "store": store,
                    "schema": state,
                    "said": "",
                    "queues": queues,
                    "layers": figures.layers,
                    "harvest": None,
                    "events": [to_builtins(event) for event in figures.events],
                }
            )
            return DONE
        size = f"engine {figures.engine_version}, {figures.bytes_on_disk / 1e6:,.1f} MB on disk"
        say(self.out, f"Store   {self.engine.url}, database {self.engine.database}: {size}")
        say(self.out, f"Schema  {_schema(schema, self.command)}")
        self._table(queues)
        self._warnings(figures.events)
        say(self.out, "")
        print_table(self.out, ["layer", "rows"], [[name, f"{count:,}"] for name, count in figures.layers.items()])
        return DONE

    def attached(self, snapshot: Snapshot, remark: str) -> int:
        words, store, schema = attached_words(snapshot, remark), snapshot.store, snapshot.schema
        cursor_files = {files.queue_key: files.cursor for files in self.files}
        queues = [attached_queue(queue, cursor_files.get(queue.queue_key, ""), self.now) for queue in snapshot.queues]
        if self.json:
            self._print(
                {
                    "store": {**self._store(), "engine": store.version, "bytes": store.bytes_on_disk},
                    "schema": {"pending": schema.pending, "drifted": schema.drifted} if schema else None,
                    "said": words,
                    "queues": queues,
                    "layers": {},
                    "harvest": attached_harvest(snapshot),
                    "events": [to_builtins(event) for event in loud(snapshot.events)],
                }
            )
            return DONE
        say(self.err, words)
        self._table(queues)
        self._warnings(loud(snapshot.events))
        return DONE

    def without_store(self, words: str, code: int) -> int:
        queues = [self._from_files(files) for files in self.files if files.known]
        if self.json:
            nothing: dict[str, Any] = {"layers": {}, "harvest": None, "events": []}
            self._print({"store": self._store(), "schema": None, "said": words, "queues": queues, **nothing})
            return code
        say(self.err, words)
        self._table(queues)
        return code

    def _with_files(self, health: dict[str, Any], trouble: Trouble | None) -> dict[str, Any]:
        files = next((files for files in self.files if files.queue_key == health["queue_key"]), None)
        return {
            "queue": health["queue_key"],
            "level": health["level"],
            "lag_seconds": health["lag_seconds"],
            "state": health["last_status"],
            "cursor": health["cursor"],
            "cursor_file": files.cursor if files else "",
            "spool_pages": files.spool_pages if files else 0,
            "spool_bytes": files.spool_bytes if files else 0,
            "stalled_since": health["stalled_since"],
            "last_trouble": (files.trouble if files else "")
            or (health["last_error"] and self._line(trouble))
            or health["last_error"],
        }

    def _from_files(self, files: _Files, trouble: Trouble | None = None) -> dict[str, Any]:
        """The same where the store cannot be asked: the lag counts from the last page, or the next planned one."""
        lag = None
        if files.saved_at:
            planned = make_feed(files.queue_key.partition(":")[0], self.settings).there_at(files.cursor)
            since = max(datetime.fromisoformat(files.saved_at).timestamp(), planned or 0.0)
            lag = max(0.0, self.now - since)
        level = lag_level(lag, self.settings.lag_amber_seconds, self.settings.lag_red_seconds)
        return {
            "queue": files.queue_key,
            "level": level.value,
            "lag_seconds": lag,
            "state": "",
            "cursor": files.cursor,
            "cursor_file": files.cursor,
            "spool_pages": files.spool_pages,
            "spool_bytes": files.spool_bytes,
            "stalled_since": None,
            "last_trouble": files.trouble or self._line(trouble),
        }

    def _line(self, trouble: Trouble | None) -> str:
        """A trouble without its countdown, which only the living know."""
        return replace(trouble, next_try_at=None).line(self.now) if trouble else ""

    def _warnings(self, events: tuple[Event, ...]) -> None:
        if events:
            say(self.out, "\nThe last warnings of the harvest:")
            for event in events:
                say(self.out, f"{moment(event.at, self.now)} {printable(event.line())}")

    def _table(self, queues: list[dict[str, Any]]) -> None:
        if not queues:
            return
        rows = [
            [
                queue["queue"],
                "ended" if self.demo and queue["state"] == QueueState.STOPPED else queue["level"],
                "–" if queue["lag_seconds"] is None else f"{queue['lag_seconds']:,.0f} s",
                queue["state"] or "–",
                f"{queue['spool_pages']:,}",
                queue["cursor"] or "–",
                queue["last_trouble"] or "",
            ]
            for queue in queues
        ]
        print_table(
            self.out, ["queue", "level", "lag", "state", "spool", "next cursor", "last trouble"], rows, _LEVEL_STYLES
        )

    def _store(self) -> dict[str, Any]:
        return {"url": self.engine.url, "database": self.engine.database}

    def _print(self, answer: dict[str, Any]) -> None:
        say(self.out, json_format.dumps(answer, indent=2, default=str))


def _schema(schema: MigrationStatus, command: str) -> str:
    if not schema.pending and not schema.drifted:
        return f"all {len(schema.entries)} migrations applied"
    return f"{schema.pending} pending, {schema.drifted} drifted ({command} migrate --status)"
