"""What the children of the enumeration do: bring one page from its answer to the checkpoint, recover, be judged.

A store of the enumeration lies in one directory: `data`, `cursors`, and in it `spool`, as an operator has it. The
path of a page is the product's own `ClickHouseQueueStore`, in place instead of on threads, so that the order of its
file operations is the same in each run. The tables of these stores are never merged (`_without_merges`): a merge would
come at any time and shift the count. Merges under fire are a matter of `tests.soak.kill9`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from harvester.clock import VirtualClock
from harvester.model import Page, Queue, SpooledPage
from harvester.offload import InPlace
from harvester.queue_store import ClickHouseQueueStore, Opened
from harvester.simulator.river import RiverPage
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PublicStashLayers
from harvester.store.spool import Spool
from tests.schema_template import migrate
from tests.soak.preload import Watch
from tests.soak.proof import examine, truth_of
from tests.soak.single_files import read_files, write_files
from tests.soak.stream import Stream
from tests.store_bench import START, contents

QUEUE = Queue("psapi", "pc")
PAGE = 3
"""The page whose commit is enumerated. In this stream it takes every step there is; `commit` tells which it took."""
_SEED = 3


@cache
def published() -> list[RiverPage]:
    """The stream as far as it is needed; asked for by the parent of the children, so that each has it at once."""
    return truth_of(Stream(_SEED), PAGE + 1)


class _Harvest:
    """A queue's way into the store of one directory."""

    def __init__(self, directory: str) -> None:
        root = Path(directory)
        self.steps: list[str] = []
        self.engine = Engine(f"chdb://{root / 'data'}", "poe_trade")
        self.spool = Spool(root / "cursors" / "spool", QUEUE)
        self.cursor_file = CursorFile(root / "cursors", QUEUE)
        self._store = ClickHouseQueueStore(
            self.engine,
            QUEUE,
            lambda handle, crash_point: PublicStashLayers(handle, QUEUE.realm, crash_point=crash_point),
            self.spool,
            self.cursor_file,
            VirtualClock(START + 86_400),
            spool_thread=InPlace(),
            store_thread=InPlace(),
            warn=_warned,
            crash_point=self.steps.append,
        )

    async def open(self) -> Opened:
        """Compare spool and store, as at every start."""
        return await self._store.open()

    async def to_page(self, last: int, opened: Opened) -> None:
        """Harvest on from where the store stands until page `last` is committed."""
        standing = opened.standing
        assert standing.discarded == (), "a page of ours was taken for a foreign one"
        assert standing.damaged == (), "a page of ours was torn"
        expected = published()[standing.next_seq - 2].next_change_id if standing.next_seq > 1 else None
        assert standing.cursor == expected, f"page {standing.next_seq} would be asked with {standing.cursor!r}"
        for seq in standing.to_commit:
            await self._store.commit(seq)
        for seq in range(standing.next_seq, last + 1):
            page = published()[seq - 1]
            await self._store.put(
                SpooledPage(seq, Page(QUEUE, page.change_id, page.next_change_id, START + seq, page.body))
            )
            await self._store.commit(seq)


def prepare(directory: str) -> None:
    """A store with the pages before the one to be enumerated."""
    harvest = _Harvest(directory)
    harvest.engine.create_database()
    migrate(harvest.engine)
    _without_merges(harvest.engine)

    async def work() -> None:
        await harvest.to_page(PAGE - 1, await harvest.open())

    asyncio.run(work())


def commit(directory: str, die_before: int = 0, log: str | None = None) -> dict[str, Any]:
    """Bring the page from its answer into the store and count, from the spool on, what that changes on disk."""
    harvest, watch = _Harvest(directory), Watch()

    async def work() -> int:
        opened = await harvest.open()
        watch.begin(Path(directory), die_before, Path(log) if log else None)
        await harvest.to_page(PAGE, opened)
        return watch.end()

    return {"count": asyncio.run(work()), "steps": harvest.steps}


def recover(directory: str, die_before: int = 0, pages_more: int = 0) -> dict[str, Any]:
    """Start again until the page is committed and count, from the opening on, what that changes on disk.

    Whoever survives harvests so many pages more and tells what the store holds then: equal for equal stores.
    """
    harvest, watch = _Harvest(directory), Watch()

    async def work() -> dict[str, Any]:
        watch.begin(Path(directory), die_before, None)
        opened = await harvest.open()
        await harvest.to_page(PAGE, opened)
        count = watch.end()
        if die_before:
            return {"count": count}
        with harvest.engine.open(writes=False) as handle:  # the engine stops with its last handle
            if pages_more:
                await harvest.to_page(PAGE + pages_more, await harvest.open())
            return {"count": count, "held": _held(harvest, handle)}

    return asyncio.run(work())


def examine_undisturbed(directory: str) -> list[str]:
    """What is wrong with a store that nobody killed: by the stream, a twin, and an independent reading of its JSON."""
    harvest = _Harvest(directory)
    with harvest.engine.open(writes=False):
        findings = examine(harvest.engine, harvest.spool, published(), Path(directory).parent / "scratch")
    return [*findings.wrong, *([] if findings.good else ["it was not found to be good"])]


def _held(harvest: _Harvest, handle: Handle) -> dict[str, str]:
    """A checksum of every table and view, of the names in the spool, and of the cursor file."""
    held: dict[str, list[Any]] = contents(handle)
    held |= {view: _rows(handle, view) for view in ("v_stashes_current", "v_listings_current")}
    held["spool"] = sorted(path.name for path in harvest.spool.directory.iterdir())
    saved = harvest.cursor_file.read()
    held["cursor file"] = [saved.cursor if saved else None]
    return {name: hashlib.sha256(repr(rows).encode()).hexdigest() for name, rows in held.items()}


def _rows(handle: Handle, view: str) -> list[Any]:
    return sorted(handle.rows(f"SELECT * FROM {view}", as_bytes=True), key=repr)


def _without_merges(engine: Engine) -> None:
    """By a setting of the tables: nothing else holds from the moment at which the next process opens them."""
    with engine.open() as handle:
        tables = handle.rows(
            "SELECT name FROM system.tables WHERE database = {database:String} AND engine LIKE '%MergeTree'",
            {"database": engine.database},
        )
        for (table,) in tables:
            handle.run(
                f"ALTER TABLE {table} MODIFY SETTING"
                " max_bytes_to_merge_at_max_space_in_pool = 1, max_bytes_to_merge_at_min_space_in_pool = 1"
            )


def _warned(text: str) -> None:
    raise AssertionError(text)


JOBS: dict[str, Callable[..., Any]] = {
    job.__name__: job for job in (prepare, commit, recover, examine_undisturbed, write_files, read_files)
}
