"""The table `poe_schema_migrations`: what was applied, statement by statement. It is only ever added to.

Rows of one version are ordered by `applied_at`, which the runner keeps strictly growing; the last one counts.
`statement_no` is the last finished statement of a `started` or `applied` row, and the one that failed of a
`failed` row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.migration_files import Migration

HISTORY_TABLE = "poe_schema_migrations"

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {HISTORY_TABLE}
(
    version String,
    description String,
    checksum String,
    token_checksum String,
    applied_at DateTime64(3, 'UTC'),
    state LowCardinality(String),
    statement_no UInt32,
    statement_total UInt32,
    runner String,
    duration_ms UInt64,
    error String,
    engine_version LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY (version, applied_at)
COMMENT 'One row per finished statement of a schema migration; the last row of a version counts'
"""

_APPEND = f"""
INSERT INTO {HISTORY_TABLE}
SELECT {{version:String}}, {{description:String}}, {{checksum:String}}, {{token_checksum:String}},
    greatest(now64(3, 'UTC'), (SELECT max(applied_at) + toIntervalMillisecond(1) FROM {HISTORY_TABLE})),
    {{state:String}}, {{statement_no:UInt32}}, {{statement_total:UInt32}}, {{runner:String}},
    {{duration_ms:UInt64}}, {{error:String}}, {{engine_version:String}}
"""

_READ = f"""
SELECT version, description, checksum, token_checksum, applied_at, state, statement_no, statement_total,
    runner, duration_ms, error
FROM {HISTORY_TABLE}
ORDER BY version, applied_at
"""

_ERROR_LENGTH = 2000


class RowState(StrEnum):
    """What a row of the table says."""

    STARTED = "started"
    """The file is under way (or its runner died): statements up to `statement_no` are finished."""
    APPLIED = "applied"
    FAILED = "failed"
    BASELINED = "baselined"
    """Counted as applied without having been run."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """The last row of one version."""

    version: str
    description: str
    checksum: str
    token_checksum: str
    applied_at: datetime
    state: RowState
    statement_no: int
    statement_total: int
    runner: str
    duration_ms: int
    error: str

    @property
    def complete(self) -> bool:
        """Whether the whole file counts as applied."""
        return self.state in {RowState.APPLIED, RowState.BASELINED}

    @property
    def finished_statements(self) -> int:
        """How many statements from the top need not be run again."""
        return self.statement_no - 1 if self.state is RowState.FAILED else self.statement_no


def create_history_table(handle: Handle) -> None:
    """Create the table where it is missing."""
    handle.run(_CREATE)


def read_history(handle: Handle) -> dict[str, HistoryRow]:
    """The last row of each version; empty where the table does not exist yet.

    Raises:
        StoreError: anything else that keeps the table from being read.
    """
    try:
        rows = handle.rows(_READ)
    except StoreError as error:
        if error.fault is StoreFault.NO_TABLE:
            return {}
        raise
    history: dict[str, HistoryRow] = {}
    for row in rows:
        version, description, checksum, token_checksum, applied_at, state, *rest = row
        number, total, runner, duration_ms, error_text = rest
        history[version] = HistoryRow(
            version,
            description,
            checksum,
            token_checksum,
            applied_at if applied_at.tzinfo else applied_at.replace(tzinfo=UTC),
            RowState(state),
            number,
            total,
            runner,
            duration_ms,
            error_text,
        )
    return history


def append_history(
    handle: Handle,
    migration: Migration,
    state: RowState,
    statement_no: int,
    *,
    runner: str,
    duration_ms: int = 0,
    error: str = "",
) -> None:
    """Add a row. Only the holder of the migration lock may."""
    handle.run(
        _APPEND,
        {
            "version": migration.version,
            "description": migration.description,
            "checksum": migration.checksum,
            "token_checksum": migration.token_checksum,
            "state": state.value,
            "statement_no": statement_no,
            "statement_total": len(migration.statements),
            "runner": runner,
            "duration_ms": duration_ms,
            "error": error[:_ERROR_LENGTH],
            "engine_version": handle.server_version,
        },
    )
