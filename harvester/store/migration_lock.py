"""One migration runner at a time: a lease kept as rows in the database that is migrated.

ClickHouse has no compare-and-set, so the lease is taken in two steps. A runner writes a `waiting` row, then
reads all live ones: only who reads *alone* writes `holding`. Of two who see each other the smaller token
stays and the other withdraws its row, so exactly one gets through. The holder renews its lease; one that dies
is waited out for `LEASE_SECONDS`. All times are the store's own, so the runners' clocks do not matter. An
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
from harvester.store.engine import Engine, Handle
from harvester.store.errors import StoreError, StoreFault
from harvester.store.migration_files import MigrationError

LOCK_TABLE = "poe_schema_migration_lock"
LEASE_SECONDS = 30.0
_RENEW_SECONDS = 10.0
_LOOK_AGAIN_SECONDS = 0.05
_LEAVE_SECONDS = 5.0
"""How long to wait for a renewal that hangs in a dead server."""
_PATIENCE_SECONDS = 10.0
"""How long two runners that arrived together may take to sort themselves out."""

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {LOCK_TABLE}
(
    token String,
    process String,
    owner String,
    state LowCardinality(String),
    beat UInt32,
    written_at DateTime64(3, 'UTC'),
    expires_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (token, beat)
TTL toDateTime(expires_at) + INTERVAL 1 DAY
COMMENT 'Who is applying schema migrations; the last row of a token counts, until it expires'
"""

_WRITE = f"""
INSERT INTO {LOCK_TABLE}
SELECT {{token:String}}, {{process:String}}, {{owner:String}}, {{state:String}}, {{beat:UInt32}},
    now64(3, 'UTC'), now64(3, 'UTC') + toIntervalMillisecond({{lease_ms:UInt32}})
"""

_READ_LIVE = f"""
SELECT token, process, owner, argMax(state, beat) AS last_state, min(written_at) AS since,
    argMax(expires_at, beat) AS until
FROM {LOCK_TABLE}
GROUP BY token, process, owner
HAVING last_state != 'released' AND until > now64(3, 'UTC')
ORDER BY token
"""

_PROCESS = uuid4().hex
"""Tells this process from a later one with the same process id."""


@dataclass(frozen=True, slots=True)
class LockHolder:
    """A runner that is at work, or about to be."""

    token: str
    process: str
    owner: str
    """Host and process id, for people."""
    holding: bool
    since: datetime
    until: datetime
    """When its lease ends unless it is renewed."""


class MigrationsLockedError(MigrationError):
    """Another runner is at work; `holder` says which."""

    def __init__(self, holder: LockHolder) -> None:
        super().__init__(
            f"Migrations are being applied by {holder.owner} since {holder.since:%H:%M:%S}Z. Wait for it to "
            f"finish; if it has died, its claim ends at {holder.until:%H:%M:%S}Z: run this again then."
        )
        self.holder = holder


class MigrationLockLostError(MigrationError):
    """The lease could not be renewed in time; nothing more may be run."""


def owner_name() -> str:
    """This process as people name it."""
    return f"{socket.gethostname()}, process {os.getpid()}"


def read_holder(handle: Handle, *, foreign_is_dead: bool) -> LockHolder | None:
    """Who holds the lease; None where nobody does or the table does not exist."""
    try:
        return next((claim for claim in _live_claims(handle, foreign_is_dead) if claim.holding), None)
    except StoreError as error:
        if error.fault is StoreFault.NO_TABLE:
            return None
        raise


def _live_claims(handle: Handle, foreign_is_dead: bool) -> list[LockHolder]:
    claims = [
        LockHolder(token, process, owner, state == "holding", _aware(since), _aware(until))
        for token, process, owner, state, since, until in handle.rows(_READ_LIVE)
    ]
    return [claim for claim in claims if not foreign_is_dead or claim.process == _PROCESS]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class MigrationLock:
    """The lease of one runner. Use `hold`; `ensure` before every statement."""

    def __init__(
        self,
        engine: Engine,
        handle: Handle,
        clock: Clock,
        *,
        pause: Callable[[float], None] = time.sleep,
        owner: str | None = None,
    ) -> None:
        """`handle` is the runner's own; renewals use another one, in a thread."""
        self.owner = owner if owner is not None else owner_name()
        self._engine = engine
        self._handle = handle
        self._clock = clock
        self._pause = pause
        self._foreign_is_dead = engine.embedded_directory is not None
        self._token = uuid4().hex
        self._beat = 0
        self._good_until = 0.0
        self._stop = threading.Event()

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lease for the body, renewing it.

        Raises:
            MigrationsLockedError: another runner holds it.
        """
        self._handle.run(_CREATE)
        self._acquire()
        renewer = threading.Thread(target=self._renew_until_stopped, name="migration-lock", daemon=True)
        renewer.start()
        try:
            yield
        finally:
            self._stop.set()
            renewer.join(_LEAVE_SECONDS)
            # Unreleased, the lease runs out by itself.
            with contextlib.suppress(StoreError):
                self._write(self._handle, "released")

    def ensure(self) -> None:
        """Check that the lease is still ours.

        Raises:
            MigrationLockLostError: it ran out.
        """
        if self._clock.monotonic() >= self._good_until:
            raise MigrationLockLostError(
                "The claim on the migrations ran out: the store did not answer. Run this again to resume."
            )

    def renew(self, handle: Handle) -> None:
        """Prolong the lease by `LEASE_SECONDS`."""
        asked_at = self._clock.monotonic()
        self._write(handle, "holding")
        self._good_until = asked_at + LEASE_SECONDS

    def _acquire(self) -> None:
        give_up_at = self._clock.monotonic() + _PATIENCE_SECONDS
        asked_at = self._claim()
        while True:
            others = self._others()
            holder = next((claim for claim in others if claim.holding), None)
            late = self._clock.monotonic() >= give_up_at
            if holder is not None or (others and late):
                self._write(self._handle, "released")
                raise MigrationsLockedError(holder or others[0])
            if not others:
                break
            if any(claim.token < self._token for claim in others):
                self._step_back(give_up_at)
                asked_at = self._claim()
            else:
                self._pause(_LOOK_AGAIN_SECONDS)
        self._write(self._handle, "holding")
        self._good_until = asked_at + LEASE_SECONDS
        # Between reading and writing this process may have been stopped for longer than its claim lives.
        usurper = next((claim for claim in self._others() if claim.holding), None)
        if usurper is not None:
            self._write(self._handle, "released")
            raise MigrationsLockedError(usurper)
        self.ensure()

    def _claim(self) -> float:
        asked_at = self._clock.monotonic()
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

    def _others(self) -> list[LockHolder]:
        return [c for c in _live_claims(self._handle, self._foreign_is_dead) if c.token != self._token]

    def _write(self, handle: Handle, state: str) -> None:
        self._beat += 1
        handle.run(
            _WRITE,
            {
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
                with contextlib.suppress(StoreError):
                    handle = handle or self._engine.open(writes=False)
                    self.renew(handle)
        finally:
            if handle is not None:
                handle.close()
