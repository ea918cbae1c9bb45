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

from benchmarks.market import Market
from harvester.clock import SystemClock
from harvester.model import Page, Queue, SpooledPage
from harvester.store import migrations
from harvester.store.commit import Committer
from harvester.store.engine import Engine, Handle
from harvester.store.public_stash_layers import PublicStashLayers
from harvester.store.schema_files import migrations_directory
from harvester.store.spool import Spool

QUEUE = Queue("psapi", "pc")

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
        engine = Engine(f"chdb://{directory}/clickhouse", "poe_trade")
        migrations.apply(engine, migrations.load_migrations(migrations_directory()))
        self.handle: Handle = engine.open()
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

    Ctrl-C ends the pages early; the views are timed all the same.
    """
    market = Market(50_000, 20)
    with fresh_store() as store:
        print(f"{'page':>7} {'median':>9} {'p99':>9} {'CPU':>9} {'RSS':>9} {'listings':>11} {'on disk':>9}")
        window: list[float] = []
        cpu = 0.0
        stop = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        for number in range(1, pages + 1):
            if stop.is_set():
                break
            took, used = store.commit(market.page(25))
            window.append(took)
            cpu += used
            if number == 100 or number % max(1, pages // 40) == 0:
                window.sort()
                listings = store.handle.value("SELECT count() FROM v_listings_current")
                disk = store.handle.value("SELECT sum(bytes_on_disk) FROM system.parts WHERE active")
                print(
                    f"{number:>7,} {window[len(window) // 2] * 1000:>6.0f} ms {window[int(len(window) * 0.99)] * 1000:>6.0f} ms "
                    f"{cpu / len(window) * 1000:>6.0f} ms {_rss() / 1e6:>6.0f} MB {listings:>11,} {disk / 1e6:>6.0f} MB",
                    flush=True,
                )
                window, cpu = [], 0.0
        print()
        for title, sql in VIEW_QUERIES.items():
            times = []
            for _ in range(7):
                started = time.perf_counter()
                store.handle.rows(sql)
                times.append(time.perf_counter() - started)
            times.sort()
            print(f"{title:<24} median {times[3] * 1000:.0f} ms   worst {times[-1] * 1000:.0f} ms")


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _rss() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
