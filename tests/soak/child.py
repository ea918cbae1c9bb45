"""The harvest that is killed: a real supervisor over the simulated API, telling its phases on standard output.

`python -m tests.soak.child DIRECTORY SEED [--finish PAGES] [--crash-at STEP]`. It loads everything, says `loaded` and
waits for a line; then it opens the store and says `recovering`, and `recovered` once what it found in the spool is
committed. When its standard input closes, it ends. `--finish` lets the stream end PAGES behind what is reached;
`--crash-at` ends the process on the spot, with exit code 66, when a commit after the recovery comes to that step.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from harvester.clock import SystemClock
from harvester.commands.store_access import engine_of
from harvester.model import Queue
from harvester.settings import Settings, demo_settings
from harvester.simulator.api import SimulatedApi
from harvester.simulator.rules import Policy
from harvester.simulator.transport import SimulatorTransport
from harvester.snapshot import QueueState
from harvester.store import migrations
from harvester.store.checkpoints import last_page_checkpoint
from harvester.store.engine import Engine
from harvester.store.schema_files import migrations_directory
from harvester.store.spool import Spool
from harvester.supervisor import Goal, Supervisor
from tests.soak.stream import LONGEST, Stream

QUEUE = Queue("psapi", "pc")
CRASHED = 66
ORPHANED = 67
TICK_SECONDS = 0.005
LIMIT = "10:1:1"
SPOOL_BYTES = 40_000
"""About four pages: so much waits for a slow machine, and no more."""


def settings_in(directory: Path) -> Settings:
    """The settings of the harvest whose data lies in `directory`."""
    settings = demo_settings(directory, "http://127.0.0.1:9", environ={}, env_file=None)
    return settings.model_copy(update={"spool_max_bytes": SPOOL_BYTES})


def prepare(directory: Path) -> Engine:
    """A migrated store in `directory`."""
    engine = engine_of(settings_in(directory))
    engine.create_database()
    migrations.apply(engine, migrations.load_migrations(migrations_directory()))
    return engine


def harvest(directory: Path, seed: int, finish: int | None, crash_at: str) -> int:
    """Harvest until killed or, with `finish`, until the stream ends; returns the exit code."""
    settings = settings_in(directory)
    engine = engine_of(settings)
    import chdb  # noqa: F401 - loaded before the clock of the parent runs

    stream = Stream(seed)
    _say("loaded")
    sys.stdin.readline()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _say("recovering")
    found = Spool(settings.spool_dir, QUEUE).sequences
    with engine.open(writes=False) as handle:
        last = last_page_checkpoint(handle, QUEUE)
        reached = max([last.seq if last else 0, *found])
        if finish is not None:
            stream = Stream(seed, min(LONGEST, reached + finish))
        recovered = False

        def crash_point(step: str) -> None:
            if recovered and step == crash_at:
                os._exit(CRASHED)

        supervisor = Supervisor(
            settings,
            engine,
            [QUEUE],
            goal=Goal(until_caught_up=True),
            transport=_transport(settings, stream),
            crash_point=crash_point,
        )
        supervisor.start()
        while not supervisor.wait(TICK_SECONDS):
            if recovered:
                continue
            queue = supervisor.snapshot().queues[0]
            if queue.state is not QueueState.RECOVERING and queue.pages and queue.seq >= reached:
                recovered = True
                _say("recovered")
        for stopped in supervisor.stopped_queues.values():
            print(f"stopped: {stopped}", file=sys.stderr)
            return 1
    return 0


def _transport(settings: Settings, stream: Stream) -> Callable[[], SimulatorTransport]:
    def make() -> SimulatorTransport:
        api = SimulatedApi(
            SystemClock(),
            stream,
            client_id=settings.oauth_client_id,
            client_secret=settings.client_secret(),
            policy=Policy("under-fire", {"Ip": [LIMIT]}),
        )
        return SimulatorTransport(api)

    return make


def _end_with_parent() -> None:
    """Nobody waits for the harvest of a proof that was broken off."""
    os.read(0, 1)
    os._exit(ORPHANED)


def _say(phase: str) -> None:
    print(phase, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.child")
    parser.add_argument("directory", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--finish", type=int)
    parser.add_argument("--crash-at", default="")
    options = parser.parse_args()
    if options.prepare:
        prepare(options.directory)
        return 0
    return harvest(options.directory, options.seed, options.finish, options.crash_at)


if __name__ == "__main__":
    sys.exit(main())
