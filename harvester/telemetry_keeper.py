"""What goes on beside the harvest, on a thread of its own: telemetry rows, upkeep, and the survey of the store.

The harvest depends on nothing of it: a failure is told when it begins, and never ends anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from harvester.clock import Clock
from harvester.events import Event, EventLog, Level
from harvester.history import STEP_SECONDS
from harvester.model import RequestRecord
from harvester.offload import Offload, ThreadOffload
from harvester.settings import Settings
from harvester.snapshot import Snapshot
from harvester.snapshot_builder import SnapshotBuilder
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.survey import Survey
from harvester.store.telemetry_sink import TelemetrySink
from harvester.store.upkeep import Upkeep

TELEMETRY_EVERY_SECONDS = 5.0


class TelemetryKeeper:
    """`run` until it is cancelled; it ends by writing once more what there is."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        clock: Clock,
        events: EventLog,
        builder: SnapshotBuilder,
        snapshot: Callable[[], Snapshot],
    ) -> None:
        self._clock = clock
        self._events = events
        self._builder = builder
        self._snapshot = snapshot
        self._sink = TelemetrySink(engine)
        self._upkeep = Upkeep(
            engine, settings.raw_retention_days, settings.silver_retention_days, settings.cx_retention_days
        )
        self._survey = Survey(engine)
        self._failing: set[str] = set()

    def record(self, record: RequestRecord) -> None:
        """Keep a request until the next writing. Safe from every thread."""
        self._sink.record(record)

    async def run(self) -> None:
        """Write, ask and tidy up every few seconds."""
        thread = ThreadOffload("telemetry")
        flush = "telemetry cannot be written", lambda: self._sink.flush(self._snapshot())
        care = "upkeep of the store failed", self._take_care
        look = "the store cannot be surveyed", self._look
        sampling = asyncio.create_task(self._sample())
        try:
            await self._try(thread, *look)
            while True:
                await self._clock.sleep(TELEMETRY_EVERY_SECONDS)
                for work in (flush, care, look):
                    await self._try(thread, *work)
        finally:
            sampling.cancel()
            await asyncio.shield(self._try(thread, *flush))
            for close in (self._sink.close, self._upkeep.close, self._survey.close):
                await thread.run(close)
            thread.close()

    async def _sample(self) -> None:
        """Twice a step, whatever the store takes for the rest."""
        while True:
            self._builder.sample()
            await self._clock.sleep(STEP_SECONDS / 2)

    def _take_care(self) -> None:
        for change in self._upkeep.when_due(self._clock.monotonic()):
            self._events.add(Event(self._clock.now(), Level.INFO, "", change))

    def _look(self) -> None:
        try:
            found = self._survey.when_due(self._clock.monotonic(), self._clock.now())
        except Exception as error:
            self._builder.store_failed(str(error))
            raise
        if found is not None:
            self._builder.store_answered(*found)

    async def _try(self, thread: Offload, failure: str, work: Callable[[], None]) -> None:
        try:
            await thread.run(work)
            self._failing.discard(failure)
        except Exception as error:
            if failure not in self._failing:
                todo = error.hint if isinstance(error, StoreError) else ""
                self._events.add(Event(self._clock.now(), Level.WARNING, "", f"{failure}: {error}", todo=todo))
            self._failing.add(failure)
