"""The harvest that is killed: a real supervisor over the simulated API, telling its phases on standard output.

`python -m tests.soak.child DIRECTORY SEED [--finish PAGES] [--crash-at STEP] [--server URL]`. It loads everything, says
`loaded` and waits for a line; then it opens the store and says `recovering`, and `recovered` once what it found in the
spool is committed. When its standard input closes, it ends. `--finish` lets the stream end PAGES behind what is there;
`--crash-at` ends the process on the spot, with exit code 66, when a commit after the recovery comes to that step.
`--server` harvests into a server instead of the embedded engine; its answers are awaited for a few seconds only.
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
from harvester.events import moment
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


SERVER_TIMEOUT = 3.0
"""Seconds after which an answer of the server is given up, and its outcome unknown."""


def settings_in(directory: Path, server: str = "") -> Settings:
    """The settings of the harvest whose data lies in `directory`, or in a database of `server`."""
    settings = demo_settings(directory, "http://127.0.0.1:9", environ={}, env_file=None)
    settings = settings.model_copy(update={"spool_max_bytes": SPOOL_BYTES})
    if not server:
        return settings
    hasty = {"rate_limit_backoff_base": 0.05, "rate_limit_backoff_max": 0.5, "clickhouse_timeout": SERVER_TIMEOUT}
    return settings.model_copy(update={**hasty, "clickhouse_url": server})


def prepare(directory: Path, server: str = "") -> Engine:
    """A migrated store in `directory`, or on `server`."""
    engine = engine_of(settings_in(directory, server))
    engine.create_database()
    migrations.apply(engine, migrations.load_migrations(migrations_directory()))
    return engine


def harvest(directory: Path, seed: int, finish: int | None, crash_at: str, server: str) -> int:
    """Harvest until killed or, with `finish`, until the stream ends; returns the exit code."""
    settings = settings_in(directory, server)
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
        told = 0.0
        while not supervisor.wait(TICK_SECONDS if not recovered else 0.1):
            snapshot = supervisor.snapshot()
            for event in snapshot.events:
                if event.at > told:
                    print(moment(event.at, event.at), event.line(), file=sys.stderr, flush=True)
            told = max([told, *(event.at for event in snapshot.events)])
            if recovered:
                continue
            queue = snapshot.queues[0]
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
    parser.add_argument("--server", default="")
    options = parser.parse_args()
    if options.prepare:
        prepare(options.directory, options.server)
        return 0
    return harvest(options.directory, options.seed, options.finish, options.crash_at, options.server)


if __name__ == "__main__":
    sys.exit(main())
