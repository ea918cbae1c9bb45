"""Two harvesters and one server: one works, the other waits; who was away too long looks before it writes."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harvester.clock import SystemClock, VirtualClock
from harvester.commands.rebuild import run_rebuild
from harvester.commands.replay import ReplayOptions, run_replay
from harvester.model import Checkpoint, CheckpointStatus, Page, Queue, SpooledPage
from harvester.offload import InPlace
from harvester.queue_store import ClickHouseQueueStore
from harvester.settings import load_settings
from harvester.store.checkpoints import write_checkpoint
from harvester.store.crash_points import CrashPoint, no_crash
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.layer_registry import make_layers
from harvester.store.queue_lease import LEASE_TABLE, QueueLease, holder_of_queue
from harvester.store.row_lease import LEASE_SECONDS, LeaseLostError, RowLease
from harvester.store.spool import Spool
from tests.http_front.process import ServerProcess
from tests.schema_template import migrate
from tests.store_bench import START, page_of, stash

QUEUE = Queue("psapi", "pc")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with ServerProcess(tmp_path_factory.mktemp("server") / "data") as server:
        engine = Engine(server.url, "leases", pause=lambda _: None)
        engine.create_database()
        migrate(engine)
        yield engine


def harvester(
    engine: Engine, directory: Path, clock: VirtualClock, crash_point: CrashPoint = no_crash
) -> ClickHouseQueueStore:
    """The store of one harvester, with a spool of its own, as on a machine of its own."""
    return ClickHouseQueueStore(
        engine,
        QUEUE,
        lambda handle, crash_point: make_layers(QUEUE, handle, (), crash_point),
        Spool(directory / "spool", QUEUE),
        CursorFile(directory / "cursors", QUEUE),
        clock,
        spool_thread=InPlace(),
        store_thread=InPlace(),
        crash_point=crash_point,
        warn=lambda _: None,
    )


def spooled(seq: int, directory_of: str) -> SpooledPage:
    body = page_of([stash(f"{directory_of}{seq}")], f"{seq + 1}-1")
    return SpooledPage(seq, Page(QUEUE, f"{seq}-1", f"{seq + 1}-1", START + seq, body))


def test_the_second_harvester_waits_and_takes_over(engine: Engine, tmp_path: Path) -> None:
    async def play() -> None:
        first = harvester(engine, tmp_path / "a", VirtualClock())
        second = harvester(engine, tmp_path / "b", VirtualClock())
        await first.open()
        with pytest.raises(StoreError) as refused:
            await second.open()
        assert refused.value.fault is StoreFault.LEASED
        assert refused.value.retryable
        with engine.open(writes=False) as handle:
            holder = holder_of_queue(handle, QUEUE.key)
        assert holder is not None
        assert holder.owner in str(refused.value)
        left = re.search(r"its lease has (\d+) s left unless it is renewed", str(refused.value))
        assert left is not None
        assert LEASE_SECONDS - 15 < int(left[1]) <= LEASE_SECONDS
        await first.close()
        await second.open()
        await second.close()
        with engine.open(writes=False) as handle:
            assert holder_of_queue(handle, QUEUE.key) is None

    asyncio.run(play())


def test_who_lost_its_lease_writes_nothing_over_what_another_has_written(engine: Engine, tmp_path: Path) -> None:
    async def play() -> None:
        clock = VirtualClock()
        store = harvester(engine, tmp_path, clock)
        standing = (await store.open()).standing
        seq = standing.next_seq
        await store.put(spooled(seq, "ours"))
        await store.commit(seq)
        await store.put(spooled(seq + 1, "ours"))
        other = Checkpoint(QUEUE.key, seq + 1, f"{seq + 1}-1", "99-99", START, CheckpointStatus.PAGE, 200, 1.0)
        with engine.open() as handle:
            write_checkpoint(handle, other, START)
        clock.elapsed += LEASE_SECONDS
        with pytest.raises(StoreError) as overtaken:
            await store.commit(seq + 1)
        assert overtaken.value.fault is StoreFault.OVERTAKEN
        opened = await store.open()
        assert opened.standing.cursor == "99-99"
        assert opened.standing.discarded == () or opened.standing.discarded == (seq + 1,)
        await store.close()

    asyncio.run(play())


def test_a_lease_that_ran_out_while_nobody_else_came_is_taken_again(engine: Engine, tmp_path: Path) -> None:
    async def play() -> None:
        clock = VirtualClock()
        store = harvester(engine, tmp_path, clock)
        seq = (await store.open()).standing.next_seq
        await store.put(spooled(seq, "ours"))
        clock.elapsed += LEASE_SECONDS
        checkpoint, _ = await store.commit(seq)
        assert checkpoint.seq == seq
        await store.close()

    asyncio.run(play())


def test_who_lost_its_lease_does_not_begin_a_page_again_that_another_has_begun(engine: Engine, tmp_path: Path) -> None:
    async def play() -> None:
        clock = VirtualClock()
        store = harvester(engine, tmp_path, clock)
        seq = (await store.open()).standing.next_seq
        page = spooled(seq, "both")
        await store.put(page)
        with engine.open() as handle, pytest.raises(_Died):
            make_layers(QUEUE, handle, (), _dies_at("stashes")).write(page, repeating=False)
        clock.elapsed += LEASE_SECONDS
        with pytest.raises(StoreError) as overtaken:
            await store.commit(seq)
        assert overtaken.value.fault is StoreFault.OVERTAKEN
        assert f"page {seq} of psapi:pc had begun to reach the store before that" in str(overtaken.value)
        assert (await store.open()).standing.to_commit == (seq,)
        await store.commit(seq)
        await store.close()
        with engine.open(writes=False) as handle:
            for table in ("raw_public_stash_pages", "silver_stashes"):
                assert handle.value(f"SELECT count() FROM {table} WHERE seq = {seq}") == 1

    asyncio.run(play())


def test_who_waits_ends_no_statement_of_the_one_that_works(engine: Engine, tmp_path: Path) -> None:
    async def play() -> None:
        first = harvester(engine, tmp_path / "a", VirtualClock())
        await first.open()
        looks: list[float] = []
        patient = Engine(engine.url, engine.database, pause=looks.append)
        with pytest.raises(StoreError):
            await harvester(patient, tmp_path / "b", VirtualClock()).open()
        assert looks == [], "what runs under the name of the queue was looked for, to be ended"
        await first.close()

    asyncio.run(play())


@pytest.mark.parametrize("step", ["stashes", "stash_state", "checkpoint"])
def test_a_process_that_stood_still_amid_a_commit_writes_nothing_more(
    engine: Engine, tmp_path: Path, step: str
) -> None:
    async def play() -> None:
        clock = VirtualClock()

        def stands_still(reached: str) -> None:
            if reached == step:
                clock.elapsed += LEASE_SECONDS

        store = harvester(engine, tmp_path, clock, stands_still)
        seq = (await store.open()).standing.next_seq
        await store.put(spooled(seq, "ours"))
        with pytest.raises(StoreError) as overtaken:
            await store.commit(seq)
        assert overtaken.value.fault is StoreFault.OVERTAKEN
        with engine.open(writes=False) as handle:
            assert handle.value(f"SELECT count() FROM bronze_ingest_checkpoints WHERE seq = {seq}") == 0
        await store.close()
        again = harvester(engine, tmp_path, VirtualClock())
        await again.open()
        await again.commit(seq)
        await again.close()

    asyncio.run(play())


@pytest.mark.parametrize("command", ["rebuild", "replay"])
def test_nothing_is_rebuilt_or_moved_beside_a_harvest_of_another_machine(
    engine: Engine, tmp_path: Path, command: str
) -> None:
    environ = {
        "POE_CLICKHOUSE_URL": engine.url,
        "POE_CLICKHOUSE_DATABASE": engine.database,
        "POE_CURSOR_DIR": str(tmp_path),
        "POE_FEEDS": "psapi",
    }
    settings, out, err = load_settings(environ, None), io.StringIO(), io.StringIO()
    lease = QueueLease(engine, QUEUE, SystemClock())
    lease.take()
    try:
        if command == "rebuild":
            code = run_rebuild(settings, json=False, out=out, err=err)
        else:
            code = run_replay(settings, ReplayOptions(QUEUE.key, "1-1", yes=True), out=out, err=err, ask=None)
    finally:
        lease.release()

    assert code == 1
    assert re.search(
        r"psapi:pc is run by .*, process \d+; its lease has \d+ s left unless it is renewed\. End that process first",
        err.getvalue(),
    )


def test_a_lease_that_ran_out_is_never_renewed(engine: Engine) -> None:
    """The thread that renews wakes up as well when a process that stood still goes on."""
    clock = VirtualClock()
    with engine.open() as handle:
        lease = RowLease(engine, handle, clock, LEASE_TABLE, subject="revived")
        lease.acquire()
        clock.elapsed += LEASE_SECONDS - 1
        lease.renew(handle)
        clock.elapsed += LEASE_SECONDS
        with pytest.raises(LeaseLostError):
            lease.renew(handle)
        with pytest.raises(LeaseLostError):
            lease.ensure()
        lease.release()


def test_a_lease_that_ran_out_while_its_renewal_was_on_the_way_is_lost(engine: Engine) -> None:
    clock = VirtualClock()

    def slow() -> None:
        clock.elapsed += LEASE_SECONDS

    with engine.open() as handle, engine.open() as renewing:
        lease = RowLease(engine, handle, clock, LEASE_TABLE, subject="slow")
        lease.acquire()
        renewing.check_before_writing(slow)
        with pytest.raises(LeaseLostError):
            lease.renew(renewing)
        with pytest.raises(LeaseLostError):
            lease.ensure()
        lease.release()


class _Died(BaseException):
    """The other harvester ends here."""


def _dies_at(step: str) -> CrashPoint:
    def crash_point(reached: str) -> None:
        if reached == step:
            raise _Died

    return crash_point
