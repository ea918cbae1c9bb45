"""Room, rights and durability of every directory that a harvest writes to."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from harvester.diagnosis.disk import Disk
from harvester.diagnosis.finding import Finding, failed, ok, warning
from harvester.settings import Settings
from harvester.store.engine import Engine

CHECK = "disk"
GIB = 1 << 30
SLOW_SYNC_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Place:
    what: str
    directory: Path
    variable: str
    needed: int
    """Bytes free below which the harvest soon stands still."""
    wanted: int
    """Bytes free below which the operator should do something."""
    locks: bool = False


def disk_findings(settings: Settings, engine: Engine, disk: Disk) -> list[Finding]:
    """One finding for each place."""
    data = engine.embedded_directory
    places = [
        *([_Place("data", data, "POE_CLICKHOUSE_URL", GIB, 10 * GIB)] if data is not None else []),
        _Place("spool", settings.spool_dir, "POE_SPOOL_DIR", GIB // 4, settings.spool_max_bytes, locks=True),
        _Place("cursors", settings.cursor_dir, "POE_CURSOR_DIR", GIB // 64, GIB // 16),
        _Place("temporary files", Path(tempfile.gettempdir()), "TMPDIR", GIB // 64, GIB // 4),
    ]
    return [_look(place, disk) for place in places]


def _look(place: _Place, disk: Disk) -> Finding:
    there = _existing(place.directory)
    where = f"{place.what}: {place.directory}" + ("" if there == place.directory else ", to be made at the first start")
    elsewhere = f"Free room, or set {place.variable} to a directory with more."
    try:
        free, took = disk.free_bytes(there), disk.sync_seconds(there)
    except OSError as error:
        return failed(
            CHECK,
            f"{where}: cannot be written and synced: {error.strerror or error}",
            f"Mend the rights of {there}, make room, or set {place.variable} to a local disk.",
        )
    room = f"{free / GIB:,.1f} GiB free"
    if free < place.needed:
        return failed(CHECK, f"{where}: {room}", elsewhere)
    if place.locks and not disk.can_lock(there):
        return failed(
            CHECK,
            f"{where}: the file system knows no locks, so nothing keeps two harvests apart",
            f"Set {place.variable} to a local disk.",
        )
    if free < place.wanted:
        return warning(CHECK, f"{where}: {room}, {place.wanted / GIB:,.1f} GiB are wanted", elsewhere)
    if took > SLOW_SYNC_SECONDS:
        return warning(
            CHECK, f"{where}: {room}, but a small file took {took:.1f} s to be safe", "Move it to a faster disk."
        )
    return ok(CHECK, f"{where}: {room}, writable, a small file is safe in {1000 * took:,.0f} ms")


def _existing(directory: Path) -> Path:
    """The directory, or the nearest one above it that is there."""
    return next((path for path in (directory, *directory.parents) if path.is_dir()), Path("/"))
