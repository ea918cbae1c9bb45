"""Where a harvest serves its Snapshots: a Unix socket in the data directory, or one that a file there points to.

Both sides find it from the settings alone. The path of a socket may take about a hundred bytes (108 on Linux, 104 on
macOS, the end included), so a long data directory holds a small file with the path of a short one.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from harvester.settings import Settings
from harvester.store.engine import Engine

SOCKET_NAME = "harvest.sock"
POINTER_NAME = "harvest.sock.path"
LONGEST_PATH_BYTES = 100
_LONGEST_POINTER = 4096


def socket_directory(settings: Settings, engine: Engine) -> Path:
    """The directory that a harvest with these settings is found by: that of the embedded store, else of the cursors."""
    return engine.embedded_directory or settings.cursor_dir


def fits(path: Path) -> bool:
    """Whether the system takes it as the path of a socket."""
    return len(os.fsencode(path)) <= LONGEST_PATH_BYTES


def find_socket(directory: Path) -> Path | None:
    """The socket that is served for a data directory; None where none is there, or none that can be trusted.

    It must belong to who owns the directory: anybody may put a socket into a shared place such as /tmp.
    """
    try:
        owner = directory.stat().st_uid
        path = _pointed_to(directory) if not fits(directory / SOCKET_NAME) else directory / SOCKET_NAME
        if path is None:
            return None
        found = path.lstat()
    except (OSError, ValueError):
        return None
    return path if stat.S_ISSOCK(found.st_mode) and found.st_uid == owner and fits(path) else None


def _pointed_to(directory: Path) -> Path | None:
    with (directory / POINTER_NAME).open("rb") as pointer:
        path = Path(os.fsdecode(pointer.read(_LONGEST_POINTER)))
    return path if path.is_absolute() else None
