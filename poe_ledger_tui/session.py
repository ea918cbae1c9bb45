"""What the app asks of its engine room, and the steps by which a store is opened.

`poe_ledger_tui.engine_room` is the real one; tests give the app one in memory. The event loop calls the methods of
`Room`, none of which waits; what came of it arrives as `RoomChanged`. Everything heavy (drivers, the engine, settings)
is imported inside the functions, which run on the room's thread after the first paint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harvester.clock import Clock
from harvester.snapshot_source import SnapshotSource
from poe_ledger_tui.messages import SchemaState, Stage

if TYPE_CHECKING:
    import httpx

    from harvester.model import Queue
    from harvester.settings import Settings
    from harvester.store.engine import Engine

RETRY_AFTER_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Pauses between the tries of a lost store; the last one repeats."""


class PlanError(Exception):
    """The app cannot run with this configuration: it is left with exit code 2 and these words."""


@dataclass(frozen=True, slots=True)
class HarvestPlan:
    """What the app is to run, decided before the store is opened."""

    settings: Settings
    command: str
    """What stands before a command's name in hints."""
    start: bool
    """Whether the harvest begins by itself."""
    demo: bool = False
    monitor: bool = False
    leave_newest_migration: bool = False
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None
    """Makes what requests travel on; None is the network."""
    farewell: str = ""
    """What is said on the terminal when the app was left."""

    @property
    def queues(self) -> tuple[Queue, ...]:
        """What can be harvested: the configured queues whose feed is there and, where it needs one, the client."""
        from harvester.feeds.registry import FEEDS, can_run

        settings = self.settings
        return tuple(queue for queue in settings.queues if queue.feed in FEEDS and can_run(settings, queue))

    @property
    def left_out(self) -> tuple[Queue, ...]:
        """Queues of feeds that are there, which cannot run for want of an OAuth client."""
        from harvester.feeds.registry import FEEDS

        return tuple(queue for queue in self.settings.queues if queue.feed in FEEDS and queue not in self.queues)

    @property
    def store_words(self) -> str:
        """Where the store is, in one or two words."""
        from urllib.parse import urlsplit

        parts = urlsplit(self.settings.clickhouse_url)
        return "embedded" if parts.scheme == "chdb" else parts.netloc.rpartition("@")[2]


class Room(Protocol):
    """What the app and its screens may ask of the engine room. Nothing here waits."""

    @property
    def engine(self) -> Engine | None:
        """The store, for jobs that open handles of their own on their own threads; None until it is open."""

    @property
    def plan(self) -> HarvestPlan | None:
        """What is run; None until the settings were read."""

    def begin(self) -> None:
        """Open everything."""

    def want_harvest(self, wanted: bool) -> None:
        """Start or stop the harvest, now or as soon as it is possible."""

    def start_queue(self, queue_key: str) -> None:
        """Start a stopped or failed queue."""

    def stop_queue(self, queue_key: str) -> None:
        """Stop a queue: the page in hand is finished."""

    def pause(self, queue_key: str | None) -> None:
        """Ask nothing more for a queue, or for all."""

    def resume(self, queue_key: str | None) -> None:
        """Go on asking."""

    def retry_now(self) -> None:
        """Try a lost store at once."""

    def travel(self, seconds: float) -> str:
        """Show the harvest as it was so much earlier (below 0) or later, by one stored Snapshot at least.

        Returns why that cannot be, in words; empty where it can.
        """

    def go_to(self, at: float | None) -> str:
        """Show the harvest as it was at a time, in epoch seconds; None is now. Returns as `travel`."""

    def schema_changed(self) -> None:
        """Somebody applied migrations: look again, and go on where that was what it lacked."""

    def close(self) -> None:
        """End everything; `Stage.CLOSED` is posted when it is done."""


@dataclass(frozen=True, slots=True)
class Readied:
    """What opening the store led to."""

    stage: Stage
    engine: Engine | None = None
    words: str = ""
    todo: str = ""
    schema: SchemaState = field(default_factory=SchemaState)


def retry_pause(tries: int) -> float:
    """Seconds until the next try of a lost store, after `tries` of them."""
    return RETRY_AFTER_SECONDS[min(tries, len(RETRY_AFTER_SECONDS)) - 1]


def open_store(plan: HarvestPlan, say: Callable[[str], None]) -> Readied:
    """Open the store and look at its schema; a new store gets its tables, any other is left as it is. Blocks.

    `say` is told in words what takes long. Nothing is raised for what the operator can mend: `Readied` says it.
    """
    from harvester.commands.store_access import engine_of
    from harvester.store.errors import StoreError, StoreFault
    from harvester.store.migrations import MigrationError, MigrationProgress, ProgressPhase
    from harvester.store.readiness import make_ready
    from harvester.store.schema_files import SchemaFilesMissingError

    engine = engine_of(plan.settings)

    def progress(step: MigrationProgress) -> None:
        if step.phase is ProgressPhase.RUNNING:
            statements = len(step.migration.statements)
            say(f"a new store: {step.migration.name}, statement {step.statement.number} of {statements}")

    try:
        readiness = make_ready(engine, progress, leave_newest=plan.leave_newest_migration)
        schema = schema_state(engine, readiness.blocking)
    except (MigrationError, SchemaFilesMissingError) as error:
        return Readied(Stage.BLOCKED, engine, str(error), "See the migrations (2), then press r.")
    except StoreError as error:
        if error.fault is StoreFault.HELD:
            return Readied(Stage.WATCHING, None, str(error), error.hint)
        stage = Stage.LOST if error.retryable else Stage.BLOCKED
        return Readied(stage, engine, str(error), error.hint)
    if readiness.swap_cut_off:
        return Readied(
            Stage.BLOCKED,
            engine,
            "a rebuild of silver was cut off while it put its tables in place; silver is mixed until it is finished",
            f"Leave, and finish it: {plan.command} rebuild silver",
            schema,
        )
    if readiness.blocking:
        return Readied(
            Stage.BLOCKED,
            engine,
            f"the schema is behind: {', '.join(readiness.blocking)}",
            "Review and apply it: press 2.",
            schema,
        )
    return Readied(Stage.READY, engine, schema=schema)


def other_harvest(plan: HarvestPlan, clock: Clock) -> tuple[SnapshotSource, Engine | None]:
    """The harvest of another process with the same store, for watching; and the store, where it may be asked as well.

    An embedded store is in the hands of that process, which tells by its socket; a server is asked itself.
    """
    from harvester.attach import AttachedSource
    from harvester.commands.store_access import engine_of
    from harvester.snapshot_address import socket_directory
    from harvester.stored_source import StoredSource

    engine = engine_of(plan.settings)
    if engine.embedded_directory is None:
        return StoredSource(engine, clock), engine
    return AttachedSource(socket_directory(plan.settings, engine)), None


def schema_state(engine: Engine, blocking: tuple[str, ...] = ()) -> SchemaState:
    """How the schema stands. Blocks; raises what `harvester.store.migrations` raises."""
    from harvester.store import migrations
    from harvester.store.migrations import MigrationState
    from harvester.store.schema_files import migrations_directory

    status = migrations.status(engine, migrations.load_migrations(migrations_directory()))
    halfway = [entry.name for entry in status.entries if entry.state is MigrationState.HALFWAY]
    return SchemaState(
        total=len(status.entries),
        pending=status.pending,
        drifted=status.drifted,
        blocking=blocking,
        failed=halfway[0] if halfway else "",
    )
