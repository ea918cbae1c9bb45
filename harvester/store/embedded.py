"""The engine in this process: opened through the same driver as a server, by one process at a time."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harvester.files import create_directory
from harvester.store.errors import StoreError, StoreFault, sort_error

_OPTIONS: dict[str, Any] = {
    "mark_cache_size": 256 << 20,
    "max_server_memory_usage_to_ram_ratio": 0.6,
}


def connect_embedded(directory: Path, settings: Mapping[str, Any]) -> Any:
    """A client of the driver for the engine in this process, on a data directory that is made where it is missing.

    Raises:
        StoreError: the engine is not installed, its directory cannot be made, or another process holds it.
    """
    try:
        from chdb import _chdb
    except ImportError as error:
        raise StoreError(
            StoreFault.OTHER,
            "The embedded engine is not installed. Install it with: pip install 'poe-ledger[embedded]', "
            "or name a server in POE_CLICKHOUSE_URL.",
        ) from error
    import clickhouse_connect

    holder = holder_of(directory)
    if holder is not None and holder != os.getpid():
        raise _held(directory, holder)
    # The engine's own signal handlers swallow Ctrl-Z and can hang a dying process.
    _chdb.set_signal_handlers_enabled(False)  # type: ignore[attr-defined]
    try:
        create_directory(directory)
    except OSError as error:
        fault = StoreFault.DISK_FULL if error.errno == errno.ENOSPC else StoreFault.UNWRITABLE
        raise StoreError(fault, f"The directory {directory} cannot be made: {error.strerror}.") from error
    try:
        return clickhouse_connect.get_client(
            interface="chdb", path=str(directory), chdb_options=_OPTIONS, settings=dict(settings)
        )
    except Exception as error:
        holder = holder_of(directory)
        if holder is not None and holder != os.getpid():
            raise _held(directory, holder) from error
        raise sort_error(error) from error


def _held(directory: Path, holder: int) -> StoreError:
    return StoreError(
        StoreFault.HELD,
        f"The embedded store {directory} is in use by {f'process {holder}' if holder else 'another process'}.",
    )


def holder_of(directory: Path) -> int | None:
    """The process that has the embedded engine open in a directory; None where none has.

    The engine keeps its `status` file locked while it lives and writes its process id into it. After a kill the id
    stays, and may by now be somebody else's: the lock alone says whether the store is held.
    """
    try:
        with (directory / "status").open("rb") as status:
            try:
                fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                text = status.read().decode("utf-8", "replace")
            else:
                return None
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "PID" and value.strip().isdigit():
            return int(value)
    return 0
