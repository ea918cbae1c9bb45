"""`poe-ledger --headless move --to URL`: the whole store into another one, and the proof of it."""

from __future__ import annotations

import json as json_format
import time
from typing import TextIO

from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn

from harvester.commands.bar_or_lines import BarOrLines
from harvester.commands.exit_codes import DONE, FAILED, INTERRUPTED, MISUSED
from harvester.commands.hints import HEADLESS
from harvester.commands.output import duration, print_table, say
from harvester.commands.signals import leaving_on_signals
from harvester.commands.store_access import engine_of, say_store_error
from harvester.settings import Settings
from harvester.settings_shapes import clickhouse_url
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.migrations import MigrationError
from harvester.store.schema_files import SchemaFilesMissingError
from harvester.store.store_move import MoveEnd, MoveProgress, MoveRefused, MoveResult, StoreMove


def run_move(settings: Settings, to: str, *, json: bool, out: TextIO, err: TextIO, command: str = HEADLESS) -> int:
    """Copy the store of the settings into the one at `to`; returns the exit code.

    User, password, database name and TLS options are those of the settings; an embedded store needs none of them.
    """
    try:
        target_url = clickhouse_url(to)
    except ValueError as error:
        say(err, f"--to wants chdb:///absolute/directory or http(s)://host[:port], not {to!r}. {error}".strip())
        return MISUSED
    source = engine_of(settings)
    if target_url == source.url:
        say(err, f"--to names the store that is to be moved: {source.url}.")
        return MISUSED
    if source.embedded_directory is not None and target_url.startswith("chdb:"):
        say(err, "An embedded store is moved to another directory with mv or cp -a, while nothing runs on it.")
        return MISUSED
    target = engine_of(settings.model_copy(update={"clickhouse_url": target_url}))
    say(err, f"Moving {source.url} to {target.url}, database {source.database}. Stop every harvest on both meanwhile.")
    try:
        with (
            leaving_on_signals(lambda: say(err, "Stopping behind the slice in hand …")) as leave,
            _Display(err) as show,
        ):
            result = StoreMove(source, target).run(show.show, lambda: leave.asked)
    except (MoveRefused, MigrationError, SchemaFilesMissingError) as error:
        say(err, str(error))
        return FAILED
    except StoreError as error:
        say_store_error(err, error)
        say(err, "The same command goes on where this one was. The store to move is as it was.")
        return FAILED
    _report(result, source, target, json=json, out=out)
    if result.end is MoveEnd.STOPPED:
        say(err, "Stopped. The same command goes on where this one was; the store to move is as it was.")
        return INTERRUPTED if leave.exit_code == INTERRUPTED else FAILED
    say(err, "Every table has the same rows in both, by count and checksum. Nothing was removed from the old store.")
    say(err, f"Harvest into the new one from now on: set POE_CLICKHOUSE_URL={target.url} in .env, keep POE_CURSOR_DIR")
    say(err, f"as it is, and see:  {command} doctor")
    return DONE


def _report(result: MoveResult, source: Engine, target: Engine, *, json: bool, out: TextIO) -> None:
    if json:
        answer = {
            "end": result.end.value,
            "from": source.url,
            "to": target.url,
            "tables": [
                {"table": table.name, "rows": table.rows, "checksum": f"{table.checksum:016x}"}
                for table in result.tables
            ],
        }
        say(out, json_format.dumps(answer))
        return
    rows = [[table.name, f"{table.rows:,}", f"{table.checksum:016x}"] for table in result.tables]
    print_table(out, ["table", "rows", "checksum"], rows)


class _Display(BarOrLines):
    """Rows copied, of all tables together."""

    def __init__(self, err: TextIO) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        super().__init__(err, *columns, task="move")
        self._began = time.monotonic()
        self._first_done: int | None = None

    def show(self, progress: MoveProgress) -> None:
        if self._first_done is None:
            self._first_done, self._began = progress.rows_done, time.monotonic()
        what = f"{progress.doing} {progress.table}"
        if self.update(what, progress.rows_done, max(1, progress.rows_total)):
            rate = (progress.rows_done - self._first_done) / max(0.001, time.monotonic() - self._began)
            left = f", {duration((progress.rows_total - progress.rows_done) / rate)} left" if rate > 0 else ""
            self.say(f"{what}: {progress.rows_done:,} of {progress.rows_total:,} rows{left}")
