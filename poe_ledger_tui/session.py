"""The engine room: opens the store, makes it ready, starts and stops the harvest. It only posts messages.

One thread does what may block. The event loop calls the methods below, none of which waits; what came of it arrives as
`RoomChanged`. Everything heavy (drivers, the engine, settings) is imported on the thread, after the first paint.
"""

from __future__ import annotations

import queue as queues
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from textual.message import Message

from harvester.clock import Clock
from poe_ledger_tui.messages import RoomChanged, RoomState, SchemaState, SourceKind, Stage
from poe_ledger_tui.source import LiveSource, Sampler, SnapshotSource

if TYPE_CHECKING:
    import httpx

    from harvester.model import Queue
    from harvester.settings import Settings
    from harvester.store.engine import Engine
    from harvester.supervisor import Supervisor

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

    def schema_changed(self) -> None:
        """Somebody applied migrations: look again, and go on where that was what it lacked."""

    def close(self) -> None:
        """End everything; `Stage.CLOSED` is posted when it is done."""
