"""`poe-ledger --headless rebuild silver`: derive silver anew from the pages that bronze holds."""

from __future__ import annotations

import contextlib
import json as json_format
import time
from collections.abc import Iterator
from typing import TextIO

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from harvester.clock import SystemClock
from harvester.commands.bar_or_lines import BarOrLines
from harvester.commands.exit_codes import DONE, FAILED, INTERRUPTED, SCHEMA_NOT_READY
from harvester.commands.hints import HEADLESS, nothing_yet
from harvester.commands.output import duration, print_table, say
from harvester.commands.signals import leaving_on_signals
from harvester.commands.store_access import engine_of, say_store_error, unusable_spool
from harvester.feeds.currency_exchange import FEED_NAME as CURRENCY_EXCHANGE
from harvester.feeds.currency_exchange import HISTORY_FEED
from harvester.feeds.public_stash import FEED_NAME
from harvester.model import Queue
from harvester.settings import FEED_REALMS, Settings
from harvester.store import migrations
from harvester.store.currency_rebuild import CurrencyRebuild, CurrencyRebuildResult
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.lease import Lease, LeaseTaken
from harvester.store.migration_status import is_unborn
from harvester.store.migrations import MigrationError
from harvester.store.queue_lease import QueueLease
from harvester.store.rebuild import RebuildEnd, RebuildProgress, RebuildRefused, RebuildResult, SilverRebuild
from harvester.store.schema_files import SchemaFilesMissingError, migrations_directory
from harvester.store.spool import Spool

_STOP_FIRST = (
    "End that process first (its app with q; to stop the harvest there is not enough): "
    "silver cannot be rebuilt beside it."
)


def run_rebuild(settings: Settings, *, json: bool, out: TextIO, err: TextIO, command: str = HEADLESS) -> int:
    """Derive silver anew for the realms of the settings; returns the exit code.

    What was derived goes to `out` (with `json` as one object), progress to `err`.
    """
    realms = list(settings.realms)
    engine = engine_of(settings)
    try:
        blocked = _not_ready(engine, err, command)
        if blocked is not None:
            return blocked
        with _leases(settings, engine):
            return _rebuild(engine, settings, realms, json=json, out=out, err=err)
    except LeaseTaken as error:
        say(err, f"{error} {_STOP_FIRST}")
    except OSError as error:
        say(err, unusable_spool(settings, error))
    except RebuildRefused as error:
        say(err, str(error))
    except StoreError as error:
        say_store_error(err, error, if_leased=_STOP_FIRST)
    return FAILED


def _rebuild(engine: Engine, settings: Settings, realms: list[str], *, json: bool, out: TextIO, err: TextIO) -> int:
    rebuild = SilverRebuild(engine, [realm for realm in realms if realm in FEED_REALMS[FEED_NAME]])
    exchange = CurrencyRebuildResult(RebuildEnd.NOTHING_TO_DO, 0, 0, 0)
    with leaving_on_signals(lambda: say(err, "Stopping behind the page in hand …")) as leave:
        with _Display(err) as display:
            result = rebuild.run(
                display.show,
                lambda: leave.asked,
                raw_days=settings.raw_retention_days,
                silver_days=settings.silver_retention_days,
            )
        if result.end is not RebuildEnd.STOPPED:
            with _Display(err) as display:
                exchange = CurrencyRebuild(engine, realms).run(display.show, lambda: leave.asked)
        if result.end is RebuildEnd.STOPPED and leave.exit_code == INTERRUPTED:
            rebuild.discard()
    if RebuildEnd.STOPPED in (result.end, exchange.end):
        whose = "silver" if result.end is RebuildEnd.STOPPED else "silver of the currency exchange"
        if leave.exit_code == INTERRUPTED:
            say(err, f"Interrupted: {whose} is as it was.")
            return INTERRUPTED
        say(err, f"Stopped: {whose} is as it was. The same command goes on where this one was.")
        return FAILED
    _report(result, exchange, json=json, out=out)
    if result.end is exchange.end is RebuildEnd.NOTHING_TO_DO:
        say(
            err,
            f"Nothing to rebuild: bronze does not hold the newest pages of {', '.join(realms)}. Silver is as it was.",
        )
    else:
        say(err, f"Silver of {', '.join(realms)} is derived anew in {engine.url}, database {engine.database}.")
    return DONE


