"""Who keeps the read-only door for the query pane: opened on the job's thread, cancelled from another.

Nothing here touches a widget. A door belongs to one engine; where the app opens the store anew, so does the desk.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harvester.store.engine import Engine
    from harvester.store.query_completion import QueryNames
    from harvester.store.query_history import PastQuery
    from harvester.store.query_result import QueryResult
    from harvester.store.read_only import ReadOnlyDoor
    from poe_ledger_tui.session import HarvestPlan


@dataclass(frozen=True, slots=True)
class Remembered:
    """The history as it is now; `trouble` says why it could not be kept on disk."""

    queries: tuple[str, ...]
    trouble: str = ""


def history_path(plan: HarvestPlan | None) -> Path | None:
    """Where the history lies; a demo's with its data. None where nothing is known of the plan."""
    if plan is None:
        return None
    if plan.demo:
        return plan.settings.cursor_dir.parent / "queries.jsonl"
    from poe_ledger_tui.prefs import prefs_path

    return prefs_path().with_name("queries.jsonl")


class QueryDesk:
    """Asks one query at a time. `ask`, `names` and `remembered` block; `call_off` may come from any thread."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._door: ReadOnlyDoor | None = None
        self._engine: Engine | None = None
        self._lock = threading.Lock()

    def ask(
        self,
        engine: Engine,
        sql: str,
        history: Path | None,
        remembered: Callable[[Remembered], None],
        cancelled: threading.Event,
    ) -> QueryResult:
        """Remember a query, then run it unless `cancelled` is set. Raises what `ReadOnlyDoor.query` raises."""
        remembered(self._remember(sql, history))
        return self._door_to(engine).query(sql, cancelled)

    def call_off(self, cancelled: threading.Event) -> bool:
        """End the query that was given this event, or is about to begin with it; True when the engine is done."""
        cancelled.set()
        door = self._door
        return door.cancel() if door is not None else True

    def names(self, engine: Engine) -> QueryNames:
        """What can be written in a query. Raises `StoreError` where the store cannot be asked."""
        from harvester.store.query_completion import read_names

        with engine.open_read_only() as handle:
            return read_names(handle)

    def remembered(self, history: Path | None) -> Remembered:
        """The history on disk."""
        from harvester.store.query_history import QueryHistory

        if history is None:
            return Remembered(())
        try:
            return _of(QueryHistory(history).read())
        except OSError as error:
            return Remembered((), f"Earlier queries cannot be read: {error.strerror or error}")

    def _remember(self, sql: str, history: Path | None) -> Remembered:
        from harvester.store.query_history import PastQuery, QueryHistory

        if history is None:
            return Remembered(())
        try:
            return _of(QueryHistory(history).add(PastQuery(sql, self._wall())))
        except OSError as error:
            return Remembered((), f"The query is run, and not remembered: {error.strerror or error}")

    def _door_to(self, engine: Engine) -> ReadOnlyDoor:
        from harvester.store.read_only import ReadOnlyDoor

        with self._lock:
            if self._door is None or self._engine is not engine:
                if self._door is not None:
                    self._door.close()
                self._door, self._engine = ReadOnlyDoor(engine), engine
            return self._door


def _of(queries: tuple[PastQuery, ...]) -> Remembered:
    return Remembered(tuple(past.sql for past in queries))
