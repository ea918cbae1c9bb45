"""What a queue's worker asks of its store, as a seam; here over spool and ClickHouse, each on a thread of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from harvester.clock import Clock
from harvester.model import Checkpoint, Queue, SpooledPage
from harvester.offload import Offload
from harvester.store.checkpoints import last_checkpoint, last_page_checkpoint
from harvester.store.commit import Committer, Layers, Standing
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.name_guard import NameGuard
from harvester.store.public_stash_layers import PageCounts
from harvester.store.queue_lease import QueueLease
from harvester.store.request_log import refused_since
from harvester.store.spool import Spool


@dataclass(frozen=True, slots=True)
class Opened:
    """Where a queue stands when its store has been opened."""

    standing: Standing
    last: Checkpoint | None
    """The newest checkpoint, the end of the stream included."""
    saved_cursor: str | None
    """What the cursor file says."""
    refused_before: tuple[float, ...] = ()
    """When requests of the queue were refused within the last hour, Epoch seconds."""


class QueueStore(Protocol):
    """The way of a page into the store, for one queue."""

    @property
    def spool_directory(self) -> Path:
        """Where the pages lie that wait for the store."""

    @property
    def spool_pages(self) -> int:
        """Pages that wait for the store."""

    @property
    def spool_bytes(self) -> int:
        """What they take on disk."""

    async def open(self) -> Opened:
        """Open the store and compare it with the spool; call again after a failure."""

    async def put(self, spooled: SpooledPage) -> None:
        """Make a page safe on disk."""

    async def knows(self, cursor: str) -> bool:
        """Whether a page that was asked with this cursor is in the store or waits for it."""

    async def commit(self, seq: int) -> tuple[Checkpoint, PageCounts]:
        """Bring a page into the store for good; call again after a failure."""

    async def give_up(self, seq: int, reason: str) -> Checkpoint:
        """Set a whole page aside as a dead letter, so that the queue goes on behind it."""

    async def confirm_end(self, seq: int, cursor: str, *, http_status: int, response_ms: float) -> None:
        """Write that the end of the stream was confirmed behind page `seq`."""

    async def beside(self, work: Callable[[], bytes]) -> bytes:
        """Blocking work on the spool's thread."""

    async def close(self) -> None:
        """Give everything back."""


