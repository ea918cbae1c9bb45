"""One connection to the store, for one thread: asking, running, inserting, and what is done where an answer is lost."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from harvester.store.definition_room import require_room
from harvester.store.errors import StoreError, sort_error
from harvester.store.replication import PLAIN, Replication
from harvester.store.settling import leaves_doubt, settle

Row = tuple[Any, ...]


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
