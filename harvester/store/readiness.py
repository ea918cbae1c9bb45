"""Whether the store is ready for a harvest: a new one is made ready, a lived-in one is never changed unasked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.migrations import Migration, MigrationProgress, MigrationState
from harvester.store.rebuild_shadow import swap_was_cut_off
from harvester.store.schema_files import migrations_directory

_UNDONE = (MigrationState.PENDING, MigrationState.OUT_OF_ORDER, MigrationState.HALFWAY)


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was found, and what was done about it."""

    applied: int
    """Migrations applied to a new store just now."""
    blocking: tuple[str, ...]
    """Names of undone migrations without which the harvest must not run."""
    waiting: tuple[str, ...]
    """Names of undone migrations that the harvest does not need."""
    drifted: int
    """Migrations of which store and files disagree."""
    swap_cut_off: bool
    """A rebuild died while it put its tables in place; nothing may be harvested before it is finished."""


def _ever_harvested(engine: Engine) -> bool:
    """Whether a page was ever committed; a store whose first migrations were cut off is as good as new."""
    with engine.open(writes=False) as handle:
        if not handle.value("EXISTS TABLE bronze_ingest_checkpoints"):
            return False
        return bool(handle.rows("SELECT 1 FROM bronze_ingest_checkpoints LIMIT 1"))


def make_ready(
    engine: Engine, progress: Callable[[MigrationProgress], None], *, leave_newest: bool = False
) -> Readiness:
    """Apply everything to a store that was never harvested into; look only at any other.

    `leave_newest` leaves the newest migration pending, where the harvest does not need it.

    Raises:
        MigrationError: a migration failed, or another runner is at work.
        StoreError: the store cannot be used.
    """
    files = migrations.load_migrations(migrations_directory())
    status = migrations.status(engine, files)
    applied = 0
    if status.untouched or (status.pending and not status.drifted and not _ever_harvested(engine)):
        up_to = files[-2].version if leave_newest and not files[-1].needed_by_harvest else None
        applied = len(migrations.apply(engine, files, progress, up_to=up_to).applied)
        status = migrations.status(engine, files)
    undone: list[Migration] = [
        entry.migration for entry in status.entries if entry.state in _UNDONE and entry.migration is not None
    ]
    with engine.open(writes=False) as handle:
        swap_cut_off = swap_was_cut_off(handle)
    return Readiness(
        applied=applied,
        blocking=tuple(migration.name for migration in undone if migration.needed_by_harvest),
        waiting=tuple(migration.name for migration in undone if not migration.needed_by_harvest),
        drifted=status.drifted,
        swap_cut_off=swap_cut_off,
    )