class ClickHouseQueueStore:
    """See `QueueStore`. The spool has its own thread, so that a slow store never delays a page's safety."""

    def __init__(
        self,
        engine: Engine,
        queue: Queue,
        layers: Callable[[Handle, CrashPoint], Layers],
        spool: Spool,
        cursor_file: CursorFile,
        clock: Clock,
        *,
        spool_thread: Offload,
        store_thread: Offload,
        warn: Callable[[str], None],
        names: NameGuard | None = None,
        crash_point: CrashPoint = no_crash,
    ) -> None:
        """The caller holds the queue's lease. `warn` is told, on the store's thread, what the operator should know.

        `names` stands before the spool, where pages of the feed hold names of players.
        """
        self._engine = engine
        self._queue = queue
        self._layers = layers
        self._spool = spool
        self._cursor_file = cursor_file
        self._clock = clock
        self._spool_thread = spool_thread
        self._store_thread = store_thread
        self._crash_point = crash_point
        self._warn = warn
        self._lease = QueueLease(engine, queue, clock)
        self._names = names
        self._cursor_file_failed = False
        self._handle: Handle | None = None
        self._committer: Committer | None = None

    @property
    def spool_directory(self) -> Path:
        return self._spool.directory

    @property
    def spool_pages(self) -> int:
        return len(self._spool.sequences)

    @property
    def spool_bytes(self) -> int:
        return self._spool.total_bytes

    async def open(self) -> Opened:
        return await self._store_thread.run(self._open)

    async def put(self, spooled: SpooledPage) -> None:
        await self._spool_thread.run(lambda: self._put(spooled))

    async def knows(self, cursor: str) -> bool:
        return await self._store_thread.run(lambda: self._ready().knows(cursor))

    async def commit(self, seq: int) -> tuple[Checkpoint, PageCounts]:
        return await self._store_thread.run(lambda: self._commit(seq))

    async def give_up(self, seq: int, reason: str) -> Checkpoint:
        return await self._store_thread.run(lambda: self._give_up(seq, reason))

    async def confirm_end(self, seq: int, cursor: str, *, http_status: int, response_ms: float) -> None:
        await self._store_thread.run(
            lambda: self._ready().confirm_end(seq, cursor, http_status=http_status, response_ms=response_ms)
        )

    async def beside(self, work: Callable[[], bytes]) -> bytes:
        return await self._spool_thread.run(work)

    async def close(self) -> None:
        await self._store_thread.run(self._close)
        self._store_thread.close()
        self._spool_thread.close()

    def _open(self) -> Opened:
        self._close()
        saved = self._cursor_file.read()
        self._lease.take()
        self._handle = self._engine.open(writer=self._queue.key)
        self._handle.check_before_writing(self._lease.ensure)
        self._committer = Committer(
            self._handle,
            self._queue,
            self._layers(self._handle, self._crash_point),
            self._spool,
            self._clock,
            crash_point=self._crash_point,
        )
        standing = self._committer.recover(saved.cursor if saved else None)
        if self._names is not None:
            waiting = standing.to_commit
            self._names.open(self._handle, lambda: (self._spool.get(seq).page.account_names for seq in waiting))
            self._committer.treat(waiting, self._names.admit)
        return Opened(
            standing,
            last_checkpoint(self._handle, self._queue),
            saved.cursor if saved else None,
            refused_since(self._handle, self._queue, self._clock.now() - 3600),
        )

    def _put(self, spooled: SpooledPage) -> None:
        page = spooled.page if self._names is None else self._names.admit(spooled.page)
        self._spool.put(replace(spooled, page=page))

    def _commit(self, seq: int) -> tuple[Checkpoint, PageCounts]:
        self._keep_lease(seq)
        checkpoint, counts = self._ready().commit(seq)
        self._save(checkpoint)
        return checkpoint, counts

    def _keep_lease(self, seq: int) -> None:
        """Nothing is written without the lease; where it was lost and got back, nobody may have written meanwhile.

        Raises:
            StoreError: another harvester holds it, or has gone on meanwhile (`StoreFault.OVERTAKEN`).
        """
        if self._handle is None or not self._lease.take():
            return
        last = last_page_checkpoint(self._handle, self._queue)
        if last is not None and last.seq >= seq and not self._ready().is_ours(last):
            raise StoreError(
                StoreFault.OVERTAKEN, f"another harvester has committed page {last.seq} of {self._queue} meanwhile"
            )
        if self._ready().begun_already(seq):
            # Ours, or of one that took over and died: opening the queue anew takes it as the store has it.
            raise StoreError(
                StoreFault.OVERTAKEN, f"page {seq} of {self._queue} had begun to reach the store before that"
            )

    def _give_up(self, seq: int, reason: str) -> Checkpoint:
        self._keep_lease(seq)
        checkpoint = self._ready().give_up(seq, reason)
        self._save(checkpoint)
        return checkpoint

    def _save(self, checkpoint: Checkpoint) -> None:
        """The cursor file is a copy for people and new stores: where it cannot be written, the harvest goes on."""
        try:
            self._cursor_file.write(checkpoint.next_cursor_id, self._clock.now())
        except OSError as error:
            if not self._cursor_file_failed:
                self._warn(f"{self._cursor_file.path} cannot be written: {error.strerror or error}")
            self._cursor_file_failed = True
        else:
            self._cursor_file_failed = False

    def _ready(self) -> Committer:
        if self._committer is None:
            raise RuntimeError("the store is not open")
        return self._committer

    def _close(self) -> None:
        self._lease.release()
        if self._handle is not None:
            self._handle.close()
            self._handle = self._committer = None
