"""From the spool into the store: whatever fails, wherever it fails, every page ends there once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from harvester.clock import VirtualClock
from harvester.model import CheckpointStatus, Page, Queue, SpooledPage
from harvester.simulator.river import RiverPage
from harvester.store.checkpoints import last_checkpoint, last_page_checkpoint
from harvester.store.commit import Committer, Damage, Fate, Standing
from harvester.store.crash_points import CRASH_POINTS, CrashPoint, no_crash
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle, Row
from harvester.store.public_stash_layers import PublicStashLayers
from harvester.store.spool import DamagedPage, Spool
from tests.schema_template import migrate
from tests.soak.proof import Findings, examine
from tests.soak.stream import Stream
from tests.store_bench import START, TABLES, item, page_of, stash

QUEUE = Queue("psapi", "pc")
T = TypeVar("T")
SPOILED = b'"public":"true"'


class Crash(BaseException):
    """The process ends here; nothing of ours may catch it."""


class UnreliableHandle(Handle):
    """Asks `fails` before and after every statement whether to break off; `statements` counts them."""

    def __init__(self, handle: Handle, fails: Callable[[str, int, str], bool]) -> None:
        super().__init__(handle._client)
        self.statements = 0
        self._fails = fails

    def table(
        self,
        sql: str,
        parameters: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        *,
        as_bytes: bool = False,
    ) -> tuple[tuple[str, ...], list[Row]]:
        return self._unreliably(sql, lambda: super(UnreliableHandle, self).table(
            sql, parameters, settings, as_bytes=as_bytes
        ))  # fmt: skip

    def run(
        self, sql: str, parameters: Mapping[str, Any] | None = None, settings: Mapping[str, Any] | None = None
    ) -> None:
        self._unreliably(sql, lambda: super(UnreliableHandle, self).run(sql, parameters, settings))

    def insert(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        self._unreliably(table, lambda: super(UnreliableHandle, self).insert(table, columns, rows))

    def _unreliably(self, what: str, statement: Callable[[], T]) -> T:
        self.statements += 1
        number = self.statements  # a definition asks for room on its way: that is a statement too
        if self._fails("before", number, what):
            raise StoreError(StoreFault.UNREACHABLE, "connection refused")
        result = statement()
        if self._fails("after", number, what):
            raise StoreError(StoreFault.TIMEOUT, "timeout after commit")
        return result


class Rig:
    """A queue's spool and committer over a migrated store."""

    def __init__(self, handle: Handle, directory: Path) -> None:
        self.handle = handle
        self.directory = directory
        self.spool = Spool(directory / "spool", QUEUE)
        self.committer = self.restart()

    def restart(self, *, crash_point: CrashPoint = no_crash, handle: Handle | None = None) -> Committer:
        """A committer as a new process has it; `recover` is left to the caller."""
        self.spool = Spool(self.directory / "spool", QUEUE)
        used = handle or self.handle
        self.committer = Committer(
            used,
            QUEUE,
            PublicStashLayers(used, QUEUE.realm, crash_point=crash_point),
            self.spool,
            VirtualClock(START + 86_400),
            crash_point=crash_point,
        )
        return self.committer

    def put(self, seq: int, *, asked: str = "", following: str = "", body: bytes = b"", rejected: str = "") -> None:
        """Spool a page; by default it continues `c{seq}` and holds one stash with one item."""
        body = body or page_of([stash(f"s{seq}", item(f"i{seq}"))])
        page = Page(QUEUE, asked or f"c{seq}", following or f"c{seq + 1}", START + seq, body, rejected=rejected)
        self.spool.put(SpooledPage(seq, page))

    def commit(self, *seqs: int) -> None:
        """Spool and commit pages as `put` makes them."""
        for seq in seqs:
            self.put(seq)
            self.committer.commit(seq)

    def put_published(self, seq: int, page: RiverPage) -> None:
        """Spool a page of the stream."""
        self.put(seq, asked=page.change_id or "", following=page.next_change_id, body=page.body)

    def chain(self) -> list[tuple[int, str, str, str]]:
        """The checkpoints of pages in order: seq, cursor, next cursor, status."""
        return self.handle.rows(
            "SELECT seq, last_cursor_id, next_cursor_id, status FROM bronze_ingest_checkpoints"
            " WHERE status != 'caught_up' ORDER BY seq"
        )

    def bronze(self) -> list[tuple[int, str, str, bytes]]:
        """The stored pages in order: seq, cursor, next cursor, body."""
        rows = self.handle.rows(
            "SELECT seq, change_id, next_change_id, body FROM raw_public_stash_pages ORDER BY seq", as_bytes=True
        )
        return [(row[0], row[1].decode(), row[2].decode(), row[3]) for row in rows]


