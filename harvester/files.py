"""Files that survive a pulled plug: written beside, synced, renamed, and the directory synced."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path


def write_durably(path: Path, data: bytes) -> None:
    """Put `data` at `path` so that after any crash either the old content or the new is there, never a part.

    Raises `OSError` where the disk is full or refuses; then `path` is as it was, or already new.
    """
    beside = path.with_name(path.name + ".tmp")
    try:
        _write_synced(beside, data)
        beside.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_directory(path.parent)


def create_durably(path: Path, data: bytes) -> None:
    """Put `data` at `path` where nothing is yet. Of several that try at the same time one succeeds, whole.

    Raises:
        FileExistsError: something is there; it stays as it is.
        OSError: the disk is full or refuses; nothing is there.
    """
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write_synced(beside, data)
        os.link(beside, path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()
    sync_directory(path.parent)


def _write_synced(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_directory(directory: Path) -> None:
    """Create a directory that only its owner may enter, and its parents, so that a power loss does not undo it."""
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename or removal in `directory` outlast a power loss."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