def _not_ready(engine: Engine, err: TextIO, command: str) -> int | None:
    """An exit code where the store lacks what a rebuild needs."""
    if is_unborn(engine):
        say(err, f"There is no store yet: {nothing_yet(command)}")
        return FAILED
    try:
        status = migrations.status(engine, migrations.load_migrations(migrations_directory()))
    except (MigrationError, SchemaFilesMissingError) as error:
        say(err, str(error))
        return SCHEMA_NOT_READY
    if status.untouched:
        say(err, f"The store is empty: {nothing_yet(command)}")
        return FAILED
    blocking = [
        entry.migration.name
        for entry in status.entries
        if entry.migration is not None
        and entry.migration.needed_by_harvest
        and entry.state not in (migrations.MigrationState.APPLIED, migrations.MigrationState.EDITED)
    ]
    if blocking:
        say(err, f"The schema is not as this release needs it: {', '.join(blocking)}. Nothing was changed.")
        say(err, f"See:  {command} migrate --status")
        return SCHEMA_NOT_READY
    return None


@contextlib.contextmanager
def _leases(settings: Settings, engine: Engine) -> Iterator[None]:
    """Hold the queues of every realm: the swap replaces the tables of all of them."""
    feeds = {**FEED_REALMS, HISTORY_FEED: FEED_REALMS[CURRENCY_EXCHANGE]}
    with contextlib.ExitStack() as stack:
        for queue in (Queue(feed, realm) for feed, realms in feeds.items() for realm in realms):
            lease = Lease(Spool(settings.spool_dir, queue).directory, queue.key)
            stack.callback(lease.release)
            on_server = QueueLease(engine, queue, SystemClock())
            stack.callback(on_server.release)
            on_server.take()
        yield


def _report(result: RebuildResult, exchange: CurrencyRebuildResult, *, json: bool, out: TextIO) -> None:
    if json:
        realms = [
            {
                "realm": cover.realm,
                "first_seq": cover.first,
                "last_seq": cover.last,
                "pages": cover.pages,
                "records": result.records.get(cover.realm, 0),
            }
            for cover in result.covers
        ]
        answer = {
            "end": result.end.value,
            "realms": realms,
            "set_aside": result.set_aside,
            "exchange": {
                "end": exchange.end.value,
                "hours": exchange.hours,
                "markets": exchange.markets,
                "set_aside": exchange.set_aside,
            },
        }
        say(out, json_format.dumps(answer))
        return
    rows = [
        [
            cover.realm,
            f"{cover.pages:,}",
            f"{cover.first:,}",
            f"{cover.last:,}",
            f"{result.records.get(cover.realm, 0):,}",
        ]
        for cover in result.covers
    ]
    if rows:
        print_table(out, ["realm", "pages", "from page", "to page", "records"], rows)
    if exchange.end is RebuildEnd.DONE:
        say(out, f"currency exchange: {exchange.hours:,} hours, {exchange.markets:,} markets")


class _Display(BarOrLines):
    """Pages derived, realm by realm."""

    def __init__(self, err: TextIO) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
        )
        super().__init__(err, *columns, task="silver", rate="")
        self._began = time.monotonic()
        self._first_done: int | None = None

    def show(self, progress: RebuildProgress) -> None:
        if not progress.realm:
            self.say(f"{progress.step[:1].upper()}{progress.step[1:]} …")
            return
        if self._first_done is None:
            self._first_done, self._began = progress.pages_done - 1, time.monotonic()
        spent = max(0.001, time.monotonic() - self._began)
        rate = (progress.pages_done - self._first_done) / spent
        if self.update(
            f"silver {progress.realm}", progress.pages_done, progress.pages_total, rate=f"{rate:.1f} pages/s"
        ):
            left = (progress.pages_total - progress.pages_done) / rate
            done = f"{progress.pages_done:,} of {progress.pages_total:,} pages"
            self.say(f"{progress.realm}: {done}, {rate:.1f} pages/s, {duration(left)} left")