@pytest.fixture(scope="module")
def engine(file_engine: Engine) -> Engine:
    """A migrated store for all tests of this file; `rig` empties it."""
    migrate(file_engine)
    return file_engine


@pytest.fixture
def rig(engine: Engine, tmp_path: Path) -> Iterator[Rig]:
    with engine.open() as handle:
        filled = "SELECT DISTINCT table FROM system.parts WHERE active AND database = currentDatabase()"
        for (table,) in handle.rows(filled):
            if table in TABLES:
                handle.run(f"TRUNCATE TABLE {table} SYNC")
        yield Rig(handle, tmp_path)


def published(pages: int) -> list[RiverPage]:
    """The first pages of a lively stream; some hold a record that cannot be read."""
    return list(islice(Stream(3).walk(), pages))


def spoiled(page: RiverPage) -> RiverPage:
    """The page with a record that cannot be read."""
    return replace(page, body=page.body.replace(b'"public":true', SPOILED, 1))


def assert_once(rig: Rig, engine: Engine, truth: list[RiverPage]) -> None:
    """Nothing lost, nothing doubled, every table and view as after an undisturbed harvest."""
    findings = examine(engine, rig.spool, truth, rig.directory / "scratch")
    assert findings.wrong == []
    assert findings == Findings(pages=len(truth), stashes=sum(page.stashes for page in truth))


def feed(rig: Rig, truth: list[RiverPage]) -> Iterator[int]:
    """Spool the pages one by one, each when the one before is committed; the first cursor is empty as in a stream."""
    for seq, page in enumerate(truth, 1):
        rig.spool.put(SpooledPage(seq, Page(QUEUE, page.change_id, page.next_change_id, START + seq, page.body)))
        yield seq


