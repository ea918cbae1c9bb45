"""Definitions are written only where the disk has room for them.

On a full disk the engine (26.9) says that an ALTER is done, and leaves a file of no bytes in place of the table's
definition: from the next start on nobody can read the table, and an embedded store cannot be opened at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from harvester.store.errors import StoreError, StoreFault

ROOM_BYTES = 8 << 20
"""Free bytes from which a definition is written. It takes a few kilobytes; others write meanwhile."""
FREE_BYTES_SQL = "SELECT minOrNull(free_space) FROM system.disks WHERE NOT is_remote AND total_space > 0"
_DEFINES = re.compile(r"(?:\s|--[^\n]*\n)*(?:ALTER|ATTACH|CREATE|EXCHANGE|RENAME)\b", re.IGNORECASE)


def require_room(sql: str, ask: Callable[[str], object]) -> None:
    """Let a statement pass unless it writes a definition and the disk is full. `ask` runs a query for one value.

    Where the engine does not tell its disks, the statement passes.

    Raises:
        StoreError: the disk is full.
    """
    if not _DEFINES.match(sql):
        return
    try:
        free = ask(FREE_BYTES_SQL)
    except StoreError as error:
        if error.retryable:
            raise
        return  # a user that may not see the disks
    if isinstance(free, int) and free < ROOM_BYTES:
        raise StoreError(
            StoreFault.DISK_FULL,
            f"{free:,} bytes are left, and a definition is written only with {ROOM_BYTES:,}: a full disk would lose it",
        )
