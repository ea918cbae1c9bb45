"""`poe-ledger --headless status`: how the harvest stands, as the store and the files beside it tell."""

from __future__ import annotations

import json as json_format
from typing import Any, TextIO

from harvester.commands.exit_codes import DONE, FAILED, SCHEMA_NOT_READY
from harvester.commands.output import print_table, say
from harvester.commands.store_access import engine_of
from harvester.model import Queue
from harvester.settings import Settings
from harvester.store import migrations
from harvester.store.cursor_file import CursorFile, CursorFileDamaged
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.migration_status import is_unborn
from harvester.store.migrations import MigrationError
from harvester.store.read import StoreFigures, read_figures
from harvester.store.schema_files import migrations_directory
from harvester.store.spool import Spool

_LEVEL_STYLES = {"ok": "green", "amber": "yellow", "red": "bold red"}


def run_status(settings: Settings, *, json: bool, out: TextIO, err: TextIO) -> int:
    """Print the status and return the exit code."""
    engine = engine_of(settings)
    local = [_local(settings, queue) for queue in settings.queues]
    try:
        if is_unborn(engine):
            return _without_store(engine, local, json, out, err, "There is no store yet: nothing was ever harvested here.", DONE)
        schema = migrations.status(engine, migrations.load_migrations(migrations_directory()))
        if schema.untouched:
            return _without_store(engine, local, json, out, err, "The store is empty: nothing was ever harvested here.", DONE)
        with engine.open(writes=False) as handle:
            figures = read_figures(handle)
    except StoreError as error:
        if error.fault is StoreFault.HELD:
            words = f"{error} Beside it only what lies in files can be shown."
            return _without_store(engine, local, json, out, err, words, DONE)
        return _without_store(engine, local, json, out, err, f"{error} {error.hint}".strip(), FAILED)
    except MigrationError as error:
        say(err, str(error))
        return SCHEMA_NOT_READY
    answer = {
        "store": _store(engine),
        "migrations": {"pending": schema.pending, "drifted": schema.drifted},
        "queues": [vars_of(row, local) for row in figures.health],
        "layers": figures.layers,
    }
    if json:
        say(out, json_format.dumps(answer, indent=2, default=str))
        return DONE
    say(out, f"Store {engine.url}, database {engine.database}: {_size(figures)}")
    if schema.pending or schema.drifted:
        say(out, f"Migrations: {schema.pending} pending, {schema.drifted} drifted")
    rows = [
        [
            str(row["queue_key"]),
            str(row["level"]),
            f"{row['lag_seconds']:,.0f} s",
            str(row["last_status"] or "–"),
            str(row["spool_pages"]),
            str(row["cursor"]),
            str(row["last_error"] or ""),
        ]
        for row in answer["queues"]  # type: ignore[attr-defined]
    ]
    print_table(out, ["queue", "level", "lag", "state", "spool", "cursor", "last trouble"], rows, _LEVEL_STYLES)
    print_table(out, ["layer", "rows"], [[name, f"{count:,}"] for name, count in figures.layers.items()])
    return DONE


def vars_of(row: dict[str, Any], local: list[dict[str, Any]]) -> dict[str, Any]:
    """A queue's health with what the files say of it."""
    beside = next((entry for entry in local if entry["queue_key"] == row["queue_key"]), {})
    return {**row, "spool_pages": beside.get("spool_pages", 0), "cursor_file": beside.get("cursor")}


def _local(settings: Settings, queue: Queue) -> dict[str, Any]:
    """What the files of a queue say, without touching the store."""
    folder = settings.spool_dir / queue.key.replace(":", "_")
    pages = len(Spool(settings.spool_dir, queue).sequences) if folder.is_dir() else 0
    cursor: str | None = None
    if settings.cursor_dir.is_dir():
        try:
            saved = CursorFile(settings.cursor_dir, queue).read()
            cursor = saved.cursor if saved else None
        except CursorFileDamaged as error:
            cursor = str(error)
    return {"queue_key": queue.key, "cursor": cursor, "spool_pages": pages}


def _without_store(
    engine: Engine, local: list[dict[str, Any]], json: bool, out: TextIO, err: TextIO, words: str, code: int
) -> int:
    if json:
        say(out, json_format.dumps({"store": _store(engine), "said": words, "queues": local}, indent=2))
        return code
    say(err, words)
    known = [entry for entry in local if entry["cursor"] or entry["spool_pages"]]
    if known:
        rows = [[entry["queue_key"], str(entry["spool_pages"]), entry["cursor"] or "–"] for entry in known]
        print_table(out, ["queue", "spool", "cursor file"], rows)
    return code


def _store(engine: Engine) -> dict[str, str]:
    return {"url": engine.url, "database": engine.database}


def _size(figures: StoreFigures) -> str:
    return f"engine {figures.engine_version}, {figures.bytes_on_disk / 1e6:,.1f} MB on disk"
