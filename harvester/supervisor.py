"""Starts, pauses and stops the workers; owns every thread of the harvest; the one way out.

One thread runs the event loop on which all requests are paced and sent. Each queue has two more, for its spool and for
its store, and one writes telemetry. `stop` ends them all, in that order, and says what it waits for.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random

import httpx

from harvester.alert_hooks import Hook, alerting, hooks_of
from harvester.api.access import ApiAccess
from harvester.backoff import Backoff
from harvester.clock import Clock, SystemClock
from harvester.events import Event, EventLog, Level
from harvester.feeds.base import Feed
from harvester.feeds.currency_exchange import Fill
from harvester.feeds.registry import make_feed
from harvester.model import Queue, RequestRecord
from harvester.observation import observing
from harvester.offload import ThreadOffload
from harvester.queue_store import ClickHouseQueueStore
from harvester.queue_worker import QueueStopped, QueueWorker, WorkerPolicy
from harvester.settings import Settings
from harvester.snapshot import QueueState, Snapshot
from harvester.snapshot_address import socket_directory
from harvester.snapshot_builder import SnapshotBuilder, this_harvester
from harvester.snapshot_server import serving
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.layer_registry import make_layers
from harvester.store.lease import Lease
from harvester.store.name_guard import guard_for
from harvester.store.spool import Spool
from harvester.store.survey import unasked
from harvester.telemetry_keeper import TelemetryKeeper

SPOOL_ROOM_SHARE = 0.98


@dataclass(frozen=True, slots=True)
class Goal:
    """When the harvest is done by itself; the default is never."""

    pages: int | None = None
    """Per queue."""
    until_caught_up: bool = False


class Supervisor:
    """The harvest of some queues, from `start` to `stop`. Used from one thread; `snapshot` from any."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        queues: Iterable[Queue],
        *,
        goal: Goal = Goal(),
        fills: Mapping[Queue, Fill] | None = None,
        begin: Iterable[Queue] | None = None,
        resident: bool = False,
        events: EventLog | None = None,
        clock: Clock | None = None,
        random: Random | None = None,
        transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
        crash_point: CrashPoint = no_crash,
        demo: bool = False,
    ) -> None:
        """`transport` makes what requests travel on, on the event loop's thread; the default is the network.

        `begin` names the queues that `start` sets going, all by default; the others wait for `start_queue`.
        `resident` stays until `stop`, even while no queue runs. `fills`: which hours the queues of the currency
        exchange are to bring, where the operator said it. `demo` is told to whoever watches.
        """
        self._settings = settings
        self._engine = engine
        self._queues = tuple(queues)
        self._goal = goal
        self._fills = dict(fills or {})
        self._to_begin = set(self._queues if begin is None else begin)
        self._resident = resident
        self._tasks: dict[Queue, asyncio.Task[None]] = {}
        self._ending: set[Queue] = set()
        self._tasks_changed = asyncio.Event()
        self.events = events or EventLog()
        self._clock = clock or SystemClock()
        self._random = random or Random()
        self._transport = transport
        self._crash_point = crash_point
        self._builder = SnapshotBuilder(
            self._clock,
            self._queues,
            self.events,
            amber_seconds=settings.lag_amber_seconds,
            red_seconds=settings.lag_red_seconds,
            spool_budget=settings.spool_max_bytes,
            store=unasked(engine),
            harvester=this_harvester(demo=demo),
        )
        self._keeper = TelemetryKeeper(engine, settings, self._clock, self.events, self._builder, self.snapshot)
        for queue in set(self._queues) - self._to_begin:
            self._builder.meters[queue].state = QueueState.STOPPED
        self._workers: dict[Queue, QueueWorker] = {}
        self._leases: list[Lease] = []
        self._access: ApiAccess | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_wanted = threading.Event()
        self._stop_asked = asyncio.Event()
        self._finished = threading.Event()
        self._failure: BaseException | None = None
        self._stopped_queues: dict[Queue, QueueStopped] = {}

    def start(self) -> None:
        """Take the leases and set the workers going.

        Raises:
            LeaseTaken: another process runs one of the queues; nothing was started.
        """
        try:
            for queue in self._queues:
                spool = Spool(self._settings.spool_dir, queue)
                lease = Lease(spool.directory, queue.key)
                self._leases.append(lease)
                self._builder.meters[queue].held_by = lease.holder
        except BaseException:
            self._release()
            raise
        self._thread = threading.Thread(target=self._run, name="harvest")
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end: requests in flight are cancelled, the page in hand is finished. Returns at once."""
        self._stop_wanted.set()
        self._on_loop(self._stop_asked.set)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the end, by goal or by `stop`; False where it has not come in `timeout` seconds."""
        if not self._finished.wait(timeout):
            return False
        if self._thread is not None:
            self._thread.join()
        self._release()
        if self._failure is not None:
            raise self._failure
        return True

    @property
    def stopped_queues(self) -> dict[Queue, QueueStopped]:
        """The queues that could not go on, and why."""
        return dict(self._stopped_queues)

    def pause(self, queue: Queue | None = None) -> None:
        """Ask nothing more for a queue, or for all, until `resume`."""
        self._tell(queue, QueueWorker.pause)

    def resume(self, queue: Queue | None = None) -> None:
        """Go on asking for a queue, or for all."""
        self._tell(queue, QueueWorker.resume)

    def start_queue(self, queue: Queue) -> None:
        """Set a queue going that was not begun, was stopped, or could not go on. A running one stays as it is."""
        self._to_begin.add(queue)
        self._on_loop(self._begin_wanted)

    def stop_queue(self, queue: Queue) -> None:
        """End a queue as `stop` ends all: requests in flight are cancelled, the page in hand is finished."""
        self._to_begin.discard(queue)
        self._on_loop(lambda: self._end(queue))

    def snapshot(self) -> Snapshot:
        """The whole harvest as it is now."""
        access = self._access
        return self._builder.build(access.pacer_snapshots() if access else (), access.throttles() if access else ())

    # On the harvest's own thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            with (
                serving(socket_directory(self._settings, self._engine), self.snapshot, self._warn),
                observing(self._settings.metrics_address, self.snapshot, self._warn),
                alerting(self._hooks(), self._settings.alert_interval, self.snapshot, self._warn),
            ):
                asyncio.run(self._main())
        except BaseException as error:  # handed to whoever waits
            self._failure = error
        finally:
            self._finished.set()

    def _hooks(self) -> list[Hook]:
        return hooks_of(self._settings.alert_command, self._settings.alert_webhook.get_secret_value())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop_asked = asyncio.Event()
        self._tasks_changed = asyncio.Event()
        if self._stop_wanted.is_set():
            return
        transport = self._transport() if self._transport else None
        async with ApiAccess(
            self._settings, transport=transport, clock=self._clock, record=self._count, events=self.events
        ) as access:
            beside = asyncio.create_task(self._keeper.run())
            harvest = asyncio.create_task(self._harvest_all(access))
            stop = asyncio.create_task(self._stop_asked.wait())
            try:
                await asyncio.wait((harvest, stop), return_when=asyncio.FIRST_COMPLETED)
                if not harvest.done():
                    harvest.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await harvest
            finally:
                stop.cancel()
                beside.cancel()
                await asyncio.gather(stop, beside, return_exceptions=True)

    async def _harvest_all(self, access: ApiAccess) -> None:
        self._access = access
        self._begin_wanted()
        try:
            while self._tasks or self._resident:
                await self._tasks_changed.wait()
                self._tasks_changed.clear()
                for queue, task in [(queue, task) for queue, task in self._tasks.items() if task.done()]:
                    del self._tasks[queue]
                    self._ending.discard(queue)
                    if not task.cancelled():
                        task.result()
                self._begin_wanted()
        finally:
            for task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin_wanted(self) -> None:
        """Set going what is wanted and does not run; one that is just ending begins anew when it has ended."""
        access = self._access
        if access is None:
            return
        for queue in [queue for queue in self._queues if queue in self._to_begin and queue not in self._ending]:
            self._to_begin.discard(queue)
            if queue in self._tasks:
                continue
            self._stopped_queues.pop(queue, None)
            self._builder.meters[queue].begin_anew()
            self._tasks[queue] = task = asyncio.create_task(self._harvest(queue, access))
            task.add_done_callback(lambda _: self._tasks_changed.set())

    def _end(self, queue: Queue) -> None:
        task = self._tasks.get(queue)
        if task is not None and not task.done():
            self._ending.add(queue)
            self._builder.meters[queue].state = QueueState.STOPPING
            self.events.add(Event(self._clock.now(), Level.INFO, queue.key, "stopping", "the page in hand is finished"))
            task.cancel()

    async def _harvest(self, queue: Queue, access: ApiAccess) -> None:
        settings = self._settings
        feed: Feed = make_feed(queue.feed, settings, self._fills.get(queue))

        def warn(text: str) -> None:
            self.events.add(Event(self._clock.now(), Level.WARNING, queue.key, text))

        names = guard_for(queue, settings.account_names, settings.cursor_dir, warn)
        store = ClickHouseQueueStore(
            self._engine,
            queue,
            lambda handle, crash_point: make_layers(
                queue, handle, settings.leagues, crash_point, names_file=settings.currency_names, names=names
            ),
            Spool(settings.spool_dir, queue),
            CursorFile(settings.cursor_dir, queue),
            self._clock,
            spool_thread=ThreadOffload(f"spool {queue.key}"),
            store_thread=ThreadOffload(f"store {queue.key}"),
            warn=warn,
            names=names,
            crash_point=self._crash_point,
        )
        worker = QueueWorker(
            queue,
            feed,
            access.client,
            store,
            self._policy(),
            clock=self._clock,
            random=self._random,
            meter=self._builder.meters[queue],
            events=self.events,
            spool_has_room=self._spool_has_room,
        )
        self._workers[queue] = worker
        try:
            await worker.run()
        except QueueStopped as stopped:
            self._give_up(queue, stopped)
        except Exception as error:  # one queue's fault must not end the others
            self._builder.meters[queue].state = QueueState.FAILED
            self._give_up(
                queue,
                QueueStopped(
                    f"a fault of this program: {type(error).__name__}: {error}",
                    "Nothing is lost. Start again, and report it with the lines above.",
                ),
            )
        finally:
            self._workers.pop(queue, None)
            await asyncio.shield(store.close())

    def _give_up(self, queue: Queue, stopped: QueueStopped) -> None:
        self._stopped_queues[queue] = stopped
        self.events.add(
            Event(self._clock.now(), Level.ERROR, queue.key, str(stopped), "the queue is stopped", stopped.todo)
        )

    def _policy(self) -> WorkerPolicy:
        settings = self._settings
        return WorkerPolicy(
            backoff=Backoff(
                settings.rate_limit_backoff_base, settings.rate_limit_backoff_max, settings.rate_limit_jitter
            ),
            show_trouble_after=settings.rate_limit_max_retries,
            poll_interval=settings.market_poll_interval,
            pages=self._goal.pages,
            until_caught_up=self._goal.until_caught_up,
        )

    def _spool_has_room(self) -> bool:
        used = sum(meter.spool_bytes for meter in self._builder.meters.values())
        return used < self._settings.spool_max_bytes * SPOOL_ROOM_SHARE

    def _warn(self, text: str) -> None:
        self.events.add(Event(self._clock.now(), Level.WARNING, "", text))

    def _count(self, record: RequestRecord) -> None:
        self._builder.requests.count(record)
        self._keeper.record(record)

    def _on_loop(self, call: Callable[[], None]) -> None:
        if self._loop is not None and not self._finished.is_set():
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(call)

    def _tell(self, queue: Queue | None, command: Callable[[QueueWorker], None]) -> None:
        for name, worker in list(self._workers.items()):
            if queue is None or name == queue:
                self._on_loop(partial(command, worker))

    def _release(self) -> None:
        for lease in self._leases:
            lease.release()
        self._leases.clear()
