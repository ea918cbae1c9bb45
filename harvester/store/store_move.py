"""A whole store into another one: embedded to a server, or back, slice by slice, proved by counts and checksums.

Nothing is remembered outside the two stores. Each table is copied in the order of its key, partition by partition, and
each slice is one block of one partition, which a store takes whole or not at all. So how far an earlier run came is
what the target holds, a run that was cut off goes on there, and an answer that was lost is settled by looking.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from harvester.store import migrations
from harvester.store.derive_sql import SHADOW_PREFIX
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.migration_lock import LOCK_TABLE
from harvester.store.migration_status import is_unborn
from harvester.store.queue_lease import LEASE_TABLE, held_queues
from harvester.store.quoting import quote_name, quote_text
from harvester.store.schema_files import migrations_directory

SLICE_BYTES = 32 << 20
"""Uncompressed bytes of a slice, about: it is held in memory once or twice, on both sides."""
PATIENCE = 6
"""Tries in a row without a new row before a failing store is given up."""
_OWN = (migrations.HISTORY_TABLE, LOCK_TABLE, LEASE_TABLE)
"""What every store has of its own."""
_LAST = "bronze_ingest_checkpoints"
"""Copied last: without it nobody takes the target for a store to go on from."""
_PASSING = (StoreFault.UNREACHABLE, StoreFault.TIMEOUT, StoreFault.MEMORY, StoreFault.TOO_MANY_PARTS)


class MoveRefused(Exception):  # noqa: N818 - an answer, not a fault
    """The two stores are not fit for it; the text says why and what to do. Nothing was written."""


class MoveEnd(Enum):
    """How a move ended."""

    DONE = "done"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class MovedTable:
    """A table that both stores hold alike."""

    name: str
    rows: int
    checksum: int
    """The sum of the hashes of all rows, modulo 2^64, the same in both stores."""


@dataclass(frozen=True, slots=True)
class MoveProgress:
    """How far the move has come."""

    table: str
    rows_done: int
    rows_total: int
    """Of all tables together; superseded rows count until they are found."""
    doing: str
    """`copy` or `check`."""


@dataclass(frozen=True, slots=True)
class MoveResult:
    """What was moved, and whether that is all."""

    end: MoveEnd
    tables: tuple[MovedTable, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    columns: tuple[str, ...]
    key: tuple[tuple[str, str], ...]
    """Columns of the sorting key, with their types."""
    replacing: bool
    """Rows of the same key supersede each other: only the newest is moved."""

    @property
    def source(self) -> str:
        return f"{quote_name(self.name)}{' FINAL' if self.replacing else ''}"

    @property
    def key_names(self) -> str:
        return ", ".join(quote_name(name) for name, _ in self.key)

    def up_to(self, last: Sequence[str] | None, comparison: str) -> str:
        """A condition: the key is `<=` or `>` the one at which an earlier slice ended."""
        if last is None:
            return "1" if comparison == ">" else "0"
        values = ", ".join(f"CAST(unhex('{value}') AS {kind})" for value, (_, kind) in zip(last, self.key, strict=True))
        return f"({self.key_names}) {comparison} ({values})"


class StoreMove:
    """Copies what `source` holds into `target`. One thread; nobody may harvest into either meanwhile."""

    def __init__(
        self,
        source: Engine,
        target: Engine,
        *,
        slice_bytes: int = SLICE_BYTES,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """`pause` sleeps between tries where a store does not answer."""
        self._source_engine = source
        self._target_engine = target
        self._slice_bytes = slice_bytes
        self._pause = pause
        self._files = migrations.load_migrations(migrations_directory())
        self._target: Handle | None = None
        self._rows_done = 0
        self._rows_total = 0

    def run(self, report: Callable[[MoveProgress], None], leave: Callable[[], bool]) -> MoveResult:
        """Copy, or go on copying, and prove each table. `leave` is asked between slices.

        Raises:
            MoveRefused: somebody harvests into one of them, the schema of the source is not the newest, or the target
                holds other data.
            MigrationError: the target cannot be given the schema.
            StoreError: a store does not answer, or what was written is not what was read.
        """
        self._same_schema()
        moved: list[MovedTable] = []
        try:
            with self._source_engine.open(writes=False) as source:
                _nobody_harvests(source, "the store to move")
                _nobody_harvests(self._reach(), "the target")
                tables = _tables(source)
                if any(table.name.startswith(SHADOW_PREFIX) for table in tables):
                    raise MoveRefused("A rebuild of silver was cut off in that store. Finish it first: rebuild silver.")
                self._rows_total = sum(rows for table in tables for _, rows, _ in _partitions(source, table))
                for table in tables:
                    if not self._move(source, table, report, leave):
                        return MoveResult(MoveEnd.STOPPED, tuple(moved))
                    report(MoveProgress(table.name, self._rows_done, self._rows_total, "check"))
                    moved.append(self._proved(source, self._reach(), table))
        finally:
            self._let_go()
        return MoveResult(MoveEnd.DONE, tuple(moved))

    def _same_schema(self) -> None:
        if is_unborn(self._source_engine):
            raise MoveRefused(f"There is no store at {self._source_engine.url} that could be moved.")
        status = migrations.status(self._source_engine, self._files)
        if not status.clean:
            raise MoveRefused(
                "The store to move has not the newest schema. Apply what is pending there first: migrate --apply."
            )
        self._target_engine.create_database()
        migrations.apply(self._target_engine, self._files)

    def _move(
        self, source: Handle, table: _Table, report: Callable[[MoveProgress], None], leave: Callable[[], bool]
    ) -> bool:
        """Copy one table; False where it was asked to leave."""
        for partition, rows, size in _partitions(source, table):
            per_slice = max(1, int(self._slice_bytes * rows / max(1, size)))
            done_before = self._rows_done
            for done in self._slices(source, table, partition, per_slice):
                self._rows_done = done_before + min(done, rows)
                report(MoveProgress(table.name, self._rows_done, self._rows_total, "copy"))
                if leave():
                    return False
            self._rows_done = done_before + rows
        return True

    def _slices(self, source: Handle, table: _Table, partition: str, per_slice: int) -> Iterator[int]:
        """Copy a partition; yields how many of its rows the target holds, at first and behind each slice."""
        here = f"_partition_id = {quote_text(partition)}"
        count = f"SELECT count() FROM {table.source} WHERE {here}"
        total = int(source.value(count))
        failures, done, looked = 0, -1, False
        while True:
            try:
                target = self._reach()
                last = _last_key(target, table, here)
                if looked:
                    arrived = int(target.value(count))
                else:
                    arrived = self._agreed(source, target, table, f"{here} AND {table.up_to(last, '<=')}")
                failures, done, looked = (0 if arrived > done else failures), arrived, True
                yield done
                if done >= total:
                    return
                block = source.export(
                    f"SELECT * FROM {table.source} WHERE {here} AND {table.up_to(last, '>')}"
                    f" ORDER BY {table.key_names} LIMIT {per_slice} WITH TIES"
                )
                target.take(table.name, block)
            except StoreError as error:
                failures += 1
                if error.fault not in _PASSING or failures >= PATIENCE:
                    raise
                self._let_go()
                looked = False
                self._pause(min(30.0, 2.0**failures))

    def _reach(self) -> Handle:
        if self._target is None:
            self._target = self._target_engine.open(writer="move")
        return self._target

    def _let_go(self) -> None:
        if self._target is not None:
            self._target.close()
            self._target = None

    def _agreed(self, source: Handle, target: Handle, table: _Table, where: str) -> int:
        """The rows that the target holds already; they must be the source's."""
        here, there = _sum(source, table, where), _sum(target, table, where)
        if here != there:
            raise MoveRefused(
                f"{table.name} of the target holds {there[0]:,} rows that are not those of the store to move "
                f"({here[0]:,}): it was written by somebody else, or has changed since. Name an empty database "
                "(POE_CLICKHOUSE_DATABASE), or drop that one."
            )
        return there[0]

    def _proved(self, source: Handle, target: Handle, table: _Table) -> MovedTable:
        here, there = _sum(source, table, "1"), _sum(target, table, "1")
        if here != there:
            raise StoreError(
                StoreFault.PROOF,
                f"{table.name} has {here[0]:,} rows with checksum {here[1]:016x} here and {there[0]:,} with "
                f"{there[1]:016x} in the target: it was changed meanwhile, or damaged on the way.",
            )
        return MovedTable(table.name, *here)


