"""The engine by URL: `chdb:///path` (embedded) or `http(s)://host:port` (a server), through one driver.

A driver client serves one call at a time, so every thread that talks to the store opens a `Handle` of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harvester.store.embedded import connect_embedded
from harvester.store.errors import StoreError, sort_error
from harvester.store.handle import Handle
from harvester.store.quoting import quote_name
from harvester.store.server_connection import ServerOptions

# One INSERT must become one part: a page is then stored whole or not at all.
_WRITE_SETTINGS: dict[str, Any] = {
    "async_insert": 0,
    "max_insert_threads": 1,
    "max_insert_block_size": 10_000_000,
    "min_insert_block_size_rows": 10_000_000,
    "min_insert_block_size_bytes": 4 << 30,
    "max_partitions_per_insert_block": 1,
    # Replicated tables would drop a block that looks like an earlier one; whether it was stored is looked up instead.
    "insert_deduplicate": 0,
    # What was written must be read, also where another replica of a cloud answers.
    "select_sequential_consistency": 1,
    # Merging expressions of the derivation costs more planning time than it saves at run time.
    "query_plan_merge_expressions": 0,
}


class Engine:
    """Where the store is and how to reach it. Opens handles; keeps none."""

    def __init__(
        self,
        url: str,
        database: str,
        *,
        user: str = "",
        password: str = "",
        options: ServerOptions | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`url` is `chdb:///absolute/directory` or `http(s)://host[:port]`; it holds no credentials.

        `pause` sleeps, where the end of a statement is waited for.
        """
        self.url = url
        self._options = options or ServerOptions()
        self._pause = pause
        self.database = database
        self._user = user
        self._password = password

    def __repr__(self) -> str:
        return f"Engine({self.url!r}, database={self.database!r})"

    @property
    def embedded_directory(self) -> Path | None:
        """The engine's data directory; None for a server."""
        parts = urlsplit(self.url)
        return Path(parts.path) if parts.scheme == "chdb" else None

    def open(self, *, writes: bool = True, writer: str = "") -> Handle:
        """A handle with the database in force; it must exist (`create_database`).

        A `writer` is the one who writes under this name, such as a queue's committer: on a server its statements are
        marked, and what an earlier process of that name left running is settled before the first statement.

        Raises:
            StoreError: unreachable, refused, held by another process, or the database is missing.
        """
        mark = f"poe-ledger {self.database} {writer}" if writer and self.embedded_directory is None else ""
        handle = self._connect(_WRITE_SETTINGS if writes else {}, self.database, mark)
        if self.embedded_directory is not None:
            try:
                handle.run(f"USE {quote_name(self.database)}")
            except StoreError:
                handle.close()
                raise
        return handle

    def open_read_only(self, limits: Mapping[str, Any] | None = None) -> Handle:
        """A handle on which the engine itself refuses writes; `limits` are set before the door closes.

        `readonly=1` alone does not stop `INTO OUTFILE`, `KILL QUERY` or (embedded) a second statement in the
        same text: whoever runs an operator's SQL also passes it through an allow-list.
        """
        handle = self._connect(dict(limits or {}), self.database)
        if self.embedded_directory is not None:
            handle.run(f"USE {quote_name(self.database)}")
        handle.set_for_session("readonly", 1)
        return handle

    def create_database(self) -> None:
        """Create the database where it is missing."""
        with self._connect({}, None) as handle:
            handle.run(f"CREATE DATABASE IF NOT EXISTS {quote_name(self.database)}")

    def database_exists(self) -> bool:
        """Whether the database is there; raises `StoreError` only where the store itself cannot be asked."""
        with self._connect({}, None) as handle:
            return bool(
                handle.value("SELECT count() FROM system.databases WHERE name = {name:String}", {"name": self.database})
            )

    def _connect(self, settings: Mapping[str, Any], database: str | None, mark: str = "") -> Handle:
        directory = self.embedded_directory
        if directory is not None:
            return Handle(connect_embedded(directory, settings))
        import clickhouse_connect

        try:
            client = clickhouse_connect.get_client(
                dsn=self.url,
                username=self._user or None,
                password=self._password,
                database=database or "",
                settings={**settings, **({"log_comment": mark} if mark else {})},
                autogenerate_session_id=False,
                **self._options.for_driver(),
            )
        except Exception as error:
            raise sort_error(error) from error
        return Handle(client, mark=mark, pause=self._pause, doubtful=bool(mark), replication=self._options.replication)
