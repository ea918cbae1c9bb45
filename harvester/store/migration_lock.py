"""One migration runner at a time (`harvester.store.row_lease`)."""

from __future__ import annotations

import time
from collections.abc import Callable

from harvester.clock import Clock
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.migration_files import MigrationError
from harvester.store.row_lease import LEASE_SECONDS, LeaseHolder, LeaseLostError, LeaseTakenError, RowLease

LOCK_TABLE = "poe_schema_migration_lock"


class MigrationsLockedError(LeaseTakenError, MigrationError):
    """Another runner is at work; `holder` says which."""

    def __init__(self, holder: LeaseHolder) -> None:
        super().__init__(
            holder,
            f"Migrations are being applied by {holder.owner} since {holder.since:%H:%M:%S}Z. Wait for it to "
            f"finish; if it has died, its claim ends at {holder.until:%H:%M:%S}Z: run this again then.",
        )


class MigrationLockLostError(LeaseLostError, MigrationError):
    """The lease could not be renewed in time; nothing more may be run."""


class MigrationLock(RowLease):
    """The lease of one migration runner."""

    def __init__(
        self,
        engine: Engine,
        handle: Handle,
        clock: Clock,
        *,
        pause: Callable[[float], None] = time.sleep,
        owner: str | None = None,
    ) -> None:
        super().__init__(
            engine, handle, clock, LOCK_TABLE, comment="Who is applying schema migrations", pause=pause, owner=owner
        )

    def taken(self, holder: LeaseHolder) -> Exception:
        """See `RowLease.taken`."""
        return MigrationsLockedError(holder)

    def lost(self) -> Exception:
        """See `RowLease.lost`."""
        return MigrationLockLostError(
            "The claim on the migrations ran out: the store did not answer. Run this again to resume."
        )


__all__ = ["LEASE_SECONDS", "LOCK_TABLE", "MigrationLock", "MigrationLockLostError", "MigrationsLockedError"]
