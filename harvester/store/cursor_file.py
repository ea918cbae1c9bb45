"""The readable copy of a queue's cursor: for people, and the fall-back of a new store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec

from harvester.files import create_directory, write_durably
from harvester.model import Queue


class CursorFileDamaged(ValueError):  # noqa: N818
    """The file is there but says no cursor; the message names it and what to do."""


class SavedCursor(msgspec.Struct, frozen=True):
    """What the file says."""

    queue: str
    cursor: Annotated[str, msgspec.Meta(min_length=1)]
    """The cursor to ask with next."""
    saved_at: str
    """UTC, ISO 8601."""


class CursorFile:
    """`{directory}/{feed}_{realm}.json`."""

    def __init__(self, directory: Path, queue: Queue) -> None:
        create_directory(directory)
        self.path = directory / f"{queue.key.replace(':', '_')}.json"
        self._queue = queue

    def write(self, cursor: str, now: float) -> None:
        """Replace the copy, atomically."""
        saved = SavedCursor(self._queue.key, cursor, datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"))
        write_durably(self.path, msgspec.json.format(msgspec.json.encode(saved)) + b"\n")

    def read(self) -> SavedCursor | None:
        """What was written last; None where there is no file.

        Raises:
            CursorFileDamaged: an unreadable file is never taken for "no cursor": that would start the stream anew.
        """
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CursorFileDamaged(f"{self.path} cannot be read: {error.strerror or error}.") from None
        try:
            saved = msgspec.json.decode(data, type=SavedCursor)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CursorFileDamaged(
                f"{self.path} cannot be read ({error}). Mend it, or remove it to start where the store stands."
            ) from None
        if saved.queue != self._queue.key:
            raise CursorFileDamaged(
                f"{self.path} belongs to {saved.queue}, not to {self._queue.key}. Put it in its place, or remove it."
            )
        return saved
