"""`poe-ledger --headless harvest`: the market flows into ClickHouse until it is told to stop."""

from __future__ import annotations

import json as json_format
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TextIO

import httpx

from harvester.commands.exit_codes import DONE, FAILED, MISUSED, SCHEMA_NOT_READY
from harvester.commands.harvest_display import Display, make_display
from harvester.commands.hints import HEADLESS
from harvester.commands.output import print_table, say
from harvester.commands.signals import leaving_on_signals
from harvester.commands.since import Plan, SinceRefused, parse_since, plan_since
from harvester.commands.store_access import engine_of, unusable_spool
from harvester.events import Event, Level
from harvester.feeds.registry import FEEDS, can_run
from harvester.model import Queue
from harvester.settings import Settings
from harvester.snapshot import QueueSnapshot, QueueState, Snapshot
from harvester.store.currency_names import NamesUnreadable, all_names
from harvester.store.cursor_file import CursorFileDamaged
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.lease import LeaseTaken
from harvester.store.migrations import MigrationError, MigrationProgress, ProgressPhase
from harvester.store.readiness import make_ready
from harvester.store.schema_files import SchemaFilesMissingError
from harvester.supervisor import Goal, Supervisor

TICK_SECONDS = 0.25
JUDGED_AFTER_PAGES = 3
"""Pages after which a league of which nothing came is told."""
LEAGUES_ARE_EXACT = "League names are exact, with capitals: market_harvester --dry-run lists those of a page."
NO_CLIENT = (
    "The public stash feed needs an OAuth client of your own: put POE_OAUTH_CLIENT_ID, POE_OAUTH_CLIENT_SECRET and "
    "POE_CONTACT into .env (see .env.example). Without one, harvest the currency exchange (POE_FEEDS=cxapi), or try "
    "the demo: poe-ledger --demo"
)
LEFT_OUT = (
    "The public stash feed is left out: it needs an OAuth client of your own, POE_OAUTH_CLIENT_ID, "
    "POE_OAUTH_CLIENT_SECRET and POE_CONTACT in .env (see .env.example). The currency exchange needs none."
)


@dataclass(frozen=True, slots=True)
class HarvestOptions:
    """How a harvest is run, beside the settings."""

    goal: Goal = field(default_factory=Goal)
    json: bool = False
    since: str = ""
    """From when on the hours of the currency exchange are wanted, as the operator wrote it; empty for the default."""
    leave_newest_migration: bool = False
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None
    """Makes what requests travel on; None is the network."""
    command: str = HEADLESS
    """What stands before the name of a command in hints."""


def run_harvest(settings: Settings, options: HarvestOptions, *, out: TextIO, err: TextIO) -> int:
    """Harvest until the goal is met or a signal comes; returns the exit code.

    What was harvested goes to `out` (with `json` as one object), progress and events to `err`.
    """
    queues = _queues(settings, err)
    if not queues:
        return MISUSED
    engine = engine_of(settings)
    try:
        all_names(settings.currency_names)
        since = parse_since(options.since, time.time()) if options.since else None
        blocked = _prepare(engine, options, err)
        if blocked is not None:
            return blocked
        plan = Plan() if since is None else plan_since(since, settings, engine, queues)
    except (NamesUnreadable, SinceRefused, CursorFileDamaged) as error:
        say(err, str(error))
        return MISUSED
    except StoreError as error:
        say(err, f"{error} {error.hint}".strip())
        return FAILED
    for remark in plan.remarks:
        say(err, remark)
    queues += plan.more_queues
    supervisor = Supervisor(
        settings,
        engine,
        queues,
        goal=options.goal,
        fills=plan.fills,
        transport=options.transport,
        demo=options.transport is not None,
    )
    display = make_display(err, supervisor.snapshot, supervisor.events, options.goal, settings.log_format)
    with leaving_on_signals(supervisor.stop) as leave:
        try:
            supervisor.start()
        except LeaseTaken as error:
            say(err, f"{error} Stop it first, or harvest other realms here.")
            return FAILED
        except OSError as error:
            say(err, unusable_spool(settings, error))
            return FAILED
        failure = _watch(supervisor, display, settings.leagues)
    snapshot = supervisor.snapshot()
    _report(snapshot.queues, settings, options, out, err)
    unseen = _unseen_leagues(snapshot, settings.leagues)
    if unseen:
        say(err, f"Warning: {unseen} {LEAGUES_ARE_EXACT}")
    if failure is not None:
        say(err, f"The harvest broke off: {failure}")
        return FAILED
    if leave.asked:
        return leave.exit_code
    stopped = supervisor.stopped_queues.values()
    if any(queue.misconfigured for queue in stopped):
        return MISUSED  # a service manager must not start this again: failures count toward a ban
    return FAILED if stopped else DONE


