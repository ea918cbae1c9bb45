"""`poe-ledger --headless replay CURSOR`: shows what lies around a cursor, and goes on from it where that is safe.

Exit codes: 0 the harvest goes on from there, 1 it does not, 2 no such queue, 3 the schema is not ready.
"""

from __future__ import annotations

import json as json_format
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, TextIO

from harvester.clock import Clock, SystemClock
from harvester.commands.exit_codes import DONE, FAILED, MISUSED
from harvester.commands.hints import HEADLESS
from harvester.commands.output import print_table, printable, say
from harvester.commands.store_access import engine_of, say_store_error, unusable_spool
from harvester.feeds.registry import FEEDS
from harvester.model import Queue
from harvester.settings import Settings
from harvester.store.cursor_file import CursorFile, CursorFileDamaged
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.lease import Lease, LeaseTaken
from harvester.store.migration_status import is_unborn
from harvester.store.queue_lease import QueueLease
from harvester.store.replay import (
    Judgement,
    Neighbourhood,
    PageLine,
    Safety,
    go_on_from,
    judge,
    look_around,
    told_at,
)
from harvester.store.spool import DamagedPage, Spool

_STOP_FIRST = (
    "End that process first (its app with q; to stop the harvest there is not enough): nothing is moved under it."
)


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What was asked for."""

    queue: str
    cursor: str
    allow_gap: bool = False
    yes: bool = False
    json: bool = False
    command: str = HEADLESS
    """What stands before the name of a command in hints."""


def run_replay(
    settings: Settings,
    options: ReplayOptions,
    *,
    out: TextIO,
    err: TextIO,
    ask: Callable[[str], bool] | None = None,
    clock: Clock | None = None,
) -> int:
    """Show, judge, and where it is safe and confirmed, go on from the cursor; returns the exit code.

    `ask` puts a question to the operator; None where nobody is there to answer.
    """
    queue = _queue(settings, options.queue)
    if queue is None:
        known = ", ".join(queue.key for queue in settings.queues if queue.feed in FEEDS)
        missing = (
            f"There is no queue {options.queue!r} in these settings." if options.queue else "Say which, by --queue."
        )
        say(err, f"{missing} Queues: {known or 'none'}.")
        return MISUSED
    engine = engine_of(settings)
    lease: Lease | None = None
    try:
        spool = Spool(settings.spool_dir, queue)
        lease = Lease(spool.directory, queue.key)
        handle = _open(engine)
        on_server = QueueLease(engine, queue, SystemClock())
        try:
            if handle is not None:
                on_server.take()
            file = CursorFile(settings.cursor_dir, queue)
            around = look_around(handle, queue, options.cursor, spool, file)
            judgement = judge(around, options.cursor)
            code = _decide(judgement, options, queue, err, ask, around, out)
            if code is None:
                go_on_from(handle, queue, around, options.cursor, file, (clock or SystemClock()).now())
                say(err, f"{queue} goes on from {options.cursor} at the next start: {options.command} harvest")
                code = DONE
            return code
        finally:
            on_server.release()
            if handle is not None:
                handle.close()
    except LeaseTaken as error:
        say(err, f"{error} {_STOP_FIRST}")
    except StoreError as error:
        say_store_error(err, error, if_leased=_STOP_FIRST)
    except CursorFileDamaged as error:
        say(err, str(error))
    except DamagedPage as error:
        say(err, f"A spooled page is damaged: {error}. See: {options.command} doctor")
    except OSError as error:
        say(err, unusable_spool(settings, error))
    finally:
        if lease is not None:
            lease.release()
    return FAILED


def _queue(settings: Settings, key: str) -> Queue | None:
    queues = [queue for queue in settings.queues if queue.feed in FEEDS]
    if not key and len(queues) == 1:
        return queues[0]
    return next((queue for queue in queues if queue.key == key), None)


def _open(engine: Engine) -> Handle | None:
    """The store; None for one that does not exist yet."""
    if is_unborn(engine):
        return None
    try:
        return engine.open()
    except StoreError as error:
        if error.fault is StoreFault.NO_DATABASE:
            return None
        raise


def _decide(
    judgement: Judgement,
    options: ReplayOptions,
    queue: Queue,
    err: TextIO,
    ask: Callable[[str], bool] | None,
    around: Neighbourhood,
    out: TextIO,
) -> int | None:
    """Show what was found; an exit code where nothing is to be done, None to go ahead."""
    refused = judgement.safety is Safety.UNSAFE or (judgement.safety is Safety.GAP and not options.allow_gap)
    if options.json:
        say(out, json_format.dumps(_as_json(queue, options, around, judgement, refused=refused), indent=2))
    else:
        _show(queue, options.cursor, around, out)
    if judgement.safety is Safety.ALREADY:
        say(err, f"Nothing to do: {judgement.why}.")
        return DONE
    if refused:
        say(err, f"Refused: {printable(judgement.why)}.")
        say(err, judgement.todo)
        return FAILED
    say(err, f"{judgement.why[:1].upper()}{judgement.why[1:]}.")
    if options.yes:
        return None
    if ask is None:
        say(err, "Nothing was changed: nobody is there to answer. Say it again with --yes.")
        return FAILED
    if ask(f"Let {queue} go on from {options.cursor}?"):
        return None
    say(err, "Nothing was changed.")
    return FAILED


def _show(queue: Queue, cursor: str, around: Neighbourhood, out: TextIO) -> None:
    last = around.last
    if last is None:
        say(out, f"{queue}: the store has no page; the cursor file says {around.saved_cursor or 'nothing'}.")
    else:
        chain = "the chain holds" if not around.breaks else f"the chain breaks at {around.breaks} places"
        say(out, f"{queue}: {around.pages:,} pages, {around.first_seq:,} to {last.seq:,}, {chain}.")
        say(
            out,
            f"The harvest goes on from {last.next_cursor_id}; the cursor file says {around.saved_cursor or 'nothing'}.",
        )
    lines = [*around.lines, *around.spooled]
    if lines:
        rows = [_row(line, cursor) for line in lines]
        print_table(out, ["page", "asked with", "leads to", "fetched", "where", ""], rows)


def _row(line: PageLine, cursor: str) -> list[str]:
    where = {None: line.status, True: "stored", False: "checkpoint only: bronze has it no longer"}[line.in_bronze]
    remarks = [
        *([] if line.continues else ["the chain breaks before it"]),
        *(["asked with this cursor"] if line.asked_with == cursor else []),
        *(["leads to this cursor"] if line.leads_to == cursor else []),
    ]
    asked = line.asked_with or "no cursor: the start"
    return [f"{line.seq:,}", asked, line.leads_to, told_at(line.fetched_at), where, "; ".join(remarks)]


def _as_json(
    queue: Queue, options: ReplayOptions, around: Neighbourhood, judgement: Judgement, *, refused: bool
) -> dict[str, Any]:
    return {
        "queue": queue.key,
        "cursor": printable(options.cursor),
        "safety": judgement.safety.value,
        "refused": refused,
        "why": printable(judgement.why),
        "todo": judgement.todo,
        "pages": around.pages,
        "breaks": around.breaks,
        "goes_on_from": around.last.next_cursor_id if around.last else around.saved_cursor,
        "around": [asdict(line) for line in (*around.lines, *around.spooled)],
    }
