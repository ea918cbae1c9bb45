"""What the disk has refused, where, and what helps, in words."""

from __future__ import annotations

import errno
from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
FULL_TODO = "Make room there, or move POE_SPOOL_DIR; it goes on by itself."
REFUSED_TODO = "Mend the disk or its rights there; it goes on by itself."


def disk_words(what: str, error: OSError, directory: Path) -> tuple[str, str]:
    """`what` has failed in `directory`, the queue's spool, unless the error names a file: the words, and what to do."""
    where = directory if not isinstance(error.filename, str) else Path(error.filename).parent
    return f"{what}: {error.strerror or error} in {where}", FULL_TODO if error.errno in _FULL else REFUSED_TODO
