"""One holder at a time: a lease kept as rows in the database that it guards.

ClickHouse has no compare-and-set, so the lease is taken in two steps. A claimant writes a `waiting` row, then
reads all live ones: only who reads *alone* writes `holding`. Of two who see each other the smaller token
stays and the other withdraws its row, so exactly one gets through. The holder renews its lease; one that dies
is waited out for `LEASE_SECONDS`. All times are the store's own, so the claimants' clocks do not matter. An
embedded store is held by one process anyway: there a lease of another process is a dead one.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import uuid4

from harvester.clock import Clock
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle

LEASE_SECONDS = 30.0
_RENEW_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.05
_LEAVE_SECONDS = 5.0
"""How long to wait for a renewal that hangs in a dead server."""
_PATIENCE_SECONDS = 10.0
"""How long two runners that arrived together may take to sort themselves out."""

_CREATE = """
CREATE TABLE IF NOT EXISTS {table}
(
    token String,
    process String,
    owner String,
    state LowCardinality(String),
    beat UInt32,
    written_at DateTime64(3, 'UTC'),
    expires_at DateTime64(3, 'UTC'),
    subject LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY (token, beat)
TTL toDateTime(expires_at) + INTERVAL 1 DAY
COMMENT '{comment}; the last row of a token counts, until it expires'
"""

_WRITE = """
INSERT INTO {table}
SELECT {{token:String}}, {{process:String}}, {{owner:String}}, {{state:String}}, {{beat:UInt32}},
    now64(3, 'UTC'), now64(3, 'UTC') + toIntervalMillisecond({{lease_ms:UInt32}}), {{subject:String}}
"""

_READ_LIVE = """
SELECT token, process, owner, argMax(state, beat) AS last_state, min(written_at) AS since,
    argMax(expires_at, beat) AS until, dateDiff('millisecond', now64(3, 'UTC'), until) / 1000 AS seconds_left
FROM {table}
WHERE subject = {{subject:String}}
GROUP BY token, process, owner
HAVING last_state != 'released' AND until > now64(3, 'UTC')
ORDER BY token
"""

_PROCESS = uuid4().hex
"""Tells this process from a later one with the same process id."""


@dataclass(frozen=True, slots=True)
class LeaseHolder:
    """Who holds a lease, or is about to."""

    token: str
    process: str
    owner: str
    """Host and process id, for people."""
    holding: bool
    since: datetime
    until: datetime
    """When its lease ends unless it is renewed."""
    seconds_left: float
    """Until then, by the store's own clock, when it was read."""


class LeaseTakenError(Exception):
    """Somebody else holds it; `holder` says who."""

    def __init__(self, holder: LeaseHolder, message: str = "") -> None:
        super().__init__(
            message
            or f"Run by {holder.owner} since {holder.since:%H:%M:%S}Z; unless renewed, its lease ends at "
            f"{holder.until:%H:%M:%S}Z."
        )
        self.holder = holder


class LeaseLostError(Exception):
    """The lease could not be renewed in time; nothing more may be written under it."""


def owner_name() -> str:
    """This process as people name it."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def read_holder(handle: Handle, table: str, subject: str = "", *, foreign_is_dead: bool) -> LeaseHolder | None:
    """Who holds the lease; None where nobody does or the table does not exist."""
    try:
        return next((claim for claim in _live_claims(handle, table, subject, foreign_is_dead) if claim.holding), None)
    except StoreError as error:
        if error.fault is StoreFault.NO_TABLE:
            return None
        raise


def _live_claims(handle: Handle, table: str, subject: str, foreign_is_dead: bool) -> list[LeaseHolder]:
    claims = [
        LeaseHolder(token, process, owner, state == "holding", _aware(since), _aware(until), seconds_left)
        for token, process, owner, state, since, until, seconds_left in handle.rows(
            _READ_LIVE.format(table=table), {"subject": subject}
        )
    ]
    return [claim for claim in claims if not foreign_is_dead or claim.process == _PROCESS]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class RowLease:
    """The lease of one claimant. Use `hold`, or `acquire` and `release`; `ensure` before every statement under it."""

    def __init__(
        self,
        engine: Engine,
        handle: Handle,
        clock: Clock,
        table: str,
        *,
        subject: str = "",
        comment: str = "",
        pause: Callable[[float], None] = time.sleep,
        owner: str | None = None,
    ) -> None:
        """`handle` is the claimant's own; renewals use another one, in a thread. `table` may hold many subjects."""
        self.owner = owner if owner is not None else owner_name()
        self._engine = engine
        self._handle = handle
        self._clock = clock
        self._table = table
        self._subject = subject
        self._comment = comment
        self._pause = pause
        self._foreign_is_dead = engine.embedded_directory is not None
        self._token = uuid4().hex
        self._beat = 0
        self._good_until = 0.0
        self._good_until_by_the_wall = 0.0
        self._stop = threading.Event()
        self._renewer: threading.Thread | None = None

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lease for the body, renewing it.

        Raises:
            LeaseTakenError: somebody else holds it.
        """
        self.acquire()
        try:
            yield
        finally:
            self.release()

    def acquire(self) -> None:
        """Take the lease and keep it renewed until `release`.

        Raises:
            LeaseTakenError: somebody else holds it.
            StoreError: the store cannot be asked.
        """
        self._handle.run(_CREATE.format(table=self._table, comment=self._comment.replace("'", "")))
        self._acquire()
        self._stop.clear()
        self._renewer = threading.Thread(target=self._renew_until_stopped, name=f"lease {self._subject}", daemon=True)
        self._renewer.start()

    def release(self) -> None:
        """Let go. A lease that cannot be released runs out by itself; releasing twice is harmless."""
        renewer, self._renewer = self._renewer, None
        if renewer is None:
            return
        self._stop.set()
        renewer.join(_LEAVE_SECONDS)
        with contextlib.suppress(StoreError):
            self._write(self._handle, "released")

    def taken(self, holder: LeaseHolder) -> Exception:
        """The error that says who holds the lease."""
        return LeaseTakenError(holder)

    def lost(self) -> Exception:
        """The error that says that the lease ran out."""
        return LeaseLostError("The lease ran out: the store did not answer in time.")

    def ensure(self) -> None:
        """Check that the lease is still ours.

        Raises:
            LeaseLostError: it ran out.
        """
        # While a machine sleeps, only the wall clock goes on; where that is set, only the other one can be believed.
        late = self._clock.monotonic() >= self._good_until or self._clock.now() >= self._good_until_by_the_wall
        if late:
            raise self.lost()

    def renew(self, handle: Handle) -> None:
        """Prolong the lease by `LEASE_SECONDS`.

        Raises:
            LeaseLostError: it has run out, and may be somebody else's by now: it is never taken up again.
            StoreError: the store could not be asked; the lease goes on to its old end.
        """
        asked_at = self._instant()
        self.ensure()
        self._write(handle, "holding")
        self.ensure()  # it may have run out while this process stood still, or waited for the answer
        self._good_from(asked_at)

    def _instant(self) -> tuple[float, float]:
        return self._clock.monotonic(), self._clock.now()

    def _good_from(self, asked_at: tuple[float, float]) -> None:
        self._good_until, self._good_until_by_the_wall = (at + LEASE_SECONDS for at in asked_at)

    def _acquire(self) -> None:
        give_up_at = self._clock.monotonic() + _PATIENCE_SECONDS
        asked_at = self._claim()
        while True:
            others = self._others()
            holder = next((claim for claim in others if claim.holding), None)
            late = self._clock.monotonic() >= give_up_at
            if holder is not None or (others and late):
                self._write(self._handle, "released")
                raise self.taken(holder or others[0])
            if not others:
                break
            if any(claim.token < self._token for claim in others):
                self._step_back(give_up_at)
                asked_at = self._claim()
            else:
                self._pause(_LOOK_AGAIN_SECONDS)
        self._write(self._handle, "holding")
        self._good_from(asked_at)
        # Between reading and writing this process may have been stopped for longer than its claim lives.
        usurper = next((claim for claim in self._others() if claim.holding), None)
        if usurper is not None:
            self._write(self._handle, "released")
            raise self.taken(usurper)
        self.ensure()

    def _claim(self) -> tuple[float, float]:
        asked_at = self._instant()
        self._write(self._handle, "waiting")
        return asked_at

    def _step_back(self, give_up_at: float) -> None:
        """Withdraw, and wait until those who arrived together have become one holder or none."""
        self._write(self._handle, "released")
        while self._clock.monotonic() < give_up_at:
            others = self._others()
            if not others or any(claim.holding for claim in others):
                return
            self._pause(_LOOK_AGAIN_SECONDS)

    def _others(self) -> list[LeaseHolder]:
        return [
            c
            for c in _live_claims(self._handle, self._table, self._subject, self._foreign_is_dead)
            if c.token != self._token
        ]

    def _write(self, handle: Handle, state: str) -> None:
        self._beat += 1
        handle.run(
            _WRITE.format(table=self._table),
            {
                "subject": self._subject,
                "token": self._token,
                "process": _PROCESS,
                "owner": self.owner,
                "state": state,
                "beat": self._beat,
                "lease_ms": int(LEASE_SECONDS * 1000),
            },
        )

    def _renew_until_stopped(self) -> None:
        handle: Handle | None = None
        try:
            while not self._stop.wait(_RENEW_SECONDS):
                # A store that does not answer may come back before the lease ends; `ensure` judges.
                try:
                    handle = handle or self._engine.open(writes=False)
                    self.renew(handle)
                except StoreError:
                    continue
                except LeaseLostError:
                    return
        finally:
            if handle is not None:
                handle.close()
