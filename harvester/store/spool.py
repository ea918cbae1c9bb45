"""The spool: pages safe on disk before the store has them.

One file a page, named by its place in the queue: a mark, a checksum of all that follows, a line of JSON, and the body
compressed. A page is written before its cursor may advance and removed after its checkpoint stands, so that whatever
dies in between is repeated from here.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from pathlib import Path
from typing import Literal

import msgspec
import zstandard

from harvester.files import create_directory, sync_directory, write_durably
from harvester.model import Page, Queue, SpooledPage

_NAME = re.compile(r"(\d{12})\.page")
_MAGIC = b"poe-ledger page 1"


class SpoolFull(Exception):  # noqa: N818 - a state that ends by itself, not a fault
    """The byte budget of the spool is used up; the harvest waits until the store has taken pages."""


class DamagedPage(Exception):  # noqa: N818
    """A spool file that is not what was written; `path` names it, `reason` says what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path.name}: {reason}")
        self.path = path
        self.reason = reason


class ForeignPage(DamagedPage):
    """A sound spool file that is, or may be, of another queue."""


class _Header(msgspec.Struct, frozen=True):
    seq: int
    change_id: str
    next_change_id: str
    fetched_at: float
    http_status: int
    response_ms: float
    rejected: str
    account_names: str = "keep"
    queue: str = ""
    """Whose page it is; empty in files of versions that did not say."""


def spool_folder(directory: Path, queue: Queue) -> Path:
    """Where a queue's pages lie in the spool of all queues."""
    return directory / queue.key.replace(":", "_")


class Spool:
    """The pages of one queue that the store has not confirmed. One process at a time (`lease.Lease`)."""

    def __init__(self, directory: Path, queue: Queue) -> None:
        """`directory` is the spool of all queues; this queue's folder in it is created. Nothing else is touched."""
        self.directory = spool_folder(directory, queue)
        create_directory(self.directory)
        self._queue = queue
        self._sizes: dict[int, int] = {}
        for path in self.directory.iterdir():
            found = _NAME.fullmatch(path.name)
            if found:
                with contextlib.suppress(FileNotFoundError):  # a harvest beside us may just have committed it
                    self._sizes[int(found.group(1))] = path.stat().st_size

    @property
    def sequences(self) -> list[int]:
        """The seqs of the pages that wait, in order."""
        return sorted(self._sizes.copy())

    @property
    def total_bytes(self) -> int:
        """What the waiting pages take on disk."""
        return sum(self._sizes.copy().values())

    def remove_torn(self) -> None:
        """Clear away what a killed process did not finish writing. For the holder of the lease, and nobody else."""
        for torn in self.directory.glob("*.tmp"):
            torn.unlink(missing_ok=True)

    def put(self, spooled: SpooledPage) -> None:
        """Make a page safe. When this returns, no crash loses it. A page of the same place is replaced.

        Raises `OSError` where the disk refuses; call again when it is mended.
        """
        page = spooled.page
        header = _Header(
            seq=spooled.seq,
            change_id=page.change_id,
            next_change_id=page.next_change_id,
            fetched_at=page.fetched_at,
            http_status=page.http_status,
            response_ms=page.response_ms,
            rejected=page.rejected,
            account_names=page.account_names,
            queue=page.queue.key,
        )
        content = msgspec.json.encode(header) + b"\n" + zstandard.ZstdCompressor(level=1).compress(page.body)
        data = b"\n".join((_MAGIC, hashlib.sha256(content).hexdigest().encode(), content))
        write_durably(self._path(spooled.seq), data)
        self._sizes[spooled.seq] = len(data)

    def get(self, seq: int) -> SpooledPage:
        """Read a page back.

        Raises:
            DamagedPage: the file is torn or altered.
        """
        header, compressed = self._read(seq)
        body = zstandard.ZstdDecompressor().decompress(compressed)
        page = Page(
            queue=self._queue,
            change_id=header.change_id,
            next_change_id=header.next_change_id,
            fetched_at=header.fetched_at,
            body=body,
            http_status=header.http_status,
            response_ms=header.response_ms,
            rejected=header.rejected,
            account_names=header.account_names,
        )
        return SpooledPage(seq, page)

    def says_whose(self, seq: int) -> bool:
        """Whether the file of a page that `get` reads names its queue; earlier versions did not."""
        return bool(self._read(seq)[0].queue)

    def remove(self, seq: int) -> None:
        """Forget a page that the store has confirmed. Forgetting twice is harmless."""
        self._path(seq).unlink(missing_ok=True)
        self._sizes.pop(seq, None)

    def set_aside(self, seq: int, why: Literal["damaged", "discarded", "foreign"]) -> Path:
        """Take a page out of the order without losing its bytes; returns where they are."""
        path = self._path(seq)
        aside, count = path.with_suffix(f".{why}"), 1
        while aside.exists():  # set aside earlier, of the same place
            count += 1
            aside = path.with_suffix(f".{count}.{why}")
        path.replace(aside)
        sync_directory(self.directory)
        self._sizes.pop(seq, None)
        return aside

    def _read(self, seq: int) -> tuple[_Header, bytes]:
        """What a file says of its page, and the page, compressed; see `get`."""
        path = self._path(seq)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DamagedPage(path, error.strerror or str(error)) from error
        mark, _, rest = data.partition(b"\n")
        checksum, _, content = rest.partition(b"\n")
        if mark != _MAGIC:
            raise DamagedPage(path, "not a spooled page")
        if hashlib.sha256(content).hexdigest().encode() != checksum:
            raise DamagedPage(path, "torn or altered, the checksum does not fit")
        line, _, compressed = content.partition(b"\n")
        try:
            header = msgspec.json.decode(line, type=_Header)
        except msgspec.MsgspecError as error:
            raise DamagedPage(path, f"written by another version: {error}") from error
        if header.seq != seq:
            raise DamagedPage(path, f"it holds page {header.seq}")
        if header.queue not in ("", self._queue.key):
            folder = spool_folder(self.directory.parent, Queue(*header.queue.partition(":")[::2]))
            raise ForeignPage(path, f"it is a page of {header.queue}; where it is still missed, move it to {folder}")
        return header, compressed

    def _path(self, seq: int) -> Path:
        return self.directory / f"{seq:012d}.page"
