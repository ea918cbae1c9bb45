"""From the spool into the store, in order: every layer, then the checkpoint, then the spool file goes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from harvester.clock import Clock, utc
from harvester.model import Checkpoint, CheckpointStatus, Page, Queue, SpooledPage
from harvester.store.begun import begun_after
from harvester.store.checkpoints import cursor_of_page, last_page_checkpoint, not_before, was_asked, write_checkpoint
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.dead_letters import DeadLetter, add_dead_letters, reason_given_up
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PageCounts
from harvester.store.spool import DamagedPage, ForeignPage, Spool


class Layers(Protocol):
    """How the pages of one feed become rows."""

    def write(self, spooled: SpooledPage, *, repeating: bool) -> PageCounts:
        """Bring a page into every layer; `repeating` where an earlier try may have come some way."""

    def withdraw(self, seq: int) -> None:
        """Take back what was derived of a page that is given up."""

    def unbegin(self, seq: int) -> None:
        """Take a page back whole, bronze included, as if it had never begun; one that the views show stays."""


class Fate(StrEnum):
    """What becomes of a page whose spool file is damaged."""

    ASKED_AGAIN = "asked for again"
    RESTORED = "taken from the store"
    """Its commit had begun: the store has the page, and its file is written anew."""
    COMMITTED = "in the store already"


@dataclass(frozen=True, slots=True)
class Damage:
    """A spool file that could not be read at a start."""

    seq: int
    reason: str
    fate: Fate
    path: Path
    """Where the damaged bytes are now; of a page taken from the store, the file that is whole again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a queue stands after its spool and its store have been compared."""

    cursor: str | None
    """The cursor to ask with; None where neither knows one."""
    next_seq: int
    to_commit: tuple[int, ...]
    """Spooled pages that continue the store's chain."""
    discarded: tuple[int, ...]
    """Spooled pages that the store's chain has overtaken or never reached; they are gone from the spool."""
    foreign: tuple[str, ...] = ()
    """Spooled pages of other queues, set aside: which and why, in words."""
    damaged: tuple[Damage, ...] = ()
    """Spool files that could not be read, in order."""


