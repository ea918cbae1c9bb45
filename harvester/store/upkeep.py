"""Work on the store that is due from time to time: retention, and the sweeping of what is no longer current."""

from __future__ import annotations

from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.retention import apply_retention, forgotten_share, stale_share, sweep_homes, sweep_listings

SWEEP_EVERY_SECONDS = 600.0
SWEEP_ABOVE_SHARE = 0.5
SWEEP_HOMES_EVERY_SECONDS = 6 * 3600.0
SWEEP_HOMES_ABOVE_SHARE = 0.1


class Upkeep:
    """Call `when_due` often, from one thread; it works rarely."""

    def __init__(self, engine: Engine, raw_days: int, silver_days: int, cx_days: int = 0) -> None:
        self._engine = engine
        self._raw_days = raw_days
        self._silver_days = silver_days
        self._cx_days = cx_days
        self._handle: Handle | None = None
        self._retention_set = False
        self._next_sweep: float | None = None
        self._next_sweep_of_homes: float | None = None

    def when_due(self, now: float) -> list[str]:
        """Do what is due at monotonic second `now`; returns what was done, in words.

        Raises:
            StoreError: the store is away; it is tried again at the next call.
        """
        if self._handle is None:
            self._handle = self._engine.open()
        done: list[str] = []
        if not self._retention_set:
            done += apply_retention(
                self._handle, raw_days=self._raw_days, silver_days=self._silver_days, cx_days=self._cx_days
            )
            self._retention_set = True
        if self._next_sweep is None:
            self._next_sweep = now + SWEEP_EVERY_SECONDS
        if now >= self._next_sweep:
            self._next_sweep = now + SWEEP_EVERY_SECONDS
            share = stale_share(self._handle)
            if share > SWEEP_ABOVE_SHARE:
                sweep_listings(self._handle)
                done.append(f"swept listings that are no longer current ({share:.0%} of the rows)")
        if self._next_sweep_of_homes is None:
            self._next_sweep_of_homes = now + SWEEP_EVERY_SECONDS
        if now >= self._next_sweep_of_homes:
            self._next_sweep_of_homes = now + SWEEP_HOMES_EVERY_SECONDS
            share = forgotten_share(self._handle)
            if share > SWEEP_HOMES_ABOVE_SHARE:
                sweep_homes(self._handle)
                done.append(f"forgot items that left long ago ({share:.0%} of those remembered)")
        return done

    def close(self) -> None:
        """Give the handle back."""
        if self._handle is not None:
            self._handle.close()
            self._handle = None
