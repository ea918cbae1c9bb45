"""The queries that were asked, on disk: bounded, private, and never half written.

One JSON object a line, oldest first. Two apps may share the file: what is added is added to what stands there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harvester.files import create_directory, write_durably

KEPT = 500
KEPT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PastQuery:
    """A query that was asked."""

    sql: str
    asked_at: float
    """Epoch seconds."""


class QueryHistory:
    """The history in one file, mode 0600. A line that cannot be read is left out."""

    def __init__(self, path: Path, *, kept: int = KEPT, kept_bytes: int = KEPT_BYTES) -> None:
        self._path = path
        self._kept = kept
        self._kept_bytes = kept_bytes

    def read(self) -> tuple[PastQuery, ...]:
        """Oldest first; nothing where there is no file.

        Raises:
            OSError: the file cannot be read.
        """
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return ()
        return tuple(query for line in lines if (query := _query(line)) is not None)

    def add(self, query: PastQuery) -> tuple[PastQuery, ...]:
        """Add a query at the end, and say what the history is now. The same text is kept once, at its newest place.

        Raises:
            OSError: it cannot be written; the file is as it was.
        """
        queries = [past for past in self.read() if past.sql != query.sql]
        queries = [*queries, query][-self._kept :]
        lines = [_line(past) for past in queries]
        while len(lines) > 1 and sum(map(len, lines)) > self._kept_bytes:
            del lines[0], queries[0]
        create_directory(self._path.parent)
        write_durably(self._path, b"".join(lines))
        return tuple(queries)


def _line(query: PastQuery) -> bytes:
    return json.dumps({"sql": query.sql, "asked_at": query.asked_at}).encode() + b"\n"


def _query(line: bytes) -> PastQuery | None:
    try:
        given = json.loads(line)
        sql, asked_at = given["sql"], float(given["asked_at"])
    except (ValueError, KeyError, TypeError):
        return None
    return PastQuery(sql, asked_at) if isinstance(sql, str) else None
