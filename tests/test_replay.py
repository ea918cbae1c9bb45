"""Replay of a cursor: what it shows, what it refuses and why, and that whatever it allows doubles nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harvester.clock import SystemClock, VirtualClock
from harvester.commands.replay import ReplayOptions, run_replay
from harvester.model import Checkpoint, CheckpointStatus, Page, Queue, SpooledPage
from harvester.settings import load_settings
from harvester.store.checkpoints import last_checkpoint, write_checkpoint
from harvester.store.commit import Committer, Standing
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.lease import Lease
from harvester.store.public_stash_layers import PublicStashLayers
from harvester.store.sanity import load_checks, run_checks
from harvester.store.schema_files import sanity_directory
from harvester.store.spool import Spool
from tests.schema_template import migrate
from tests.store_bench import TABLES, Bench, item, page_of, stash

PC = Queue("psapi", "pc")


def cursor(place: int, other: int = 5) -> str:
    return f"{place}-{other}"


@dataclass
class Scene:
    """An operator before a store, at a terminal or not."""

    engine: Engine
    directory: Path
    handle: Handle | None = None
    questions: list[str] = field(default_factory=list)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(SystemClock().now()))

    def replay(
        self, to: str, *, answer: bool | None = None, queue: str = "psapi:pc", as_json: bool = False, **options: bool
    ) -> tuple[int, str, str]:
        environ = {
            "POE_CLICKHOUSE_URL": self.engine.url,
            "POE_CLICKHOUSE_DATABASE": self.engine.database,
            "POE_CURSOR_DIR": str(self.directory / "cursors"),
        }

        def ask(question: str) -> bool:
            self.questions.append(question)
            return bool(answer)

        out, err = io.StringIO(), io.StringIO()
        code = run_replay(
            load_settings(environ, None),
            ReplayOptions(queue, to, json=as_json, **options),
            out=out,
            err=err,
            ask=None if answer is None else ask,
            clock=self.clock,
        )
        return code, out.getvalue(), err.getvalue()

    @property
    def file(self) -> CursorFile:
        return CursorFile(self.directory / "cursors", PC)

    def saved(self) -> str | None:
        saved = self.file.read()
        return saved.cursor if saved else None

    def bench(self) -> Bench:
        """The store as the next start of the harvest finds it."""
        assert self.handle is not None
        return Bench(self.handle, self.directory / "cursors" / "spool", clock=self.clock)

    def standing(self) -> Standing:
        return self.bench().committer.recover(self.saved())

    def commit(self, asked: str, leads_to: str) -> int:
        """A page as the harvest commits it; returns its seq."""
        bench = self.bench()
        seq = bench.next_seq
        body = page_of([stash(f"S{seq}", item(f"i{seq}"))], leads_to)
        bench.spool.put(SpooledPage(seq, Page(PC, asked, leads_to, self.clock.now(), body)))
        bench.committer.commit(seq)
        self.file.write(leads_to, self.clock.now())
        self.clock.elapsed += 1
        return seq

    def asked(self) -> list[str]:
        assert self.handle is not None
        return [row[0] for row in self.handle.rows("SELECT change_id FROM raw_public_stash_pages ORDER BY seq")]


@pytest.fixture(scope="module")
def store(file_engine: Engine) -> Iterator[tuple[Engine, Handle]]:
    """A migrated store for all tests of this file."""
    migrate(file_engine)
    with file_engine.open() as handle:
        yield file_engine, handle


@pytest.fixture
def empty(store: tuple[Engine, Handle], tmp_path: Path) -> Scene:
    """The store without a page."""
    engine, handle = store
    for table in TABLES:
        handle.run(f"TRUNCATE TABLE {table} SYNC")
    return Scene(engine, tmp_path, handle)


@pytest.fixture
def stored(empty: Scene) -> Scene:
    """Pages asked with 100, 110, 120 and 130; the store ends at 140. As bronze and checkpoints know it."""
    assert empty.handle is not None
    layers = PublicStashLayers(empty.handle, "pc")
    for seq, place in enumerate((100, 110, 120, 130), 1):
        asked, leads, now = cursor(place), cursor(place + 10), empty.clock.now() - 10 + seq
        layers._bronze(SpooledPage(seq, Page(PC, asked, leads, now, page_of([], leads))), repeating=False)
        write_checkpoint(empty.handle, Checkpoint(PC.key, seq, asked, leads, now, CheckpointStatus.PAGE, 200, 1.0), now)
    empty.file.write(cursor(140), empty.clock.now())
    return empty


def spool_page(scene: Scene, seq: int, asked: str, leads_to: str) -> None:
    Spool(scene.directory / "cursors" / "spool", PC).put(SpooledPage(seq, Page(PC, asked, leads_to, 0.0, b"{}")))


def test_a_new_store_goes_on_from_the_cursor_that_is_named(tmp_path: Path) -> None:
    scene = Scene(Engine(f"chdb://{tmp_path}/none", "poe_trade"), tmp_path)
    code, out, err = scene.replay(cursor(500), yes=True)

    assert code == 0, err
    assert "the store has no page" in out
    assert scene.saved() == cursor(500)
    assert not (tmp_path / "none").exists(), "looking makes no store"


@pytest.mark.parametrize("answer", [True, None, False])
def test_without_a_yes_nothing_changes(tmp_path: Path, answer: bool | None) -> None:
    scene = Scene(Engine(f"chdb://{tmp_path}/none", "poe_trade"), tmp_path)
    code, _, err = scene.replay(cursor(500), answer=answer)

    assert code == (0 if answer else 1)
    assert scene.saved() == (cursor(500) if answer else None)
    assert scene.questions == ([] if answer is None else [f"Let psapi:pc go on from {cursor(500)}?"])
    assert ("Nothing was changed" in err) != bool(answer)


def test_a_lived_in_store_is_shown_and_never_doubled(stored: Scene) -> None:
    code, out, err = stored.replay(cursor(140))
    assert code == 0
    assert "Nothing to do" in err
    assert "4 pages, 1 to 4, the chain holds." in out
    assert ["4", cursor(130), cursor(140)] in [line.split()[:3] for line in out.splitlines()]
    assert "leads to this cursor" in out

    for place in (100, 110, 130):
        code, out, err = stored.replay(cursor(place), yes=True, allow_gap=True)
        assert code == 1
        assert "would be doubled" in err
        assert f"goes on from {cursor(140)}" in err
        assert "asked with this cursor" in out

    for to in (cursor(50), cursor(105), cursor(150, 4), "140", "mars", "", "1e5", "1-2-"):
        code, _, err = stored.replay(to, yes=True, allow_gap=True)
        assert code == 1
        assert err.startswith("Refused: "), to

    code, out, _ = stored.replay(cursor(120), as_json=True)
    answer = json.loads(out)
    assert code == 1
    assert (answer["safety"], answer["refused"], answer["pages"], answer["breaks"]) == ("unsafe", True, 4, 0)
    assert [line["seq"] for line in answer["around"]] == [1, 2, 3, 4]
    assert stored.standing().cursor == cursor(140)


def test_a_gap_is_left_only_where_that_is_said_and_shows_for_ever(stored: Scene) -> None:
    code, _, err = stored.replay(cursor(900), yes=True)
    assert code == 1
    assert "--allow-gap" in err
    assert stored.standing().cursor == cursor(140)

    assert stored.replay(cursor(900), yes=True, allow_gap=True)[0] == 0
    assert stored.standing() == Standing(cursor(900), 5, (), ())
    assert stored.commit(cursor(900), cursor(910)) == 5
    assert stored.asked() == [cursor(place) for place in (100, 110, 120, 130, 900)]
    assert stored.standing() == Standing(cursor(910), 6, (), ())

    _, out, _ = stored.replay(cursor(910))
    assert "5 pages, 1 to 5, the chain holds." in out
    assert any(line.split()[:3] == ["4", cursor(140), cursor(900)] and "moved" in line for line in out.splitlines())
    results = run_checks(stored.engine, load_checks(sanity_directory(), "bronze"))
    (check,) = [result for result in results if "leads to the next" in result.title]
    assert check.level.value == "amber", check
    assert dict(zip(check.columns, check.rows[0], strict=True))["broken"] == 0

    for place in (140, 500, 899, 120):
        assert stored.replay(cursor(place), yes=True, allow_gap=True)[0] == 1, "passed over is passed over"
    assert stored.standing().cursor == cursor(910)


def test_a_clock_that_was_set_back_does_not_hide_the_move(stored: Scene) -> None:
    stored.clock.elapsed -= 3_600

    assert stored.replay(cursor(900), yes=True, allow_gap=True)[0] == 0
    assert stored.standing().cursor == cursor(900)
    assert stored.replay(cursor(950), yes=True, allow_gap=True)[0] == 0
    assert stored.standing().cursor == cursor(950)


def test_a_clock_that_was_set_back_behind_a_confirmed_end_does_not_hide_the_move(stored: Scene) -> None:
    assert stored.handle is not None
    bench = stored.bench()
    bench.committer.confirm_end(4, cursor(140), http_status=200, response_ms=1.0)
    stored.clock.elapsed -= 3_600

    assert stored.replay(cursor(900), yes=True, allow_gap=True)[0] == 0
    health = "SELECT cursor FROM v_ingest_health WHERE queue_key = 'psapi:pc'"
    assert stored.handle.value(health) == cursor(900)
    last = last_checkpoint(stored.handle, PC)
    assert last is not None
    assert last.next_cursor_id == cursor(900)

    bench.committer.confirm_end(4, cursor(900), http_status=200, response_ms=1.0)
    last = last_checkpoint(stored.handle, PC)
    assert last is not None
    assert last.status is CheckpointStatus.CAUGHT_UP
    assert stored.replay(cursor(950), yes=True, allow_gap=True)[0] == 0
    assert stored.handle.value(health) == cursor(950)


def test_whatever_is_allowed_doubles_nothing(stored: Scene) -> None:
    for to in [cursor(place, other) for place in (100, 135, 140, 200) for other in (5, 6)]:
        before = stored.standing().cursor or ""
        code = stored.replay(to, yes=True, allow_gap=True)[0]
        stands = stored.standing().cursor
        assert stands == (to if code == 0 else before)
        assert stands not in stored.asked()
        if code == 0 and to != before:
            stored.commit(to, cursor(int(to.split("-")[0]) + 1, 6))
    assert len(stored.asked()) == len(set(stored.asked()))


def test_nothing_is_moved_under_a_running_harvest_and_the_lease_is_given_back(tmp_path: Path) -> None:
    scene = Scene(Engine(f"chdb://{tmp_path}/none", "poe_trade"), tmp_path)
    lease = Lease(Spool(tmp_path / "cursors" / "spool", PC).directory, "psapi:pc")
    code, _, err = scene.replay(cursor(900), yes=True)
    assert code == 1
    assert "End that process first" in err
    assert scene.saved() is None
    lease.release()

    assert scene.replay(cursor(900), yes=True)[0] == 0
    Lease(Spool(tmp_path / "cursors" / "spool", PC).directory, "psapi:pc").release()


def test_pages_that_wait_in_the_spool_are_committed_first(stored: Scene) -> None:
    spool_page(stored, 5, cursor(140), cursor(150))
    code, out, err = stored.replay(cursor(900), yes=True, allow_gap=True)
    assert code == 1
    assert "Start the harvest once" in err
    assert "spooled" in out
    assert stored.replay(cursor(150))[0] == 0, "there it goes on anyway"


def test_an_orphaned_spool_is_taken_over_by_a_new_store(empty: Scene) -> None:
    spool_page(empty, 7, cursor(100), cursor(110))
    spool_page(empty, 8, cursor(110), cursor(120))
    assert empty.replay(cursor(120), yes=True)[0] == 1
    assert empty.replay(cursor(100), yes=True)[0] == 0
    assert empty.handle is not None
    spool = Spool(empty.directory / "cursors" / "spool", PC)
    committer = Committer(empty.handle, PC, PublicStashLayers(empty.handle, "pc"), spool, empty.clock)
    assert committer.recover(empty.saved()).to_commit == (7, 8)


def test_a_page_that_is_begun_is_finished_first(stored: Scene) -> None:
    bench = stored.bench()

    def fall(step: str) -> None:
        if step == "listings":
            raise KeyboardInterrupt

    bench.crash_point = fall
    bench.renew()
    bench.spool.put(SpooledPage(5, Page(PC, cursor(140), cursor(150), 0.0, page_of([stash("T", item("t"))]))))
    with pytest.raises(KeyboardInterrupt):
        bench.committer.commit(5)
    bench.spool.remove(5)
    code, _, err = stored.replay(cursor(900), yes=True, allow_gap=True)
    assert code == 1
    assert "page 5 is begun" in err


def test_pages_that_bronze_has_lost_and_breaks_of_the_chain_are_shown(stored: Scene) -> None:
    assert stored.handle is not None
    for table, seq in (("raw_public_stash_pages", 3), ("bronze_ingest_checkpoints", 2)):
        stored.handle.run(f"ALTER TABLE {table} DELETE WHERE seq = {seq}", settings={"mutations_sync": 2})
    _, out, _ = stored.replay(cursor(140))

    assert "bronze has it no longer" in out
    assert "the chain breaks at 1 places" in out
    assert "the chain breaks before it" in out


def test_a_damaged_cursor_file_and_a_damaged_page_are_told(tmp_path: Path) -> None:
    scene = Scene(Engine(f"chdb://{tmp_path}/none", "poe_trade"), tmp_path)
    scene.file.path.write_text("{torn")
    assert "psapi_pc.json cannot be read" in scene.replay(cursor(900))[2]
    scene.file.path.unlink()
    spool_page(scene, 5, cursor(140), cursor(150))
    (tmp_path / "cursors" / "spool" / "psapi_pc" / "000000000005.page").write_bytes(b"torn")
    assert "000000000005.page" in scene.replay(cursor(900))[2]


def test_a_queue_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    scene = Scene(Engine(f"chdb://{tmp_path}/none", "poe_trade"), tmp_path)
    code, _, err = scene.replay(cursor(1), queue="psapi:mars")
    assert code == 2
    assert "psapi:pc" in err
