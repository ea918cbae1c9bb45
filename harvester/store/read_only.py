"""The door for an operator's own questions: one reading statement at a time, bounded, cancellable.

Three locks, each of which would do for most: the text is one statement of an allow-list (`query_guard`, by two
parsers), the handle has its limits and then `readonly=1`, and what is run is the engine's own writing of what it
understood. It works the same on the embedded engine and on a server.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self
from uuid import uuid4

from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.query_guard import QueryRefusedError, inspect, read_text
from harvester.store.query_result import QueryLimits, QueryResult, result_of
from harvester.store.query_scope import QueryScope, read_scope
from harvester.store.quoting import quote_text

_KILL_AGAIN_SECONDS = 0.2
_KILL_TRIES = 50


_HINTS = {
    StoreFault.TIMEOUT: "Ask for less, for example with LIMIT or a WHERE on time.",
    StoreFault.MEMORY: "Ask for less: group by fewer things, or select fewer columns.",
}
_OF_THE_STORE = frozenset({StoreFault.UNREACHABLE, StoreFault.HELD, StoreFault.CREDENTIALS, StoreFault.NO_DATABASE})


def query_hint(error: BaseException) -> str:
    """What to do about a query that failed; empty where the error says it all."""
    if not isinstance(error, StoreError):
        return ""
    return _HINTS.get(error.fault, error.hint if error.fault in _OF_THE_STORE else "")


class QueryCancelledError(Exception):
    """The query was cancelled before it had answered."""


class ReadOnlyDoor:
    """Asks one query after the other, on one thread; `cancel` may come from any other thread.

    A store that is lost is opened again by the next query.
    """

    def __init__(
        self, engine: Engine, limits: QueryLimits | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._limits = limits or QueryLimits()
        self._monotonic = monotonic
        self._mark = f"poe-ledger-query-{uuid4().hex}"
        self._handle: Handle | None = None
        self._scope: QueryScope | None = None
        self._cancelled = threading.Event()
        self._idle = threading.Event()
        self._idle.set()

    @property
    def limits(self) -> QueryLimits:
        """What a query may cost."""
        return self._limits

    def query(self, text: str, cancelled: threading.Event | None = None) -> QueryResult:
        """Run an operator's query. Who sets `cancelled` before it has begun, and then calls `cancel`, is in time too.

        Raises:
            QueryRefusedError: it is not run: not one statement, or one that does more than read this store.
            QueryCancelledError: `cancel` was called.
            StoreError: the store cannot be asked, or the engine refuses the query (a syntax error, a limit).
        """
        self._cancelled = cancelled or threading.Event()
        statement = read_text(text)
        self._idle.clear()
        try:
            return self._run(statement)
        except StoreError as error:
            if self._cancelled.is_set() and error.fault in {StoreFault.CANCELLED, StoreFault.OTHER}:
                raise QueryCancelledError("The query was cancelled.") from error
            if error.fault in _OF_THE_STORE:
                self._drop()
            raise
        finally:
            self._idle.set()

    def _run(self, statement: str) -> QueryResult:
        self._stop_if_cancelled()
        handle = self._open()
        # Tables come and go (migrations, other programs): what is outside is looked up for each query.
        scope = self._scope = read_scope(handle, self._engine.database, self._scope)
        inspect(statement, scope)
        canonical = str(handle.value(f"SELECT formatQuerySingleLine({quote_text(statement)})"))
        inspect(canonical, scope)
        self._stop_if_cancelled()
        began = self._monotonic()
        answer = handle.ask(canonical)
        took_ms = round((self._monotonic() - began) * 1000)
        if not answer.columns and canonical.startswith(("SELECT ", "WITH ")):
            # The engine sends nothing at all for no rows.
            header = handle.rows(f"DESCRIBE TABLE ({canonical})")
            answer = replace(answer, columns=tuple(h[0] for h in header), types=tuple(h[1] for h in header))
        return result_of(canonical, answer, self._limits, took_ms)

    def _stop_if_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise QueryCancelledError("The query was cancelled.")

    def cancel(self) -> bool:
        """End the query that runs now; True when it has ended. Blocks for some seconds at most.

        A server that no longer answers cannot be told: then False, and the query ends by its time limit.
        """
        if self._idle.is_set():
            return True
        self._cancelled.set()
        kill = f"KILL QUERY WHERE Settings['log_comment'] = {quote_text(self._mark)} ASYNC"
        try:
            # Not on the door's own handle: that one is busy, and read-only.
            with self._engine.open(writes=False) as handle:
                for _ in range(_KILL_TRIES):
                    handle.rows(kill)
                    if self._idle.wait(_KILL_AGAIN_SECONDS):
                        return True
        except StoreError:
            pass
        return self._idle.is_set()

    def close(self) -> None:
        """Give the handle back; a query that runs is cancelled first."""
        if not self._idle.is_set():
            self.cancel()
        self._drop()

    def _open(self) -> Handle:
        if self._handle is None:
            self._handle = self._engine.open_read_only(self._limits.settings(self._mark))
        return self._handle

    def _drop(self) -> None:
        if self._handle is not None:
            self._handle.close()
        self._handle = None
        self._scope = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__ = ["QueryCancelledError", "QueryRefusedError", "ReadOnlyDoor", "query_hint"]
