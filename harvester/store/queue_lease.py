"""One harvester a queue on a server, wherever the harvesters run; a dead one's lease runs out.

On one machine the lock on the spool folder says it at once (`harvester.store.lease`), and an embedded store has one
process anyway. A server may be written to by harvesters of several machines: there a row lease decides.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from harvester.clock import Clock
from harvester.model import Queue
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.row_lease import LeaseHolder, LeaseLostError, LeaseTakenError, RowLease, read_holder

LEASE_TABLE = "poe_queue_leases"
_COMMENT = "Which harvester runs which queue"


class QueueLease:
    """The right to harvest a queue into a server. On an embedded store it is always there."""

    def __init__(
        self, engine: Engine, queue: Queue, clock: Clock, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._engine = engine
        self._queue = queue
        self._clock = clock
        self._pause = pause
        self._lease: RowLease | None = None
        self._handle: Handle | None = None

    def take(self) -> bool:
        """Take the lease unless it is ours; True where it was taken anew, so that others may have written meanwhile.

        It has a connection of its own: that of a writer would first end what its predecessor left running, and the
        predecessor may be alive and well.

        Raises:
            StoreError: another harvester holds it (`StoreFault.LEASED`), or the store cannot be asked.
        """
        if self._engine.embedded_directory is not None or self._is_ours():
            return False
        self.release()
        handle = self._engine.open()
        try:
            self._nobody_holds_it(handle)
        except StoreError:
            handle.close()
            raise
        lease = RowLease(
            self._engine,
            handle,
            self._clock,
            LEASE_TABLE,
            subject=self._queue.key,
            comment=_COMMENT,
            pause=self._pause,
        )
        try:
            lease.acquire()
        except LeaseTakenError as error:
            handle.close()
            raise self._held_by(error.holder) from error
        except LeaseLostError as error:
            handle.close()
            raise StoreError(StoreFault.TIMEOUT, str(error)) from error
        except StoreError:
            handle.close()
            raise
        self._lease, self._handle = lease, handle
        return True

    def ensure(self) -> None:
        """Check, before anything is written under it, that the lease is still ours.

        Raises:
            StoreError: it ran out (`StoreFault.OVERTAKEN`): this process stood still, or the server was away for long.
        """
        if self._engine.embedded_directory is None and not self._is_ours():
            raise StoreError(StoreFault.OVERTAKEN, f"the lease of {self._queue} ran out before a statement")

    def release(self) -> None:
        """Let go, so that another may begin at once."""
        lease, self._lease = self._lease, None
        handle, self._handle = self._handle, None
        if lease is not None:
            lease.release()
        if handle is not None:
            handle.close()

    def _nobody_holds_it(self, handle: Handle) -> None:
        """Look before claiming: who waits asks every few seconds, and a claim writes rows."""
        holder = holder_of_queue(handle, self._queue.key)
        if holder is not None:
            raise self._held_by(holder)

    def _held_by(self, holder: LeaseHolder) -> StoreError:
        left = f"its lease has {holder.seconds_left:.0f} s left unless it is renewed"
        return StoreError(StoreFault.LEASED, f"{self._queue} is run by {holder.owner}; {left}.")

    def _is_ours(self) -> bool:
        if self._lease is None:
            return False
        try:
            self._lease.ensure()
        except LeaseLostError:
            return False
        return True


def holder_of_queue(handle: Handle, queue_key: str) -> LeaseHolder | None:
    """Which harvester holds a queue of this server; None where nobody does."""
    return read_holder(handle, LEASE_TABLE, queue_key, foreign_is_dead=False)


def held_queues(handle: Handle) -> dict[str, LeaseHolder]:
    """Which queues of this server are harvested now, by queue key, and by whom."""
    try:
        known = [str(key) for (key,) in handle.rows(f"SELECT DISTINCT subject FROM {LEASE_TABLE} ORDER BY subject")]
    except StoreError as error:
        if error.fault is StoreFault.NO_TABLE:
            return {}
        raise
    holders = {key: holder_of_queue(handle, key) for key in known}
    return {key: holder for key, holder in holders.items() if holder is not None}
