"""What `status` reads from the store; a second look leaves an embedded store alone that nobody touched since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harvester.lag import lag_level
from harvester.settings import Settings
from harvester.store import migrations
from harvester.store.embedded import holder_of
from harvester.store.engine import Engine
from harvester.store.migration_status import is_unborn
from harvester.store.migrations import MigrationStatus
from harvester.store.read import StoreFigures, read_figures
from harvester.store.schema_files import migrations_directory


@dataclass(frozen=True, slots=True)
class StoreLook:
    """Schema and figures of a store; None for what is not there yet."""

    schema: MigrationStatus | None
    """None where there is no store."""
    figures: StoreFigures | None
    """None where nothing was ever applied."""


def look_at_store(engine: Engine) -> StoreLook:
    """Ask the store.

    Raises:
        StoreError: it cannot be asked.
        MigrationError: its schema cannot be judged.
        SchemaFilesMissingError: the files to judge it by are missing.
    """
    if is_unborn(engine):
        return StoreLook(None, None)
    schema = migrations.status(engine, migrations.load_migrations(migrations_directory()))
    if schema.untouched:
        return StoreLook(schema, None)
    with engine.open(writes=False) as handle:
        return StoreLook(schema, read_figures(handle))


class RepeatedLook:
    """Looks again and again, as `look_at_store`.

    An embedded store serves one process, so every look keeps a harvest from starting for a moment. The engine makes
    and removes a file in the directory whenever it is used: where that did not happen, the last look still holds.
    """

    def __init__(
        self, settings: Settings, now: Callable[[], float], look: Callable[[Engine], StoreLook] = look_at_store
    ) -> None:
        self._settings = settings
        self._now = now
        self._look = look
        self._last: tuple[int, float, StoreLook] | None = None

    def __call__(self, engine: Engine) -> StoreLook:
        directory = engine.embedded_directory
        if directory is not None and self._last is not None and holder_of(directory) is None:
            touched, at, seen = self._last
            if touched == _touched(directory):
                return self._grown_older(seen, self._now() - at)
        self._last = None
        at = self._now()
        seen = self._look(engine)
        if directory is not None and directory.is_dir():
            self._last = _touched(directory), at, seen
        return seen

    def _grown_older(self, seen: StoreLook, seconds: float) -> StoreLook:
        if seen.figures is None:
            return seen
        health = tuple(self._older(row, seconds) for row in seen.figures.health)
        return replace(seen, figures=replace(seen.figures, health=health))

    def _older(self, row: dict[str, Any], seconds: float) -> dict[str, Any]:
        lag = row["lag_seconds"] + seconds
        level = lag_level(lag, self._settings.lag_amber_seconds, self._settings.lag_red_seconds)
        return {**row, "lag_seconds": lag, "level": level.value}


def _touched(directory: Path) -> int:
    try:
        return directory.stat().st_mtime_ns
    except OSError:
        return 0
