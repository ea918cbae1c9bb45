"""One process a queue: an operating-system lock on the queue's spool folder, freed by the system when we die."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class LeaseTaken(Exception):  # noqa: N818
    """Another process runs this queue; the message names it."""


class Lease:
    """Held from construction until `release`; a killed process holds nothing."""

    def __init__(self, directory: Path, owner: str) -> None:
        """`owner` is what the message of a second taker says beside our process id.

        Raises:
            LeaseTaken: somebody else holds it.
            OSError: the directory cannot be written or its file system knows no locks.
        """
        self._descriptor = os.open(directory / "lease", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take(owner)
        except BaseException:
            self.release()
            raise

    @property
    def holder(self) -> str:
        """Us, in the words that a second taker reads."""
        return f"process {os.getpid()}"

    def _take(self, owner: str) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 200).decode("utf-8", "replace").strip()
            raise LeaseTaken(f"{owner} is already run by {holder or 'another process'}.") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{self.holder}\n".encode(), 0)

    def release(self) -> None:
        """Let go. Releasing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def lease_holder(directory: Path) -> int | None:
    """The process that holds a queue's lease; None where none does, 0 where it does not say who it is.

    For whoever only looks: the lease is not taken.
    """
    try:
        with (directory / "lease").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                number = file.read(200).decode("utf-8", "replace").rpartition("process ")[2].strip()
                return int(number) if number.isdigit() else 0
    except OSError:
        return None
    return None
