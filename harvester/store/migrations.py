"""Schema migrations: what a store has, what it lacks, and applying the difference.

The parts: the files (`migration_files`), their record in the store (`migration_history`), how the two compare
(`migration_status`), one runner at a time (`migration_lock`), and running (`migration_runner`). This module
is the door to all of them.
"""

from harvester.store.migration_files import Migration, MigrationError, MigrationFilesError, load_migrations
from harvester.store.migration_history import HISTORY_TABLE, HistoryRow, RowState
from harvester.store.migration_lock import MigrationLockLostError, MigrationsLockedError
from harvester.store.migration_runner import (
    ApplyResult,
    DryRun,
    MigrationFailedError,
    MigrationProgress,
    ParsedStatement,
    ProgressPhase,
    apply,
    dry_run,
)
from harvester.store.migration_status import (
    MigrationEntry,
    MigrationPlan,
    MigrationRefusedError,
    MigrationState,
    MigrationStatus,
    PlannedMigration,
    plan,
    status,
)
from harvester.store.row_lease import LeaseHolder

__all__ = [
    "HISTORY_TABLE",
    "ApplyResult",
    "DryRun",
    "HistoryRow",
    "LeaseHolder",
    "Migration",
    "MigrationEntry",
    "MigrationError",
    "MigrationFailedError",
    "MigrationFilesError",
    "MigrationLockLostError",
    "MigrationPlan",
    "MigrationProgress",
    "MigrationRefusedError",
    "MigrationState",
    "MigrationStatus",
    "MigrationsLockedError",
    "ParsedStatement",
    "PlannedMigration",
    "ProgressPhase",
    "RowState",
    "apply",
    "dry_run",
    "load_migrations",
    "plan",
    "status",
]
