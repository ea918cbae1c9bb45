"""Looks for texts in every column of every table of an embedded store. A process of its own: one store a process.

    python -m tests.name_search DIRECTORY DATABASE NEEDLES.json

prints `{"found": {"table.column": rows}, "accounts": […]}`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from harvester.store.engine import Engine
from harvester.store.quoting import quote_name

_PLACES = (
    "SELECT database, table, name FROM system.columns WHERE database = {database:String}"
    " OR (database = 'system' AND match(table, '_log(_[0-9]+)?$'))"
)


def main() -> None:
    directory, database, needles_file = sys.argv[1:]
    needles: list[str] = json.loads(Path(needles_file).read_text())
    found: dict[str, int] = {}
    with Engine(f"chdb://{directory}", database).open() as handle:
        for of_database, table, column in handle.rows(_PLACES, {"database": database}):
            name = quote_name(column)
            count = handle.value(
                f"SELECT countIf(arrayExists(needle -> position(text, needle) > 0, {{needles:Array(String)}}))"
                f" FROM (SELECT ifNull(toString({name}), '') AS text FROM {of_database}.{quote_name(table)})",
                {"needles": needles},
            )
            if count:
                found[f"{table}.{column}"] = count
        accounts = [row[0] for row in handle.rows("SELECT DISTINCT account FROM v_stashes_current ORDER BY account")]
    json.dump({"found": found, "accounts": accounts}, sys.stdout)


if __name__ == "__main__":
    main()
