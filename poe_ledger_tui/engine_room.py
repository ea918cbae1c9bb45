"""The engine room of this process: see `poe_ledger_tui.session.Room`.

One thread opens the store and waits for what comes: the harvest wanted or not, the schema changed, the end. It posts
what it does, and touches no widget.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from textual.message import Message

from harvester.clock import Clock
from harvester.events import Event, Level
from harvester.snapshot_source import LiveSource, SnapshotSource
from poe_ledger_tui.messages import EventsCame, RoomChanged, RoomState, Stage
from poe_ledger_tui.session import HarvestPlan, PlanError, Readied, open_store, other_harvest, retry_pause
from poe_ledger_tui.source import Sampler

if TYPE_CHECKING:
    from harvester.model import Queue
    from harvester.store.engine import Engine
    from harvester.supervisor import Supervisor
    from poe_ledger_tui.time_travel import TimeTravel

_SCHEMA, _RETRY, _CLOSE = "schema", "retry", "close"


class EngineRoom:
    """Opens, runs and closes everything that is no screen. Methods return at once; `RoomChanged` tells the rest."""

    def __init__(
        self,
        load: Callable[[], HarvestPlan],
        post: Callable[[Message], bool],
        clock: Clock,
        closed: Callable[[], None],
        shown: Callable[[], None] = lambda: None,
    ) -> None:
        """`load` reads the settings, on the room's thread; it raises `PlanError` where they cannot be used.

        `shown` is called when a harvest is drawn from now on, and `closed` when everything has ended.
        """
        self._shown = shown
        self._closed = closed
        self._load = load
        self._post = post
        self._clock = clock
        self._sampler = Sampler(post)
        self._asked: SimpleQueue[str] = SimpleQueue()
        self._state = RoomState()
        self._closing = threading.Event()
        self._supervisor: Supervisor | None = None
        self._time_travel: TimeTravel | None = None
        self._queues: dict[str, Queue] = {}
        self._wanted = False
        self.engine: Engine | None = None
        self.plan: HarvestPlan | None = None

    # From the event loop -----------------------------------------------------------------------------------------

    def begin(self) -> None:
        threading.Thread(target=self._run_and_post, name="engine room", daemon=True).start()

    def want_harvest(self, wanted: bool) -> None:
        self._wanted = wanted
        supervisor = self._supervisor
        if supervisor is not None:
            for queue in self._queues.values():
                (supervisor.start_queue if wanted else supervisor.stop_queue)(queue)
        self._tell(harvest_wanted=wanted)

    def start_queue(self, queue_key: str) -> None:
        if self._supervisor is not None:
            self._supervisor.start_queue(self._queues[queue_key])

    def stop_queue(self, queue_key: str) -> None:
        if self._supervisor is not None:
            self._supervisor.stop_queue(self._queues[queue_key])

    def pause(self, queue_key: str | None) -> None:
        if self._supervisor is not None:
            self._supervisor.pause(None if queue_key is None else self._queues[queue_key])

    def resume(self, queue_key: str | None) -> None:
        if self._supervisor is not None:
            self._supervisor.resume(None if queue_key is None else self._queues[queue_key])

    def retry_now(self) -> None:
        self._asked.put(_RETRY)

    def travel(self, seconds: float) -> str:
        travel = self._time_travel
        if travel is None or not travel.possible:
            return self._no_past
        (travel.earlier if seconds < 0 else travel.later)(abs(seconds) if abs(seconds) > 1 else 0.0)
        self._sampler.hurry()
        return ""

    def go_to(self, at: float | None) -> str:
        travel = self._time_travel
        if travel is None or not travel.possible:
            return "" if at is None else self._no_past
        travel.show(at)
        self._sampler.hurry()
        return ""

    @property
    def _no_past(self) -> str:
        if self._state.stage is Stage.WATCHING:
            return "The past lies in the store, which the watched harvest holds: look at it in the app of that harvest."
        return "The past lies in the store, which is not open yet."

    def schema_changed(self) -> None:
        self._asked.put(_SCHEMA)

    def close(self) -> None:
        self._closing.set()
        self._sampler.stop()
        if self._supervisor is not None:
            self._supervisor.stop()
        self._asked.put(_CLOSE)

    # On the room's thread: it only posts -------------------------------------------------------------------------

    def _run_and_post(self) -> None:
        try:
            self._run()
        except PlanError as error:
            self._tell(stage=Stage.BROKEN, words=str(error))
        except Exception as error:
            self._tell(stage=Stage.BROKEN, words=f"a fault of this program: {type(error).__name__}: {error}")
        finally:
            self._end()

    def _run(self) -> None:
        plan = self.plan = self._load()
        self._wanted = self._wanted or plan.start
        self._tell(
            stage=Stage.OPENING,
            words="opening the store",
            store=plan.store_words,
            database=plan.settings.clickhouse_database,
            harvest_wanted=self._wanted,
            demo=plan.demo,
            monitor=plan.monitor,
            has_client=plan.settings.has_oauth_client,
            queues_left_out=tuple(queue.key for queue in plan.left_out),
        )
        if plan.settings.warnings:
            now = self._clock.now()
            self._post(EventsCame(tuple(Event(now, Level.WARNING, "", text) for text in plan.settings.warnings)))
        if plan.monitor:
            self._watch(plan, "")
            return
        while not self._closing.is_set():
            readied = self._open_patiently(plan)
            if readied is None:
                return
            if readied.stage is Stage.WATCHING:
                self._watch(plan, "r opens the store here, once it is free.")
            elif readied.stage is Stage.READY and self._supervisor is None and readied.engine is not None:
                self._start_supervisor(plan, readied.engine)
                self._tell_drift(readied.schema.drifted or 0)
            elif self._supervisor is not None:
                self._tell(schema=readied.schema)
            else:
                self._tell(stage=readied.stage, words=readied.words, todo=readied.todo, schema=readied.schema)
            if self._wait_for(_SCHEMA, _RETRY) is None:
                return

    def _open_patiently(self, plan: HarvestPlan) -> Readied | None:
        """The store, open and looked at; None when leaving was asked for. A lost one is tried until it is there."""
        tries = 0
        while not self._closing.is_set():
            readied = open_store(plan, lambda words: self._tell(stage=Stage.MIGRATING, words=words))
            self.engine = readied.engine
            if readied.stage is not Stage.LOST:
                self._tell(tries=0, next_try_at=None, schema=readied.schema)
                return readied
            tries += 1
            pause = retry_pause(tries)
            self._tell(
                stage=Stage.LOST,
                words=readied.words,
                todo=readied.todo,
                tries=tries,
                next_try_at=self._clock.now() + pause,
            )
            if self._wait_for(_RETRY, _SCHEMA, timeout=pause) is None:
                return None
            self._tell(stage=Stage.OPENING, words="opening the store", next_try_at=None)
        return None

    def _watch(self, plan: HarvestPlan, todo: str) -> None:
        """Show the harvest of another process; whoever waits for a request meanwhile is the caller."""
        source, self.engine = other_harvest(plan, self._clock)
        self._show(source)
        self._tell(stage=Stage.WATCHING, words="", todo=todo, monitor=True)
        if plan.monitor:
            self._wait_for()

    def _start_supervisor(self, plan: HarvestPlan, engine: Engine) -> None:
        from harvester.store.lease import LeaseTaken
        from harvester.supervisor import Supervisor

        supervisor = Supervisor(
            plan.settings,
            engine,
            plan.queues,
            begin=plan.queues if self._wanted else (),
            resident=True,
            transport=plan.transport,
            clock=self._clock,
            demo=plan.demo,
        )
        source = LiveSource(supervisor.snapshot, supervisor.events)
        try:
            supervisor.start()
        except LeaseTaken as error:
            self._tell(stage=Stage.BLOCKED, words=str(error), todo="Stop it first, then press r.")
            return
        except OSError as error:
            from harvester.commands.store_access import unusable_spool

            self._tell(stage=Stage.BLOCKED, words=unusable_spool(plan.settings, error), todo="Then press r.")
            return
        self._queues = {queue.key: queue for queue in plan.queues}
        self._supervisor = supervisor
        self._show(source)
        self._tell(stage=Stage.READY, words="", todo="", monitor=False)

    def _tell_drift(self, drifted: int) -> None:
        """The harvest runs all the same, and says so."""
        if drifted:
            what = f"files and store disagree about {drifted} applied migration{'s' * (drifted > 1)}"
            event = Event(self._clock.now(), Level.WARNING, "", what, "harvesting all the same", "See Migrations (2).")
            self._post(EventsCame((event,)))

    def _show(self, source: SnapshotSource) -> None:
        """Draw the harvest from here on; its past, where the store can be asked."""
        from poe_ledger_tui.time_travel import TimeTravel

        self._time_travel = TimeTravel(source, self.engine, self._clock)
        self._sampler.watch(self._time_travel)
        self._shown()

    def _wait_for(self, *wanted: str, timeout: float | None = None) -> str | None:
        """The next thing that is asked of the room, "" when the time is over; None when it is to close."""
        while True:
            try:
                asked = self._asked.get(timeout=timeout)
            except Empty:
                return ""
            if self._closing.is_set():
                return None
            if asked in wanted:
                return asked

    def _end(self) -> None:
        self._sampler.stop()
        supervisor = self._supervisor
        if supervisor is not None:
            if self._state.stage is not Stage.BROKEN:
                self._tell(stage=Stage.CLOSING, words="finishing the pages in hand")
            supervisor.stop()
            try:
                supervisor.wait()
            except Exception as error:
                self._tell(stage=Stage.BROKEN, words=f"the harvest broke off: {error}")
        if self._state.stage is not Stage.BROKEN:
            self._tell(stage=Stage.CLOSED, words="")
        self._closed()

    def _tell(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]
        self._post(RoomChanged(self._state))