class Committer:
    """Commits the pages of one queue. Belongs to one thread, like its handle."""

    def __init__(
        self,
        handle: Handle,
        queue: Queue,
        layers: Layers,
        spool: Spool,
        clock: Clock,
        *,
        crash_point: CrashPoint = no_crash,
    ) -> None:
        self._handle = handle
        self._queue = queue
        self._layers = layers
        self._spool = spool
        self._clock = clock
        self._crash_point = crash_point
        self._repeating: int | None = None
        self._done: tuple[Checkpoint, PageCounts] | None = None

    def recover(self, saved_cursor: str | None = None) -> Standing:
        """Compare spool and store: drop what is committed, keep what continues the chain, discard what is foreign.

        A page that is begun in the store but no longer in the spool is put back there, as the store has it: asked
        for again it might hold something else.

        `saved_cursor` is what the cursor file says: a new store takes an old spool over where that fits.
        A file of another queue is set aside, and so is the first page of a new store where its file, of an earlier
        version, does not say whose it is and the saved cursor does not either. A damaged file is set aside, and told.
        Where the store still needs its page, the stream is asked from there again, and the pages behind it are
        discarded.

        Raises:
            DamagedPage: the first page of a new store is damaged, and nothing says where it was asked from.
            StoreError: the store cannot be asked, or holds a page that does not continue the queue.
            OSError: the spool cannot be written.
        """
        self._spool.remove_torn()
        foreign: list[str] = []
        damaged: list[Damage] = []
        last = last_page_checkpoint(self._handle, self._queue)
        committed, cursor = (last.seq, last.next_cursor_id) if last else (0, None)
        self._reclaim(committed, cursor, foreign, damaged)
        seq = last.seq if last else None
        to_commit: list[int] = []
        discarded: list[int] = []
        for spooled_seq in self._spool.sequences:
            try:
                page = self._spool.get(spooled_seq).page
            except ForeignPage as error:
                foreign.append(self._set_foreign_aside(spooled_seq, error))
                continue
            except DamagedPage as error:
                if cursor is None:
                    raise
                fate = Fate.COMMITTED if spooled_seq <= committed else Fate.ASKED_AGAIN
                aside = self._spool.set_aside(spooled_seq, "damaged")
                damaged.append(Damage(spooled_seq, error.reason, fate, aside))
                continue
            if seq is None:
                continues = spooled_seq == 1 or page.change_id == saved_cursor
                if continues and page.change_id != saved_cursor and not self._spool.says_whose(spooled_seq):
                    unknown = "it does not say whose page it is, and no saved cursor leads to it"
                    foreign.append(self._set_foreign_aside(spooled_seq, unknown))
                    continue
            else:
                continues = spooled_seq == seq + 1 and page.change_id == cursor
            if continues:
                to_commit.append(spooled_seq)
                seq, cursor = spooled_seq, page.next_change_id
            elif cursor_of_page(self._handle, self._queue, spooled_seq) == page.change_id:
                self._spool.remove(spooled_seq)
            else:
                self._spool.set_aside(spooled_seq, "discarded")
                discarded.append(spooled_seq)
        if to_commit:
            self._repeating = to_commit[0]
        next_seq = 1 if seq is None else seq + 1
        return Standing(cursor, next_seq, tuple(to_commit), tuple(discarded), tuple(foreign), tuple(damaged))

    def _set_foreign_aside(self, seq: int, why: object) -> str:
        return f"{self._spool.set_aside(seq, 'foreign')}: {why}"

    def _reclaim(self, committed: int, cursor: str | None, foreign: list[str], damaged: list[Damage]) -> None:
        """Make sure that a page begun in the store is in the spool, the same page."""
        begun = begun_after(self._handle, self._queue, committed)
        if begun is None:
            return
        if cursor is not None and (begun.seq != committed + 1 or begun.page.change_id != cursor):
            raise StoreError(
                StoreFault.FOREIGN,
                f"The store holds a page {begun.seq} of {self._queue} asked with {begun.page.change_id!r}, but the "
                f"last committed page is {committed} and leads to {cursor!r}. Another harvester may write into the "
                "same database: stop it, then remove the rows of that page.",
            )
        try:
            spooled = self._spool.get(begun.seq).page
        except ForeignPage as error:  # before ours takes its place
            foreign.append(self._set_foreign_aside(begun.seq, error))
            spooled = None
        except DamagedPage as error:
            if begun.seq in self._spool.sequences:  # else there is no file: another harvester had begun the page
                damaged.append(Damage(begun.seq, error.reason, Fate.RESTORED, error.path))
            spooled = None
        # Of another harvester's page every layer has its fetch time.
        if spooled is None or _identity(spooled) != _identity(begun.page):
            self._spool.put(begun)

    def treat(self, waiting: Sequence[int], admit: Callable[[Page], Page]) -> None:
        """Let pages that wait through `admit` again: they may be older than what the operator wants of it now.

        What is begun in the store of a page that changes by that is taken back: its commit begins it anew. Recovery has
        seen to it that a page begun stands in the spool as it was begun.

        Raises:
            StoreError: the store cannot do it; call again.
            OSError: the spool cannot be written.
        """
        for seq in waiting:
            spooled = self._spool.get(seq)
            page = admit(spooled.page)
            if page is spooled.page:
                continue
            if seq == waiting[0]:  # only this one may be begun
                self._layers.unbegin(seq)
            # Behind it: as long as the file is as it was, a retreat that was cut off is repeated.
            self._spool.put(replace(spooled, page=page))

    def begun_already(self, seq: int) -> bool:
        """Whether the store holds page `seq`, or one behind it, in raw form, whoever wrote it.

        Raises:
            StoreError: the store cannot be asked.
        """
        return begun_after(self._handle, self._queue, seq - 1) is not None

    def knows(self, cursor: str) -> bool:
        """Whether a page that was asked with `cursor` is committed or spooled.

        Raises:
            DamagedPage: a spooled page cannot be read.
            StoreError: the store cannot be asked.
        """
        return was_asked(self._handle, self._queue, cursor) or any(
            self._spool.get(seq).page.change_id == cursor for seq in self._spool.sequences
        )

    def commit(self, seq: int) -> tuple[Checkpoint, PageCounts]:
        """Bring one spooled page into the store for good. Call again after a `StoreError`; nothing is doubled.

        Raises:
            DamagedPage: the spool file is not what was written.
            StoreError: the store failed on the way.
        """
        if self._done is not None and self._done[0].seq == seq:
            return self._done
        spooled = self._spool.get(seq)
        if spooled.page.rejected:
            counts = PageCounts(0, 0, 1, len(spooled.page.body))
            self._done = self.give_up(seq, spooled.page.rejected), counts
            return self._done
        repeating, self._repeating = self._repeating == seq, seq
        if repeating and (reason := reason_given_up(self._handle, self._queue, seq)) is not None:
            self._done = self.give_up(seq, reason), PageCounts(0, 0, 1, len(spooled.page.body))
            return self._done
        counts = self._layers.write(spooled, repeating=repeating)
        self._done = self._finish(spooled, CheckpointStatus.PAGE, repeating=repeating), counts
        return self._done

    def is_ours(self, checkpoint: Checkpoint) -> bool:
        """Whether a checkpoint is the one of the page in our spool, written by a try whose answer was lost."""
        if checkpoint.seq not in self._spool.sequences:
            return False
        page = self._spool.get(checkpoint.seq).page
        return (page.change_id, page.next_change_id) == (checkpoint.last_cursor_id, checkpoint.next_cursor_id)

    def give_up(self, seq: int, reason: str) -> Checkpoint:
        """Set a whole page aside as a dead letter with its bytes, so that the queue goes on behind it."""
        spooled = self._spool.get(seq)
        self._repeating = seq
        body = spooled.page.body
        add_dead_letters(self._handle, spooled, [DeadLetter("page", 0, 0, len(body), 0, reason, body)])
        if not spooled.page.rejected:
            self._layers.withdraw(seq)
        return self._finish(spooled, CheckpointStatus.DEAD_LETTER, repeating=True)

    def _finish(self, spooled: SpooledPage, status: CheckpointStatus, *, repeating: bool) -> Checkpoint:
        seq, page = spooled.seq, spooled.page
        checkpoint = Checkpoint(
            queue_key=self._queue.key,
            seq=seq,
            last_cursor_id=page.change_id,
            next_cursor_id=page.next_change_id,
            retrieved_at=page.fetched_at,
            status=status,
            http_status=page.http_status,
            response_ms=page.response_ms,
        )
        if not (repeating and cursor_of_page(self._handle, self._queue, seq) is not None):
            self._crash_point("checkpoint")
            write_checkpoint(self._handle, checkpoint, self._clock.now())
        self._crash_point("spool file")
        self._spool.remove(seq)
        self._repeating = None
        return checkpoint

    def confirm_end(self, seq: int, cursor: str, *, http_status: int, response_ms: float) -> None:
        """Write that the end of the stream was confirmed behind page `seq`."""
        now = not_before(self._handle, self._queue, self._clock.now())
        checkpoint = Checkpoint(
            self._queue.key, seq, cursor, cursor, now, CheckpointStatus.CAUGHT_UP, http_status, response_ms
        )
        write_checkpoint(self._handle, checkpoint, now)


def _identity(page: Page) -> tuple[str, str, datetime]:
    return page.change_id, page.next_change_id, utc(page.fetched_at)
