"""`poe-ledger --headless query`: ask the store one question, through the read-only door.

Exit codes: 0 answered, 1 the store could not be asked or the engine refused the query, 2 the query is refused.
A result that was cut off is said on standard error.
"""

from __future__ import annotations

from typing import TextIO

from harvester.commands.exit_codes import DONE, FAILED, MISUSED
from harvester.commands.hints import HEADLESS, nothing_yet
from harvester.commands.output import print_table, printable, say
from harvester.commands.result_file import ResultFormat, write_result
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.migration_status import is_unborn
from harvester.store.plain_value import as_text
from harvester.store.query_guard import QueryRefusedError, read_text
from harvester.store.query_result import QueryLimits, QueryResult
from harvester.store.read_only import ReadOnlyDoor, query_hint

TABLE = "table"


def run_query(
    engine: Engine,
    sql: str,
    *,
    out: TextIO,
    err: TextIO,
    form: str = TABLE,
    limits: QueryLimits | None = None,
    command: str = HEADLESS,
) -> int:
    """Ask, print the result in `form` (`table` or one of `ResultFormat`), and return the exit code."""
    try:
        read_text(sql)
        if is_unborn(engine):
            say(err, f"There is no store yet: {nothing_yet(command)}")
            return FAILED
        with ReadOnlyDoor(engine, limits) as door:
            result = door.query(sql)
    except QueryRefusedError as error:
        say(err, str(error))
        return MISUSED
    except StoreError as error:
        if error.fault is StoreFault.NO_DATABASE:
            say(err, f"The store is empty: {nothing_yet(command)}")
        else:
            say(err, f"{error} {query_hint(error)}".strip())
        return FAILED
    _print(out, result, form)
    rows = f"{len(result.rows):,} row{'' if len(result.rows) == 1 else 's'}"
    say(err, f"{rows} in {result.took_ms / 1000:.2f} s{f'; {result.cut}' if result.cut else ''}.")
    return DONE


def _print(out: TextIO, result: QueryResult, form: str) -> None:
    if form == TABLE:
        rows = [[as_text(value, null="NULL") for value in row] for row in result.rows]
        if result.columns:
            print_table(out, [printable(name) for name in result.columns], rows)
    elif form == ResultFormat.CSV and out.isatty():
        # A stranger's control characters are for files; the terminal gets them shown.
        write_result(_Shown(out), result, ResultFormat.CSV)
    else:
        write_result(out, result, ResultFormat(form))


class _Shown:
    """A stream that shows control characters instead of passing them on."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str, /) -> int:
        return self._out.write(printable(text, keep_lines=True))
