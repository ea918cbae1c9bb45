"""The engine by URL: `chdb:///path` (embedded) or `http(s)://host:port` (a server), through one driver.

A driver client serves one call at a time, so every thread that talks to the store opens a `Handle` of its own.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from harvester.files import create_directory
from harvester.store.definition_room import require_room
from harvester.store.errors import StoreError, StoreFault, sort_error
from harvester.store.quoting import quote_name
from harvester.store.replication import PLAIN, Replication
from harvester.store.server_connection import ServerOptions
from harvester.store.settling import leaves_doubt, settle

Row = tuple[Any, ...]

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

_EMBEDDED_OPTIONS: dict[str, Any] = {
    "mark_cache_size": 256 << 20,
    "max_server_memory_usage_to_ram_ratio": 0.6,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A result in memory, with what the engine says of it."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    """The ClickHouse type of each column."""
    rows: list[Row]
    read_rows: int = 0
    """What was read to answer; 0 where the engine does not say."""
    read_bytes: int = 0


class Handle:
    """One connection to the store, for one thread. Failures are `StoreError`.

    A handle with a `mark` writes on a server: when the answer to a writing statement is lost, the next statement waits
    until nothing of it runs any more (`harvester.store.settling`).
    """

    def __init__(
        self,
        client: Any,
        *,
        mark: str = "",
        pause: Callable[[float], None] = time.sleep,
        doubtful: bool = False,
        replication: Replication = PLAIN,
    ) -> None:
        """`doubtful` says that statements of the same mark may still be running, of a process before this one."""
        self.replication = replication
        self._client = client
        self._mark = mark
        self._pause = pause
        self._in_doubt = doubtful and bool(mark)
        self._check: Callable[[], None] = lambda: None

    def check_before_writing(self, check: Callable[[], None]) -> None:
        """Call `check` before each writing statement; it raises where nothing may be written any more."""
        self._check = check

    @property
    def server_version(self) -> str:
        """The engine's version, for example `26.9.2.1`."""
        return str(self._client.server_version)

    def rows(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        as_bytes: bool = False,
    ) -> list[Row]:
        """The result of a reading statement, in memory. Parameters are bound by the engine: `{name:Type}`.

        `as_bytes` gives String columns as the bytes they are; else what is no UTF-8 comes as hexadecimal.
        """
        return self.table(sql, parameters, settings, as_bytes=as_bytes)[1]

    def table(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        as_bytes: bool = False,
    ) -> tuple[tuple[str, ...], list[Row]]:
        """As `rows`, with the column names in front."""
        answer = self.ask(sql, parameters, settings, as_bytes=as_bytes)
        return answer.columns, answer.rows

    def ask(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        as_bytes: bool = False,
    ) -> Answer:
        """As `rows`, with types and figures."""
        self._settle()
        try:
            result = self._client.query(
                sql,
                parameters=dict(parameters) if parameters else None,
                settings=dict(settings or {}),
                query_formats={"String": "bytes"} if as_bytes else None,
            )
            summary = result.summary or {}
            return Answer(
                columns=tuple(result.column_names),
                types=tuple(column_type.name for column_type in result.column_types),
                rows=[tuple(row) for row in result.result_rows],
                read_rows=int(summary.get("read_rows", 0)),
                read_bytes=int(summary.get("read_bytes", 0)),
            )
        except Exception as error:
            raise sort_error(error) from error

    def value(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """The first column of the first row; None where there is no row."""
        rows = self.rows(sql, parameters)
        return rows[0][0] if rows else None

    def run(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Execute a statement that returns nothing: DDL, `INSERT … SELECT`, `OPTIMIZE`.

        A definition goes to all replicas, where the server has some (`harvester.store.replication`), and is not
        written on a full disk (`harvester.store.definition_room`).
        """
        self._settle()
        self._check()
        require_room(sql, self.value)
        try:
            self._client.command(
                self.replication.worded(sql),
                parameters=dict(parameters) if parameters else None,
                settings=dict(settings or {}),
            )
        except Exception as error:
            raise self._doubt(sort_error(error)) from error

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows as one block. `columns` maps names to ClickHouse types, in the order of the values."""
        from clickhouse_connect.datatypes.registry import get_from_name

        self._settle()
        self._check()
        try:
            self._client.insert(
                table,
                rows,
                column_names=list(columns),
                column_types=[get_from_name(name) for name in columns.values()],
            )
        except Exception as error:
            raise self._doubt(sort_error(error)) from error

    def export(self, sql: str) -> bytes:
        """The result of a reading statement in the engine's own format, for `take` of another handle."""
        self._settle()
        try:
            return bytes(self._client.raw_query(sql, fmt="Native"))
        except Exception as error:
            raise sort_error(error) from error

    def take(self, table: str, block: bytes) -> None:
        """Insert what `export` gave, as one block."""
        self._settle()
        self._check()
        try:
            # A body that is made while it is sent is never sent twice (`server_connection`).
            self._client.raw_insert(table, insert_block=(part for part in (block,)), fmt="Native")
        except Exception as error:
            raise self._doubt(sort_error(error)) from error

    def set_for_session(self, name: str, value: Any) -> None:
        """A setting for all later statements of this handle."""
        try:
            self._client.set_client_setting(name, value)
        except Exception as error:
            raise sort_error(error) from error

    def _doubt(self, error: StoreError) -> StoreError:
        self._in_doubt = self._in_doubt or (bool(self._mark) and leaves_doubt(error))
        return error

    def _settle(self) -> None:
        if not self._in_doubt:
            return

        def ask(sql: str, parameters: dict[str, Any]) -> Any:
            try:
                result = self._client.query(sql, parameters=parameters, settings={"log_comment": ""})
            except Exception as error:
                raise sort_error(error) from error
            return result.result_rows[0][0] if result.result_rows else None

        settle(ask, self._mark, self._pause, cluster=self.replication.quoted_cluster)
        self._in_doubt = False

    def close(self) -> None:
        """Give the connection back. Closing twice is harmless."""
        with contextlib.suppress(Exception):
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
            return self._connect_embedded(directory, settings)
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

    @staticmethod
    def _connect_embedded(directory: Path, settings: Mapping[str, Any]) -> Handle:
        try:
            from chdb import _chdb
        except ImportError as error:
            raise StoreError(
                StoreFault.OTHER,
                "The embedded engine is not installed. Install it with: pip install 'poe-ledger[embedded]', "
                "or name a server in POE_CLICKHOUSE_URL.",
            ) from error
        import clickhouse_connect

        holder = holder_of(directory)
        if holder is not None and holder != os.getpid():
            raise _held(directory, holder)
        # The engine's own signal handlers swallow Ctrl-Z and can hang a dying process.
        _chdb.set_signal_handlers_enabled(False)  # type: ignore[attr-defined]
        try:
            create_directory(directory)
        except OSError as error:
            fault = StoreFault.DISK_FULL if error.errno == errno.ENOSPC else StoreFault.UNWRITABLE
            raise StoreError(fault, f"The directory {directory} cannot be made: {error.strerror}.") from error
        try:
            client = clickhouse_connect.get_client(
                interface="chdb", path=str(directory), chdb_options=_EMBEDDED_OPTIONS, settings=dict(settings)
            )
        except Exception as error:
            holder = holder_of(directory)
            if holder is not None and holder != os.getpid():
                raise _held(directory, holder) from error
            raise sort_error(error) from error
        return Handle(client)


def _held(directory: Path, holder: int) -> StoreError:
    return StoreError(
        StoreFault.HELD,
        f"The embedded store {directory} is in use by {f'process {holder}' if holder else 'another process'}.",
    )


def holder_of(directory: Path) -> int | None:
    """The process that has the embedded engine open in a directory; None where none has.

    The engine keeps its `status` file locked while it lives and writes its process id into it. After a kill the id
    stays, and may by now be somebody else's: the lock alone says whether the store is held.
    """
    try:
        with (directory / "status").open("rb") as status:
            try:
                fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = status.read().decode("utf-8", "replace")
            else:
                return None
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "PID" and value.strip().isdigit():
            return int(value)
    return 0
