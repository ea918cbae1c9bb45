"""What the doctor asks of a disk, as a seam."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import Protocol
from uuid import uuid4


class Disk(Protocol):
    """A file system as far as the doctor looks at it."""

    def free_bytes(self, directory: Path) -> int:
        """Room that is left for us in an existing directory."""

    def sync_seconds(self, directory: Path) -> float:
        """Seconds that a small file takes to be safe there. Raises `OSError` where it cannot be written or synced."""

    def can_lock(self, directory: Path) -> bool:
        """Whether the file system knows locks."""


class RealDisk:
    """This machine's. Every file it writes is removed before it returns."""

    def free_bytes(self, directory: Path) -> int:
        return shutil.disk_usage(directory).free

    def sync_seconds(self, directory: Path) -> float:
        path = _probe(directory)
        began = time.perf_counter()
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                os.write(descriptor, bytes(4096))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            return time.perf_counter() - began
        finally:
            with contextlib.suppress(OSError):
                path.unlink()

    def can_lock(self, directory: Path) -> bool:
        path = _probe(directory)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            finally:
                os.close(descriptor)
        except OSError:
            return False
        finally:
            with contextlib.suppress(OSError):
                path.unlink()
        return True


def _probe(directory: Path) -> Path:
    return directory / f".poe-ledger-doctor-{uuid4().hex[:12]}"
