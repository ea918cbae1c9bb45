"""Puts the meters of the harvest together into a `Snapshot`: cheap enough for once a second, safe from any thread."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from dataclasses import replace

from harvester.api.pacer import PacerSnapshot
from harvester.api.throttle import Throttle
from harvester.clock import Clock
from harvester.events import EventLog
from harvester.history import Gauge
from harvester.model import Queue
from harvester.snapshot import (
    HarvesterSnapshot,
    QueueState,
    SchemaSnapshot,
    Snapshot,
    SpoolSnapshot,
    StoreSnapshot,
)
from harvester.telemetry import QueueMeter, RequestMeter, ThroughputMeter
from harvester.version import __version__

EVENTS_SHOWN = 50
THROTTLES_SHOWN = 20


def this_harvester(*, demo: bool = False) -> HarvesterSnapshot:
    """This process, as others see it."""
    return HarvesterSnapshot(socket.gethostname(), os.getpid(), __version__, demo)


class SnapshotBuilder:
    """Owns the meters of a harvest. What is asked rarely (`store`, `schema`) is put in by who asks."""

    def __init__(
        self,
        clock: Clock,
        queues: Iterable[Queue],
        events: EventLog,
        *,
        amber_seconds: float,
        red_seconds: float,
        spool_budget: int,
        store: StoreSnapshot,
        harvester: HarvesterSnapshot,
    ) -> None:
        """`store` is what is known of the store before it is asked."""
        self._clock = clock
        self._events = events
        self._amber, self._red = amber_seconds, red_seconds
        self._spool_budget = spool_budget
        self._harvester = harvester
        self._started_at = clock.now()
        self.store = store
        self.schema: SchemaSnapshot | None = None
        self.requests = RequestMeter(clock)
        self.throughput = ThroughputMeter(clock)
        self.meters = {
            queue: QueueMeter(queue, self.throughput, Gauge(clock), started_at=self._started_at) for queue in queues
        }

    def store_answered(self, store: StoreSnapshot, schema: SchemaSnapshot) -> None:
        """The store was asked, and this is what it said."""
        self.schema = schema
        self.store = replace(store, trouble=self.store.trouble, trouble_at=self.store.trouble_at)

    def store_failed(self, trouble: str) -> None:
        """The store could not be asked; what it said before stays."""
        now = self._clock.now()
        self.store = replace(self.store, reachable=False, trouble=trouble, trouble_at=now, asked_at=now)

    def sample(self) -> None:
        """Take what is measured, not counted, into its history: once per step at least."""
        now = self._clock.now()
        for meter in self.meters.values():
            meter.sample(now)

    def build(self, pacers: tuple[PacerSnapshot, ...], throttles: tuple[Throttle, ...]) -> Snapshot:
        """The whole harvest as it is now."""
        now = self._clock.now()
        queues = tuple(meter.snapshot(now, self._amber, self._red) for meter in self.meters.values())
        store = self.store
        if any(queue.state is QueueState.STORE_LOST for queue in queues):
            store = replace(store, reachable=False)
        return Snapshot(
            taken_at=now,
            started_at=self._started_at,
            amber_seconds=self._amber,
            red_seconds=self._red,
            requests=self.requests.snapshot(),
            queues=queues,
            pacers=pacers,
            events=self._events.tail(EVENTS_SHOWN),
            throughput=self.throughput.snapshot(),
            throttles=throttles[-THROTTLES_SHOWN:],
            store=store,
            schema=self.schema,
            spool=SpoolSnapshot(
                sum(queue.spool_pages for queue in queues),
                sum(queue.spool_bytes for queue in queues),
                self._spool_budget,
            ),
            harvester=self._harvester,
        )
