"""What a page costs: from its last byte until it can be queried, by page size, and page after page."""

from __future__ import annotations

import resource
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.market import Market, river
from harvester.clock import SystemClock
from harvester.model import Page, Queue, SpooledPage
from harvester.store import migrations
from harvester.store.commit import Committer
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.public_stash_layers import PublicStashLayers
from harvester.store.schema_files import migrations_directory
from harvester.store.spool import Spool
from harvester.store.upkeep import Upkeep

QUEUE = Queue("psapi", "pc")
PAGES_A_SECOND = 2
"""What the API's limit allows."""
_PARTS = "SELECT count() FROM system.parts WHERE active AND database = currentDatabase()"
_DISK = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
_LISTINGS = "SELECT count() FROM v_listings_current"

VIEW_QUERIES = {
    "count of listings": "SELECT count() FROM v_listings_current",
    "median price per type": "SELECT type_line, quantile(0.5)(price_amount / price_lot), count() FROM v_listings_current"
    " WHERE price_currency = 'chaos' GROUP BY type_line ORDER BY count() DESC LIMIT 20",
    "cheapest of a type": "SELECT price_amount, account, last_seen FROM v_listings_current"
    " WHERE type_line = 'Thing 7' ORDER BY price_amount LIMIT 20",
    "stashes by league": "SELECT league, count(), max(last_seen) FROM v_stashes_current GROUP BY league",
}


class Store:
    """A fresh embedded store, and pages committed to it one by one."""

    def __init__(self, directory: Path) -> None:
        self.engine = Engine(f"chdb://{directory}/clickhouse", "poe_trade")
        migrations.apply(self.engine, migrations.load_migrations(migrations_directory()))
        self.handle: Handle = self.engine.open()
        self.spool = Spool(directory / "spool", QUEUE)
        self.committer = Committer(
            self.handle, QUEUE, PublicStashLayers(self.handle, QUEUE.realm), self.spool, SystemClock()
        )
        self.seq = 0

    def commit(self, body: bytes) -> tuple[float, float]:
        """Seconds from the last byte until it can be queried, and CPU seconds of this process."""
        self.seq += 1
        page = Page(QUEUE, str(self.seq - 1), str(self.seq), time.time(), body)
        cpu, started = _cpu(), time.perf_counter()
        self.spool.put(SpooledPage(self.seq, page))
        self.committer.commit(self.seq)
        return time.perf_counter() - started, _cpu() - cpu


@contextmanager
def fresh_store() -> Iterator[Store]:
    """A store in a directory that goes with it."""
    directory = Path(tempfile.mkdtemp(prefix="poe-ledger-benchmark-"))
    store = Store(directory)
    try:
        yield store
    finally:
        store.handle.close()
        shutil.rmtree(directory, ignore_errors=True)


def latency_by_size(pages: int) -> None:
    """Latency and cost of pages of several sizes."""
    print(f"{'page':>10} {'items':>7} {'median':>9} {'p99':>9} {'CPU':>9} {'CPU-s/GB':>9}")
    for stashes in (3, 60, 200, 700):
        with fresh_store() as store:
            market = Market(20_000, 6)
            for _ in range(3):
                store.commit(market.page(stashes))
            times, cpu, size = [], 0.0, 0
            for _ in range(pages):
                body = market.page(stashes)
                took, used = store.commit(body)
                times.append(took)
                cpu += used
                size += len(body)
            times.sort()
            print(
                f"{size / pages / 1e6:>7.2f} MB {stashes * 6:>7,} {times[len(times) // 2] * 1000:>6.0f} ms "
                f"{times[int(len(times) * 0.99)] * 1000:>6.0f} ms {cpu / pages * 1000:>6.0f} ms {cpu / size * 1e9:>9.0f}"
            )


def page_after_page(pages: int) -> None:
    """Whether the cost of a page and memory stay flat, and how fast the views are over what has gathered.

    Every page brings five new tabs of twenty items and five known ones, as a river does; 10,000 pages end at a
    million listings. The upkeep of a harvest runs as often as it would at two pages a second. CPU and memory are
    those of the whole process, merges and upkeep included; another process makes the pages. Ctrl-C ends the pages early; the views
    are timed all the same.
    """
    points = sorted({point for point in (100, 500, 1000, *range(2000, pages + 1, 1000), pages) if point <= pages})
    with fresh_store() as store, river(5, 5, 20) as published:
        upkeep = Upkeep(store.engine, 0, 0)
        print(
            f"{'page':>7} {'median':>9} {'p99':>9} {'CPU/page':>9} {'RSS':>8} {'parts':>6} {'listings':>10} {'homes':>10} "
            f"{'on disk':>8} {'elapsed':>8}"
        )
        window: list[float] = []
        began, before = time.perf_counter(), _cpu()
        stop = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        for number, body in zip(range(1, pages + 1), published, strict=False):
            window.append(store.commit(body)[0])
            upkeep.when_due(number / PAGES_A_SECOND)
            if number in points or stop.is_set():
                cpu = _cpu() - before
                window.sort()
                print(
                    f"{number:>7,} {_at(window, 0.5):>6.0f} ms {_at(window, 0.99):>6.0f} ms {cpu / len(window) * 1000:>6.0f} ms "
                    f"{_rss() / 1e6:>5.0f} MB {store.handle.value(_PARTS):>6,} {store.handle.value(_LISTINGS):>10,} "
                    f"{store.handle.value('SELECT count() FROM silver_item_homes'):>10,} "
                    f"{store.handle.value(_DISK) / 1e6:>5.0f} MB {time.perf_counter() - began:>6.0f} s",
                    flush=True,
                )
                window, before = [], _cpu()
            if stop.is_set():
                break
        upkeep.close()
        print()
        for title, sql in VIEW_QUERIES.items():
            times, cpu = [], _cpu()
            for _ in range(15):
                started = time.perf_counter()
                store.handle.rows(sql)
                times.append(time.perf_counter() - started)
            cpu = (_cpu() - cpu) / len(times)
            times.sort()
            print(
                f"{title:<24} best {times[0] * 1000:.0f} ms   median {_at(times, 0.5):.0f} ms   "
                f"worst {times[-1] * 1000:.0f} ms   CPU {cpu * 1000:.0f} ms"
            )


def _at(ordered: list[float], share: float) -> float:
    """A quantile of ordered seconds, in milliseconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
