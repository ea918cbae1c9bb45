"""A queue's worker in virtual time: the real chain, pacer and client against the simulator, over a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from harvester.api.client import ApiClient
from harvester.api.exchange import open_http
from harvester.api.oauth import TokenSource
from harvester.api.pacer_book import PacerBook
from harvester.api.restrictions import RestrictionFile
from harvester.backoff import Backoff
from harvester.clock import VirtualClock, virtual_time
from harvester.events import EventLog
from harvester.feeds.base import Feed
from harvester.feeds.public_stash import PublicStashFeed
from harvester.model import Checkpoint, CheckpointStatus, Queue, RequestRecord, SpooledPage
from harvester.queue_store import Opened
from harvester.queue_worker import QueueWorker, WorkerPolicy
from harvester.simulator.answers import Latency
from harvester.simulator.api import CLIENT_ID, CLIENT_SECRET, SimulatedApi
from harvester.simulator.edge_guard import EdgeGuard
from harvester.simulator.endpoints import Endpoint
from harvester.simulator.faults import Faults
from harvester.simulator.river import River
from harvester.simulator.rules import Policy
from harvester.simulator.transport import SimulatorTransport
from harvester.store.commit import Standing
from harvester.store.public_stash_layers import PageCounts
from harvester.telemetry import QueueMeter

QUEUE = Queue("psapi", "pc")
BASE = "https://api.example"


@dataclass
class MemoryStore:
    """A `QueueStore` that keeps pages in lists; `fail_commit` and `fail_put` are asked before each try."""

    clock: VirtualClock
    commit_seconds: float = 0.0
    put_seconds: Callable[[], float] = lambda: 0.0
    fail_after_commit: Callable[[int], Exception | None] = lambda _seq: None
    fail_give_up: Callable[[int], Exception | None] = lambda _seq: None
    tear: Callable[[int], bool] = lambda _seq: False
    """Whether a try to spool leaves a torn draft behind and fails."""
    drafts: int = 0
    opened: int = 0
    fail_commit: Callable[[int], Exception | None] = lambda _seq: None
    fail_put: Callable[[int], Exception | None] = lambda _seq: None
    fail_open: Callable[[], Exception | None] = lambda: None
    standing: Standing = field(default_factory=lambda: Standing(None, 1, (), ()))
    saved_cursor: str | None = None
    refused_before: tuple[float, ...] = ()
    spooled: dict[int, SpooledPage] = field(default_factory=dict)
    fail_end: Callable[[], Exception | None] = lambda: None
    committed: list[SpooledPage] = field(default_factory=list)
    given_up: list[int] = field(default_factory=list)
    set_aside: list[SpooledPage] = field(default_factory=list)
    ends: list[tuple[float, int, str]] = field(default_factory=list)
    closed: bool = False
    spool_directory: Path = Path("/spool/psapi_pc")

    @property
    def spool_pages(self) -> int:
        return len(self.spooled)

    @property
    def spool_bytes(self) -> int:
        return sum(len(spooled.page.body) for spooled in self.spooled.values())

    async def open(self) -> Opened:
        if error := self.fail_open():
            raise error
        self.opened += 1
        if self.opened > 1:
            self.standing = self._stand()
        return Opened(self.standing, None, self.saved_cursor, self.refused_before)

    def _stand(self) -> Standing:
        """As the spool and the store say after a restart."""
        last = max((s for s in (*self.committed, *self.set_aside)), key=lambda s: s.seq, default=None)
        cursor = last.page.next_change_id if last else self.standing.cursor
        seq = last.seq if last else self.standing.next_seq - 1
        self.spooled = {n: s for n, s in self.spooled.items() if n > seq}
        waiting = tuple(sorted(self.spooled))
        assert waiting == tuple(range(seq + 1, seq + 1 + len(waiting)))
        if waiting:
            seq, cursor = waiting[-1], self.spooled[waiting[-1]].page.next_change_id
        return Standing(cursor, seq + 1, waiting, ())

    async def put(self, spooled: SpooledPage) -> None:
        if error := self.fail_put(spooled.seq):
            raise error
        await self.clock.sleep(self.put_seconds())
        if self.tear(spooled.seq):
            self.drafts += 1
            raise OSError(5, "Input/output error")
        assert spooled.seq not in self.spooled
        self.spooled[spooled.seq] = spooled

    async def knows(self, cursor: str) -> bool:
        pages = (*self.committed, *self.set_aside, *self.spooled.values())
        return any(spooled.page.change_id == cursor for spooled in pages)

    async def commit(self, seq: int) -> tuple[Checkpoint, PageCounts]:
        await self.clock.sleep(self.commit_seconds)
        if error := self.fail_commit(seq):
            raise error
        known = [spooled for spooled in self.committed if spooled.seq == seq]
        if known:  # the presence check after a try whose outcome was unknown
            self.spooled.pop(seq, None)
            return self._checkpoint(known[0], CheckpointStatus.PAGE), PageCounts(1, 1, 0, len(known[0].page.body))
        spooled = self.spooled[seq]
        self.committed.append(spooled)
        if error := self.fail_after_commit(seq):
            raise error
        del self.spooled[seq]
        return self._checkpoint(spooled, CheckpointStatus.PAGE), PageCounts(1, 1, 0, len(spooled.page.body))

    async def give_up(self, seq: int, reason: str) -> Checkpoint:
        if error := self.fail_give_up(seq):
            raise error
        spooled = self.spooled.pop(seq)
        self.given_up.append(seq)
        self.set_aside.append(spooled)
        return self._checkpoint(spooled, CheckpointStatus.DEAD_LETTER)

    async def confirm_end(self, seq: int, cursor: str, *, http_status: int, response_ms: float) -> None:
        if error := self.fail_end():
            raise error
        self.ends.append((self.clock.now(), seq, cursor))

    async def beside(self, work: Callable[[], bytes]) -> bytes:
        return work()

    async def close(self) -> None:
        self.closed = True

    def _checkpoint(self, spooled: SpooledPage, status: CheckpointStatus) -> Checkpoint:
        page = spooled.page
        return Checkpoint(
            QUEUE.key, spooled.seq, page.change_id, page.next_change_id, page.fetched_at, status, 200, 1.0
        )


class Bench:
    """Everything around one worker. `run` plays until the worker ends or `seconds` have passed."""

    START = VirtualClock().now()

    def __init__(
        self,
        *,
        pages: int | None = 20,
        river: River | None = None,
        faults: Faults | None = None,
        latency: Latency | None = None,
        policy: WorkerPolicy | None = None,
        spool_bytes: float = float("inf"),
        guard: EdgeGuard | None = None,
        rules: Policy | None = None,
        memory: Path | None = None,
        max_body: int = 64 << 20,
        queue: Queue = QUEUE,
        feed: Feed | None = None,
        endpoints: Sequence[Endpoint] = (),
        **store: object,
    ) -> None:
        """`queue` and `feed` are those of the public stashes unless given; `endpoints` are more of the API."""
        self.clock = VirtualClock()
        self.queue = queue
        self.feed = feed or PublicStashFeed(BASE)
        self.river = river or River(
            7, "pc", self.clock.now(), pages=pages, stashes_per_page=3, items_per_stash=1.0, empty_pages=0.0
        )
        self.api = SimulatedApi(
            self.clock,
            self.river,
            faults=faults,
            guard=guard,
            policy=rules,
            latency=latency or Latency(upstream=(0.05, 0.05), thinking=(0.25, 0.25)),
            endpoints=endpoints,
        )
        self.store = MemoryStore(self.clock, **store)  # type: ignore[arg-type]
        self.records: list[RequestRecord] = []
        self.events = EventLog()
        self.meter = QueueMeter(queue)
        self.policy = policy or policy_until_caught_up()
        self.spool_bytes = spool_bytes
        self.memory = memory
        self.max_body = max_body
        self.worker: QueueWorker | None = None
        self.book: PacerBook | None = None

    def finish(self) -> None:
        """End a run with a time limit now, as if the limit were reached; call from within."""
        self._finished.set()

    def run(self, seconds: float | None = None, beside: Callable[[Bench], object] | None = None) -> None:
        virtual_time(self._main(seconds, beside), self.clock)

    async def _main(self, seconds: float | None, beside: Callable[[Bench], object] | None) -> None:
        self._finished = asyncio.Event()
        http = open_http("OAuth demo/1 (contact: a@b)", 30.0, SimulatorTransport(self.api))
        self.book = book = PacerBook(self.clock, RestrictionFile(self.memory) if self.memory else None)
        tokens = TokenSource(
            http,
            book,
            self.clock,
            self.records.append,
            auth_base_url=f"{BASE}/oauth",
            client_id=CLIENT_ID,
            client_secret=lambda: CLIENT_SECRET,
        )
        client = ApiClient(
            http,
            book,
            self.clock,
            self.records.append,
            api_base_url=BASE,
            request_timeout=30.0,
            tokens=tokens,
            max_body=self.max_body,
        )
        self.worker = QueueWorker(
            self.queue,
            self.feed,
            client,
            self.store,
            self.policy,
            clock=self.clock,
            random=Random(1),
            meter=self.meter,
            events=self.events,
            spool_has_room=lambda: self.store.spool_bytes < self.spool_bytes,
        )
        work = asyncio.create_task(self.worker.run())
        companion = asyncio.create_task(beside(self)) if beside else None  # type: ignore[arg-type]
        try:
            if seconds is None:
                async with asyncio.timeout(6 * 3600):
                    await work
            else:
                over = asyncio.create_task(self._finished.wait())
                await asyncio.wait({work, over}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                over.cancel()
                if not work.done():
                    work.cancel()
                await asyncio.gather(work, return_exceptions=True)
                if not work.cancelled() and (error := work.exception()):
                    raise error
        finally:
            if companion:
                companion.cancel()
            await http.aclose()

    # What came of it

    @property
    def expected_chain(self) -> list[tuple[str, str, bytes]]:
        pages = self.river.walk(self.clock.now())
        return [(page.change_id, page.next_change_id, page.body) for page in pages if not page.at_end]

    @property
    def committed_chain(self) -> list[tuple[str, str, bytes]]:
        return [(s.page.change_id, s.page.next_change_id, s.page.body) for s in self.store.committed]

    @property
    def stash_requests(self) -> list[RequestRecord]:
        return [record for record in self.records if "public-stash" in record.endpoint]

    def said(self) -> str:
        return "\n".join(event.line() for event in self.events.tail(1000))


def policy_until_caught_up(**changes: object) -> WorkerPolicy:
    values: dict[str, object] = {
        "backoff": Backoff(1.0, 30.0, 0.5),
        "show_trouble_after": 3,
        "poll_interval": 10.0,
        "until_caught_up": True,
        **changes,
    }
    return WorkerPolicy(**values)  # type: ignore[arg-type]