# Failing statements ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("restarts", "every"),
    [(True, 4), pytest.param(True, 1, marks=pytest.mark.soak), pytest.param(False, 1, marks=pytest.mark.soak)],
)
def test_a_store_that_fails_at_any_statement_of_a_commit_loses_and_doubles_nothing(
    rig: Rig, engine: Engine, restarts: bool, every: int
) -> None:
    """Page by page the answer of the next (or of every fourth) statement is lost, in pages with a record set aside too.

    The statement itself was done; that it was not is the same as that the answer of the one before was lost.
    """
    truth = [page if n % 2 else spoiled(page) for n, page in enumerate(published(26 // every + 5))]
    failed_at: dict[bool, list[str]] = {False: [], True: []}
    all_tried = {False: False, True: False}

    for seq in feed(rig, truth):
        failed = failed_at[SPOILED in truth[seq - 1].body]

        def fails(
            when: str, number: int, what: str, failed: list[str] = failed, at: int = len(failed) * every + 1
        ) -> bool:
            if (when, number) != ("after", at) or len(failed) * every >= at:
                return False
            failed.append(what)
            return True

        unreliable = UnreliableHandle(rig.handle, fails)
        committer = rig.restart(handle=unreliable)
        try:
            committer.commit(seq)
            all_tried[SPOILED in truth[seq - 1].body] = True
        except StoreError:
            if restarts:
                committer = rig.restart()
                committer.recover()
            if rig.spool.sequences:
                committer.commit(seq)

    assert all(all_tried.values()), "more statements than pages to try them"
    assert len(failed_at[True]) >= len(failed_at[False]) >= 9 // every
    assert_once(rig, engine, truth)


@pytest.mark.soak
def test_a_store_that_fails_again_and_again_loses_and_doubles_nothing(rig: Rig, engine: Engine) -> None:
    dice = Random(1)
    failures = 0

    def fails(_when: str, _number: int, _what: str) -> bool:
        nonlocal failures
        failed = dice.random() < 0.1
        failures += failed
        return failed

    truth = published(5)
    unreliable = UnreliableHandle(rig.handle, fails)
    committer = rig.restart(handle=unreliable)
    for seq in feed(rig, truth):
        ends = iter([dice.random() < 0.3 for _ in range(200)])
        while seq in rig.spool.sequences:
            try:
                if next(ends):
                    committer = recovered(rig, unreliable)
                if seq in rig.spool.sequences:
                    committer.commit(seq)
            except StoreError:
                continue

    assert failures > 10
    assert_once(rig, engine, truth)


def recovered(rig: Rig, handle: Handle) -> Committer:
    """A new process that has found out where it stands, however often it had to ask."""
    while True:
        committer = rig.restart(handle=handle)
        try:
            committer.recover()
        except StoreError:
            continue
        return committer


@pytest.mark.parametrize("times", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_process_that_ends_at_any_step_of_a_commit_loses_and_doubles_nothing(
    rig: Rig, engine: Engine, times: int
) -> None:
    """Each page ends the process at the next named step that its commit comes to, and again while it is repeated."""
    to_come = [step for step in CRASH_POINTS for _ in range(times)]
    truth = published(10 if times == 1 else 14)
    steps: set[str] = set()

    def crash_point(step: str) -> None:
        steps.add(step)
        if to_come and step == to_come[0]:
            to_come.pop(0)
            raise Crash(step)

    for seq in feed(rig, truth):
        for _ in range(3):
            committer = rig.restart(crash_point=crash_point)
            standing = committer.recover()
            if not standing.to_commit:
                break
            try:
                committer.commit(seq)
            except Crash:
                continue
            break
        assert rig.spool.sequences in ([], [seq])
        if rig.spool.sequences:
            committer = rig.restart()
            if committer.recover().to_commit:
                committer.commit(seq)

    assert to_come == [], "not every step was come to"
    assert steps == set(CRASH_POINTS)
    assert_once(rig, engine, truth)


def test_every_table_of_a_commit_is_synced_at_each_insert(rig: Rig) -> None:
    """What is synced in fact shows `tests/test_file_operations.py`, where a C compiler is."""
    engines = dict(
        rig.handle.rows(
            "SELECT name, engine_full FROM system.tables"
            " WHERE database = currentDatabase() AND name IN {tables:Array(String)}",
            {"tables": list(TABLES)},
        )
    )
    assert engines.keys() == set(TABLES)
    for table, engine in engines.items():
        assert "fsync_after_insert = 1, fsync_part_directory = 1" in engine, table


# Recovery --------------------------------------------------------------------------------------------------------


def test_a_new_store_without_a_spool_starts_the_stream(rig: Rig) -> None:
    assert rig.committer.recover() == Standing(None, 1, (), ())


def test_the_store_alone_says_where_to_go_on(rig: Rig) -> None:
    rig.commit(1, 2)

    assert rig.restart().recover() == Standing("c3", 3, (), ())


def test_a_committed_page_left_in_the_spool_is_cleared_away(rig: Rig) -> None:
    rig.commit(1, 2, 3)
    rig.put(2)
    rig.put(3)

    assert rig.restart().recover() == Standing("c4", 4, (), ())
    assert rig.spool.sequences == []
    assert len(rig.bronze()) == 3


def test_waiting_pages_continue_the_chain_and_say_the_cursor(rig: Rig) -> None:
    rig.commit(1)
    for seq in (2, 3, 4):
        rig.put(seq)

    assert rig.restart().recover() == Standing("c5", 5, (2, 3, 4), ())


def test_a_foreign_spool_that_the_chain_has_overtaken_is_discarded(rig: Rig) -> None:
    rig.commit(1, 2, 3)
    rig.put(2, asked="x2", following="x3")
    rig.put(3, asked="x3", following="x4")

    assert rig.restart().recover() == Standing("c4", 4, (), (2, 3))
    assert rig.spool.sequences == []
    assert [row[1] for row in rig.bronze()] == ["c1", "c2", "c3"]


def put_foreign(rig: Rig, seq: int, *, asked: str = "") -> bytes:
    """The spool file of another queue lies in the place of a page of ours; returns its bytes."""
    other = Spool(rig.directory / "elsewhere", Queue("psapi", "xbox"))
    other.put(SpooledPage(seq, Page(Queue("psapi", "xbox"), asked or f"c{seq}", "f", START, page_of([stash("f")]))))
    (path,) = other.directory.glob("*.page")
    data = path.read_bytes()
    path.rename(rig.spool.directory / path.name)
    return data


@pytest.mark.parametrize("begun", [True, False])
def test_a_page_of_another_queue_is_set_aside_before_ours_takes_its_place(rig: Rig, begun: bool) -> None:
    rig.commit(1)
    if begun:
        rig.put(2)
        rig.committer.commit(2)
        rig.handle.run("ALTER TABLE bronze_ingest_checkpoints DELETE WHERE seq = 2 SETTINGS mutations_sync = 1")
    foreign = put_foreign(rig, 2)

    standing = rig.restart().recover()

    assert (standing.cursor, standing.to_commit) == (("c3", (2,)) if begun else ("c2", ()))
    assert len(standing.foreign) == 1
    assert "a page of psapi:xbox" in standing.foreign[0]
    assert "psapi_xbox" in standing.foreign[0]
    (aside,) = rig.spool.directory.glob("*.foreign")
    assert aside.read_bytes() == foreign
    if begun:
        rig.committer.commit(2)
    put_foreign(rig, 3 if begun else 2)
    rig.restart().recover()
    assert [row[1] for row in rig.bronze()] == (["c1", "c2"] if begun else ["c1"])


def test_pages_set_aside_of_one_place_are_all_kept(rig: Rig) -> None:
    rig.commit(1)
    for turn in ("x", "y", "z"):
        put_foreign(rig, 2, asked=turn)
        rig.restart().recover()

    kept = list(rig.spool.directory.glob("*.foreign"))
    assert len({path.read_bytes() for path in kept}) == 3


@pytest.mark.parametrize("saved", ["c1", None])
def test_the_first_page_of_a_new_store_that_does_not_say_whose_it_is_needs_a_proof(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, saved: str | None
) -> None:
    with monkeypatch.context() as earlier_version:
        earlier_version.setattr(Queue, "key", "")
        spool = Spool.__new__(Spool)
        spool.__dict__.update(rig.spool.__dict__)
        spool.put(SpooledPage(1, Page(QUEUE, "c1", "c2", START, page_of([stash("s")]))))

    standing = rig.restart().recover(saved)

    assert standing.to_commit == ((1,) if saved else ())
    assert len(standing.foreign) == (0 if saved else 1)
    assert len(list(rig.spool.directory.glob("*.foreign"))) == (0 if saved else 1)


def test_a_spool_that_goes_on_elsewhere_is_discarded(rig: Rig) -> None:
    rig.commit(1)
    rig.put(2, asked="x2")
    rig.put(3)

    assert rig.restart().recover() == Standing("c2", 2, (), (2, 3))


def test_a_spool_ahead_of_the_store_is_discarded_and_asked_again(rig: Rig) -> None:
    rig.commit(1)
    rig.put(3)
    rig.put(4)

    assert rig.restart().recover() == Standing("c2", 2, (), (3, 4))
    assert rig.spool.sequences == []


def test_pages_behind_a_gap_in_the_spool_are_asked_again(rig: Rig) -> None:
    rig.commit(1)
    rig.put(2)
    rig.put(4)

    assert rig.restart().recover() == Standing("c3", 3, (2,), (4,))


def test_a_new_store_takes_over_an_old_spool(rig: Rig) -> None:
    for seq in (57, 58):
        rig.put(seq)
    committer = rig.restart()

    assert committer.recover("c57") == Standing("c59", 59, (57, 58), ())
    for seq in (57, 58):
        committer.commit(seq)
    assert [row[:3] for row in rig.chain()] == [(57, "c57", "c58"), (58, "c58", "c59")]


def test_torn_files_are_cleared_away(rig: Rig) -> None:
    torn = rig.spool.directory / "000000000001.page.tmp"
    torn.write_bytes(b"poe")

    rig.restart().recover()

    assert not torn.exists()


TORN = "torn or altered, the checksum does not fit"


def damage(rig: Rig, seq: int) -> Path:
    """Cut the spool file of a page."""
    path = rig.spool.directory / f"{seq:012d}.page"
    path.write_bytes(path.read_bytes()[:-1])
    return path


def test_a_damaged_page_that_is_needed_is_set_aside_and_asked_for_again(rig: Rig) -> None:
    rig.commit(1)
    rig.put(2)
    rig.put(3)
    path = damage(rig, 2)

    aside = path.with_suffix(".damaged")
    told = Damage(2, TORN, Fate.ASKED_AGAIN, aside)
    assert rig.restart().recover() == Standing("c2", 2, (), (3,), damaged=(told,))
    assert rig.spool.sequences == []
    assert aside.exists()
    rig.commit(2, 3)
    assert [row[0] for row in rig.chain()] == [1, 2, 3]


def test_a_damaged_first_page_of_a_new_store_is_told_for_nothing_says_where_it_was_asked(rig: Rig) -> None:
    rig.put(1)
    damage(rig, 1)

    with pytest.raises(DamagedPage, match=r"000000000001\.page"):
        rig.restart().recover()


def test_a_damaged_page_that_is_committed_already_stops_nothing(rig: Rig) -> None:
    rig.commit(1, 2)
    rig.put(2)
    path = damage(rig, 2)

    told = Damage(2, TORN, Fate.COMMITTED, path.with_suffix(".damaged"))
    assert rig.restart().recover() == Standing("c3", 3, (), (), damaged=(told,))
    assert rig.spool.sequences == []
    assert told.path.exists()


def test_a_damaged_page_that_had_begun_is_told_though_it_is_healed(rig: Rig) -> None:
    rig.commit(1)
    begin(rig, 2, "stashes")
    path = damage(rig, 2)

    assert rig.restart().recover().damaged == (Damage(2, TORN, Fate.RESTORED, path),)
    assert rig.spool.get(2).page.change_id == "c2"


def begin(rig: Rig, seq: int, stop_at: str, **page: Any) -> None:
    """Let the commit of a page end at a step."""

    def crash_point(step: str) -> None:
        if step == stop_at:
            raise Crash(step)

    rig.put(seq, **page)
    committer = rig.restart(crash_point=crash_point)
    committer.recover()
    with pytest.raises(Crash):
        committer.commit(seq)


@pytest.mark.parametrize("loss", ["removed", pytest.param("damaged", marks=pytest.mark.soak)])
@pytest.mark.parametrize("stop_at", ["stashes", "stash_state", "checkpoint"])
@pytest.mark.parametrize("committed", [pytest.param(0, marks=pytest.mark.soak), 1])
def test_a_page_begun_in_the_store_survives_the_loss_of_its_spool_file(
    rig: Rig, stop_at: str, loss: str, committed: int
) -> None:
    """Asked for again it might be longer and lead elsewhere: the records in between would be lost."""
    rig.commit(*range(1, committed + 1))
    seq = committed + 1
    begin(rig, seq, stop_at)
    path = damage(rig, seq)
    if loss == "removed":
        path.unlink()
    committer = rig.restart()

    damaged = () if loss == "removed" else (Damage(seq, TORN, Fate.RESTORED, path),)
    assert committer.recover() == Standing(f"c{seq + 1}", seq + 1, (seq,), (), damaged=damaged)
    committer.commit(seq)
    rig.commit(seq + 1)
    assert [row[0] for row in rig.bronze()] == list(range(1, seq + 2))
    assert [row[:3] for row in rig.chain()] == [(n, f"c{n}", f"c{n + 1}") for n in range(1, seq + 2)]
    assert rig.handle.value("SELECT groupArray(stash_id) FROM (SELECT * FROM silver_stashes ORDER BY seq)") == [
        f"s{n}" for n in range(1, seq + 2)
    ]


def test_where_the_spool_holds_another_answer_for_a_page_begun_the_store_is_believed(rig: Rig) -> None:
    begin(rig, 1, "stashes", following="c2")
    rig.put(1, following="c9", body=page_of([stash("other")]))
    rig.put(2, asked="c9")
    committer = rig.restart()

    assert committer.recover() == Standing("c2", 2, (1,), (2,))
    committer.commit(1)
    assert [row[:3] for row in rig.chain()] == [(1, "c1", "c2")]
    assert rig.handle.value("SELECT groupArray(stash_id) FROM v_stashes_current") == ["s1"]


def test_a_page_begun_by_a_harvester_that_died_keeps_its_fetch_time_in_every_table(rig: Rig) -> None:
    """Who takes over may have asked for the page as well, at another instant."""
    begin(rig, 1, "stashes")
    ours = rig.spool.get(1)
    rig.spool.put(replace(ours, page=replace(ours.page, fetched_at=START + 500)))
    committer = rig.restart()
    committer.recover()
    committer.commit(1)

    told = rig.handle.rows(
        "SELECT (SELECT fetched_at FROM raw_public_stash_pages), (SELECT retrieved_at FROM bronze_ingest_checkpoints),"
        " (SELECT last_seen FROM v_stashes_current), (SELECT any(fetched_at) FROM silver_items)"
    )
    assert {moment.timestamp() for moment in told[0]} == {
        rig.handle.value("SELECT toDateTime64({at:Float64}, 3, 'UTC')", {"at": START + 1}).timestamp()
    }


def test_a_page_begun_by_somebody_else_stops_the_queue(rig: Rig) -> None:
    rig.commit(1)
    begin(rig, 2, "stashes")
    rig.handle.run(
        "ALTER TABLE raw_public_stash_pages UPDATE change_id = 'x' WHERE seq = 2 SETTINGS mutations_sync = 2"
    )

    with pytest.raises(StoreError, match="Another harvester") as told:
        rig.restart().recover()
    assert not told.value.retryable


# Repeating, giving up, the end of the stream ---------------------------------------------------------------------


def test_a_commit_repeated_after_it_succeeded_says_the_same(rig: Rig) -> None:
    """As when the cursor file could not be written."""
    rig.put(1)
    first = rig.committer.commit(1)

    assert rig.committer.commit(1) == first
    assert len(rig.bronze()) == len(rig.chain()) == 1


def test_a_spool_file_that_cannot_be_removed_is_tried_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.put(1)

    def refuse(seq: int) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as stuck:
        stuck.setattr(rig.spool, "remove", refuse)
        with pytest.raises(OSError, match="Read-only"):
            rig.committer.commit(1)
    rig.committer.commit(1)

    assert rig.spool.sequences == []
    assert len(rig.bronze()) == len(rig.chain()) == 1


def test_a_body_that_is_no_page_is_a_dead_letter_and_the_chain_goes_on(rig: Rig) -> None:
    rig.commit(1)
    rig.put(2, body=b"<html>", rejected="no JSON")

    checkpoint, counts = rig.committer.commit(2)
    rig.commit(3)

    assert checkpoint.status is CheckpointStatus.DEAD_LETTER
    assert (counts.stashes, counts.set_aside) == (0, 1)
    assert [row[3] for row in rig.chain()] == ["page", "dead_letter", "page"]
    letters = rig.handle.rows("SELECT seq, kind, reason, body FROM bronze_dead_letters")
    assert letters == [(2, "page", "no JSON", "<html>")]
    assert rig.restart().recover() == Standing("c4", 4, (), ())


@pytest.mark.parametrize("moment", [pytest.param("before", marks=pytest.mark.soak), "after"])
@pytest.mark.parametrize("number", range(1, 5))
def test_giving_up_survives_a_failure_at_any_statement(rig: Rig, moment: str, number: int) -> None:
    begin(rig, 1, "items")
    failures: list[str] = []

    def fails(when: str, statement: int, what: str) -> bool:
        if failures or (when, statement) != (moment, number):
            return False
        failures.append(what)
        return True

    unreliable = UnreliableHandle(rig.handle, fails)
    committer = rig.restart(handle=unreliable)
    with pytest.raises(StoreError):
        committer.give_up(1, "it cannot be stored")
    committer.give_up(1, "it cannot be stored")

    assert [row[3] for row in rig.chain()] == ["dead_letter"]
    assert rig.handle.rows("SELECT kind, reason FROM bronze_dead_letters") == [("page", "it cannot be stored")]
    assert rig.restart().recover() == Standing("c2", 2, (), ())
    rig.commit(2)
    assert rig.handle.value("SELECT groupArray(stash_id) FROM v_stashes_current") == ["s2"]


def dies_at_the_checkpoint(step: str) -> None:
    if step == "checkpoint":
        raise Crash(step)


def test_a_page_given_up_stays_so_after_a_restart(rig: Rig) -> None:
    begin(rig, 1, "items")
    with pytest.raises(Crash):
        rig.restart(crash_point=dies_at_the_checkpoint).give_up(1, "it cannot be stored")

    committer = rig.restart()
    assert committer.recover().to_commit == (1,)
    checkpoint, counts = committer.commit(1)

    assert (checkpoint.status, counts.set_aside) == (CheckpointStatus.DEAD_LETTER, 1)
    assert rig.handle.rows("SELECT kind, reason FROM bronze_dead_letters") == [("page", "it cannot be stored")]
    assert rig.handle.value("SELECT count() FROM silver_stashes") == 0
    assert rig.handle.value("SELECT count() FROM v_stashes_current") == 0


def test_a_body_that_is_no_page_is_in_the_spool_until_its_checkpoint_stands(rig: Rig) -> None:
    """Bronze does not hold it: nothing else could bring it back."""
    rig.commit(1)
    rig.put(2, body=b"<html>", rejected="no JSON")
    with pytest.raises(Crash):
        rig.restart(crash_point=dies_at_the_checkpoint).commit(2)

    committer = rig.restart()
    assert committer.recover().to_commit == (2,)
    committer.commit(2)

    assert [row[3] for row in rig.chain()] == ["page", "dead_letter"]
    assert rig.handle.value("SELECT count() FROM bronze_dead_letters") == 1


def test_the_end_of_the_stream_is_written_and_moves_nothing(rig: Rig) -> None:
    rig.commit(1)
    for _ in range(2):
        rig.committer.confirm_end(1, "c2", http_status=200, response_ms=3.5)

    last = last_checkpoint(rig.handle, QUEUE)
    assert last is not None
    assert (last.status, last.seq, last.next_cursor_id) == (CheckpointStatus.CAUGHT_UP, 1, "c2")
    last_page = last_page_checkpoint(rig.handle, QUEUE)
    assert last_page is not None
    assert (last_page.status, last_page.retrieved_at) == (CheckpointStatus.PAGE, START + 1)
    assert rig.restart().recover() == Standing("c2", 2, (), ())
    rig.commit(2)
    assert [row[:3] for row in rig.chain()] == [(1, "c1", "c2"), (2, "c2", "c3")]


def test_the_end_of_a_stream_without_any_page_claims_no_place(rig: Rig) -> None:
    rig.committer.confirm_end(0, "c1", http_status=200, response_ms=3.5)

    assert rig.restart().recover() == Standing(None, 1, (), ())
    rig.commit(1)
    assert [row[0] for row in rig.chain()] == [1]