def _nobody_harvests(handle: Handle, which: str) -> None:
    """An embedded store that is harvested cannot be opened; on a server the leases of the queues tell."""
    for queue_key, holder in held_queues(handle).items():
        raise MoveRefused(
            f"{queue_key} is harvested into {which} by {holder.owner}. Stop that harvest first; one that was killed "
            f"counts until {holder.until:%H:%M:%S}Z."
        )


def _tables(handle: Handle) -> list[_Table]:
    """Every table with rows of its own, the checkpoints last."""
    types: dict[str, dict[str, str]] = {}
    for table, column, kind in handle.rows(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    ):
        types.setdefault(table, {})[column] = kind
    rows = handle.rows(
        "SELECT name, sorting_key, engine LIKE '%Replacing%' FROM system.tables"
        " WHERE database = currentDatabase() AND engine LIKE '%MergeTree' ORDER BY name"
    )
    tables = [
        _Table(
            name,
            tuple(types[name]),
            tuple((column, types[name][column]) for column in key.split(", ")),
            bool(replacing),
        )
        for name, key, replacing in rows
        if name not in _OWN
    ]
    return sorted(tables, key=lambda table: table.name == _LAST)


def _partitions(handle: Handle, table: _Table) -> list[tuple[str, int, int]]:
    """Id, rows and uncompressed bytes of each partition, in order."""
    return [
        (str(partition), int(rows), int(size))
        for partition, rows, size in handle.rows(
            "SELECT partition_id, sum(rows), sum(data_uncompressed_bytes) FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table = {table:String}"
            " GROUP BY partition_id ORDER BY partition_id",
            {"table": table.name},
        )
    ]


def _last_key(handle: Handle, table: _Table, where: str) -> tuple[str, ...] | None:
    """The greatest key, each value as hexadecimal text; None where there is no row."""
    columns = ", ".join(f"hex(toString({quote_name(name)}))" for name, _ in table.key)
    descending = ", ".join(f"{quote_name(name)} DESC" for name, _ in table.key)
    rows = handle.rows(f"SELECT {columns} FROM {table.source} WHERE {where} ORDER BY {descending} LIMIT 1")
    return tuple(str(value) for value in rows[0]) if rows else None


def _sum(handle: Handle, table: _Table, where: str) -> tuple[int, int]:
    """How many rows, and the sum of their hashes."""
    every = ", ".join(map(quote_name, table.columns))
    # As bytes: a hash of a Null would be Null, and hashes of arrays forget where one ends.
    rows = handle.rows(
        f"SELECT count(), sum(cityHash64(formatRow('RowBinary', {every}))) FROM {table.source} WHERE {where}"
    )
    return int(rows[0][0]), int(rows[0][1] or 0)