def _queues(settings: Settings, err: TextIO) -> list[Queue]:
    """What can be harvested, the reason said where that is less than the settings name."""
    named = [queue for queue in settings.queues if queue.feed in FEEDS]
    queues = [queue for queue in named if can_run(settings, queue)]
    if not named:
        say(err, f"Nothing to harvest: POE_FEEDS and POE_REALMS leave no queue. Feeds: {', '.join(FEEDS)}.")
    elif len(queues) < len(named):
        say(err, LEFT_OUT if queues else NO_CLIENT)
    return queues


def _watch(supervisor: Supervisor, display: Display, leagues: Sequence[str]) -> Exception | None:
    to_judge = bool(leagues)
    with display:
        while True:
            try:
                if supervisor.wait(TICK_SECONDS):
                    return None
            except Exception as error:
                return error
            display.tick()
            if to_judge:
                snapshot = supervisor.snapshot()
                to_judge = _pages(snapshot) < JUDGED_AFTER_PAGES
                unseen = _unseen_leagues(snapshot, leagues)
                if unseen and not to_judge:
                    supervisor.events.add(Event(snapshot.taken_at, Level.WARNING, "", unseen, todo=LEAGUES_ARE_EXACT))


def _unseen_leagues(snapshot: Snapshot, leagues: Sequence[str]) -> str:
    """What to say where pages came and nothing of them was kept; empty where all is well."""
    pages = _pages(snapshot)
    if not leagues or not pages or any(queue.items for queue in snapshot.queues):
        return ""
    named = " or ".join(f"'{league}'" for league in leagues)
    return f"no item of league {named} came by in {pages:,} pages."


def _pages(snapshot: Snapshot) -> int:
    return sum(queue.pages for queue in snapshot.queues)


def _prepare(engine: Engine, options: HarvestOptions, err: TextIO) -> int | None:
    """The schema as the harvest needs it; an exit code where it is not."""

    def progress(step: MigrationProgress) -> None:
        if step.phase is ProgressPhase.RUNNING and step.statement.number == 1:
            say(err, f"Applying {step.migration.name} …")

    try:
        readiness = make_ready(engine, progress, leave_newest=options.leave_newest_migration)
    except (MigrationError, SchemaFilesMissingError) as error:
        say(err, str(error))
        return SCHEMA_NOT_READY
    except StoreError as error:
        say(err, f"{error} {error.hint}".strip())
        return FAILED
    if readiness.applied:
        say(err, f"A new store: {readiness.applied} migrations applied to {engine.url}, database {engine.database}.")
    if readiness.swap_cut_off:
        say(
            err,
            "A rebuild of silver was cut off while it put its tables in place; silver is mixed until it is finished.",
        )
        say(err, f"Finish it:  {options.command} rebuild silver")
        return SCHEMA_NOT_READY
    if readiness.blocking:
        say(err, f"The schema is behind: {', '.join(readiness.blocking)}. Nothing was changed.")
        say(err, f"See what it would do:  {options.command} migrate --dry-run")
        say(err, f"Apply it:              {options.command} migrate --apply")
        return SCHEMA_NOT_READY
    if readiness.waiting:
        waiting = ", ".join(readiness.waiting)
        say(err, f"Pending, not needed by the harvest: {waiting} ({options.command} migrate --apply).")
    if readiness.drifted:
        say(err, f"{readiness.drifted} migrations drifted: see {options.command} migrate --status")
    return None


def _report(
    queues: Iterable[QueueSnapshot], settings: Settings, options: HarvestOptions, out: TextIO, err: TextIO
) -> None:
    if options.json:
        answer = {
            "queues": [
                {
                    "queue": queue.queue_key,
                    "pages": queue.pages,
                    "stashes": queue.stashes,
                    "items": queue.items,
                    "cursor": queue.next_cursor,
                    "caught_up": queue.caught_up,
                }
                for queue in queues
            ]
        }
        say(out, json_format.dumps(answer))
    else:
        rows = [
            [
                queue.queue_key,
                f"{queue.pages:,}",
                f"{queue.stashes:,}",
                f"{queue.items:,}",
                f"{queue.page_bytes / 1e6:,.1f} MB",
                f"{queue.set_aside:,}",
                _ending(queue),
                queue.next_cursor,
            ]
            for queue in queues
        ]
        print_table(out, ["queue", "pages", "stashes", "items", "JSON", "set aside", "ended", "next cursor"], rows)
    say(err, f"Stored in {settings.clickhouse_url}, database {settings.clickhouse_database}.")


def _ending(queue: QueueSnapshot) -> str:
    if queue.state is QueueState.FAILED:
        return "failed"
    waiting = f", {queue.spool_pages} pages in the spool" if queue.spool_pages else ""
    return ("caught up" if queue.caught_up else "stopped") + waiting
