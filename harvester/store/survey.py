"""Asks the store, now and then, what the screen shows of it: version, size, migrations."""

from __future__ import annotations

from harvester.snapshot import SchemaSnapshot, StoreSnapshot
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.migration_files import load_migrations
from harvester.store.migration_status import MigrationState, read_status
from harvester.store.schema_files import migrations_directory

SURVEY_EVERY_SECONDS = 30.0
FIRST_SURVEYS_AFTER_SECONDS = (5.0, 5.0, 10.0)
"""A store that was just made grows fast, and nobody wants to read that it holds nothing."""


def unasked(engine: Engine) -> StoreSnapshot:
    """What is known of a store without asking it."""
    kind = "server" if engine.embedded_directory is None else "embedded"
    return StoreSnapshot(kind=kind, url=engine.url, database=engine.database)


class Survey:
    """Call `when_due` often, from one thread; it asks rarely."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._handle: Handle | None = None
        self._next: float | None = None
        self._soon = list(FIRST_SURVEYS_AFTER_SECONDS)

    def when_due(self, monotonic: float, now: float) -> tuple[StoreSnapshot, SchemaSnapshot] | None:
        """What the store says; None where it need not be asked yet.

        Raises:
            StoreError: the store cannot be asked; it is tried again at the next call.
            MigrationError, SchemaFilesMissingError: the files of the schema cannot be read.
        """
        if self._next is not None and monotonic < self._next:
            return None
        if self._handle is None:
            self._handle = self._engine.open(writes=False)
        size = self._handle.value(
            "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
        )
        schema = read_status(self._handle, self._engine, load_migrations(migrations_directory()))
        self._next = monotonic + (self._soon.pop(0) if self._soon else SURVEY_EVERY_SECONDS)
        store = StoreSnapshot(
            kind=unasked(self._engine).kind,
            url=self._engine.url,
            database=self._engine.database,
            version=self._handle.server_version,
            bytes_on_disk=int(size or 0),
            reachable=True,
            asked_at=now,
        )
        applied = schema.count(MigrationState.APPLIED, MigrationState.EDITED, MigrationState.CHANGED)
        return store, SchemaSnapshot(applied, schema.pending, schema.drifted, now)

    def close(self) -> None:
        """Give the handle back."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
