"""The migrations screen over the real engine: what it shows, asks, applies, and says when something fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Button, Input, Static

from harvester.snapshot import QueueState
from harvester.snapshot_source import SourceKind
from harvester.store import migrations
from harvester.store.engine import Engine
from poe_ledger_tui import migration_work, scenes
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.messages import RoomChanged, SchemaState, SnapshotTaken
from poe_ledger_tui.migration_work import look as look_at
from poe_ledger_tui.screens.dialog import Question, Reading
from poe_ledger_tui.screens.migrations import LOOK_EVERY_SECONDS, MigrationsScreen
from poe_ledger_tui.still import StillRoom, still_app
from poe_ledger_tui.widgets.table import LedgerTable
from tests.tui.driving import forgive_lock_waits, later
from tests.tui.stall_watch import StallWatch

FIRST = "CREATE TABLE one (a UInt8) ENGINE = Memory;\n"
SECOND = (
    "-- two of them\nCREATE VIEW two AS SELECT a FROM one;\nCREATE VIEW three AS SELECT '[red]x[/red]' AS a FROM one;\n"
)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of migrations in place of the product's."""
    (tmp_path / "0001_first.sql").write_text(FIRST)
    (tmp_path / "0002_second.sql").write_text(SECOND)
    monkeypatch.setattr(migration_work, "migrations_directory", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def room(engine: Engine, files: Path) -> StillRoom:
    migrations.apply(engine, migrations.load_migrations(files), up_to="0001")
    still = StillRoom()
    still.engine = engine  # type: ignore[assignment]
    return still


@asynccontextmanager
async def opened(room: StillRoom, size: tuple[int, int] = (100, 30)) -> AsyncIterator[tuple[LedgerApp, Pilot[int]]]:
    app = still_app(room)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        known = room.engine is not None and look_at(room.engine)
        schema = SchemaState(pending=known.pending, drifted=known.drifted) if known else SchemaState()
        app.post_message(RoomChanged(replace(scenes.READY, schema=schema)))
        await pilot.press("2")
        await settled(pilot)
        yield app, pilot


async def until(pilot: Pilot[int], holds: Callable[[], bool]) -> None:
    """Wait for what a thread will post."""
    for _ in range(2000):
        await pilot.pause()
        if holds():
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"it never came; the screen says: {said(pilot)}")


def screen_of(pilot: Pilot[int]) -> MigrationsScreen:
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, MigrationsScreen))


async def settled(pilot: Pilot[int]) -> None:
    screen = screen_of(pilot)
    await until(pilot, lambda: not screen._looks.busy and not screen._work.busy and "looking" not in said(pilot))
    await pilot.pause()


def said(pilot: Pilot[int]) -> str:
    screen = screen_of(pilot)
    return "\n".join(
        str(screen.query_one(f"#{name}", Static).content) for name in ("migrations-summary", "migrations-progress")
    )


def sql(pilot: Pilot[int]) -> str:
    return str(screen_of(pilot).query_one("#sql Static", Static).content)


def listed(pilot: Pilot[int]) -> list[list[str]]:
    table = screen_of(pilot).query_one(LedgerTable)
    return [[cell.plain for cell in table.get_row_at(row)] for row in range(table.row_count)]


def run(body: Callable[[], object]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


def test_the_list_stands_on_the_first_undone_migration_and_shows_its_sql(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room) as (_, pilot):
            assert [row[:3] for row in listed(pilot)] == [
                ["0001_first", "✓ applied", "1/1"],
                ["0002_second", "! pending", "0/2"],
            ]
            assert "1 applied, 1 pending, 0 drifted. d rehearses, a applies." in said(pilot)
            assert "-- statement 2 of 2, line 3 of 0002_second.sql  pending" in sql(pilot)
            assert "'[red]x[/red]'" in sql(pilot), "brackets are text"
            await pilot.press("up")
            await pilot.pause()
            assert "CREATE TABLE one" in sql(pilot)

    run(body)


def test_a_rehearsal_says_of_each_statement_whether_it_parses_and_runs_nothing(room: StillRoom, files: Path) -> None:
    (files / "0003_bad.sql").write_text("CREATE TABLE ok (a UInt8) ENGINE = Memory;\nCREATE TABEL bad (a UInt8);\n")

    async def body() -> None:
        async with opened(room) as (_, pilot):
            await pilot.press("d")
            await settled(pilot)
            assert "1 of 4 statements cannot be parsed" in said(pilot)
            assert "the engine can parse it" in sql(pilot)
            assert "cannot be parsed: " in sql(pilot), "the cursor stands on the bad one"

    run(body)
    assert room.engine is not None
    assert migration_work.look(room.engine).pending == 2


def test_applying_asks_with_no_as_the_default_and_names_what_and_where(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room) as (app, pilot):
            await pilot.press("a")
            await pilot.pause()
            assert isinstance(app.screen, Question)
            asked = str(app.screen.query_one("VerticalScroll Static", Static).content)
            assert "Apply 1 migration (2 statements)" in asked
            assert room.engine is not None
            assert room.engine.database in asked
            assert ("the embedded store in" if room.engine.embedded_directory else room.engine.url) in asked
            assert "0002_second" in asked
            assert app.focused is app.screen.query_one("#no")
            await pilot.press("enter")
            await settled(pilot)
            assert listed(pilot)[1][1] == "! pending"

    run(body)
    assert ("schema_changed", None) not in room.told


def test_what_changes_behind_the_screen_is_seen_and_the_room_is_told_once(room: StillRoom, files: Path) -> None:
    async def body() -> None:
        async with opened(room) as (app, pilot):
            assert ("schema_changed", None) not in room.told
            (files / "0003_third.sql").write_text("CREATE VIEW four AS SELECT a FROM one;\n")
            for _ in range(2):
                later(app, LOOK_EVERY_SECONDS + 1)
                app.post_message(SnapshotTaken(scenes.RUNNING, SourceKind.LIVE))
                await settled(pilot)
            assert listed(pilot)[2][0] == "0003_third"

    run(body)
    assert room.told.count(("schema_changed", None)) == 1


@pytest.mark.parametrize(("key", "pending"), [("y", 0), ("n", 1), ("escape", 1)])
def test_the_question_is_answered_by_one_key(room: StillRoom, key: str, pending: int) -> None:
    async def body() -> None:
        async with opened(room) as (_, pilot):
            await pilot.press("a")
            await pilot.pause()
            await pilot.press(key)
            await settled(pilot)

    run(body)
    assert room.engine is not None
    assert migration_work.look(room.engine).pending == pending


def test_after_yes_every_statement_is_applied_and_the_room_is_told(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room) as (_, pilot):
            await pilot.press("a")
            await pilot.pause()
            await pilot.click("#yes")
            await until(pilot, lambda: "Applied in" in said(pilot))
            await settled(pilot)
            assert listed(pilot)[1][:3] == ["0002_second", "✓ applied", "2/2"]
            assert "applied in" in sql(pilot)
            assert "Nothing to do." in said(pilot)

    run(body)
    assert ("schema_changed", None) in room.told


def test_a_failure_says_what_to_do_and_applying_again_resumes_there(room: StillRoom, files: Path) -> None:
    (files / "0002_second.sql").write_text(
        "CREATE VIEW two AS SELECT 1 AS a;\nCREATE VIEW three AS SELECT a FROM gone;\n"
    )

    async def body() -> None:
        async with opened(room) as (_, pilot):
            await pilot.press("a")
            await pilot.pause()
            await pilot.click("#yes")
            await until(pilot, lambda: "failed at statement 2 of 2" in said(pilot))
            await settled(pilot)
            assert listed(pilot)[1][1:3] == ["!! halfway", "1/2"]
            assert "it resumes there" in said(pilot)
            assert "gone" in sql(pilot)
            assert room.engine is not None
            with room.engine.open(writes=False) as handle:
                handle.run("CREATE TABLE gone (a UInt8) ENGINE = Memory")
            await pilot.press("a")
            await pilot.pause()
            asked = str(pilot.app.screen.query_one("VerticalScroll Static", Static).content)
            assert "0002_second (from statement 2 on)" in asked
            await pilot.click("#yes")
            await until(pilot, lambda: "Applied in" in said(pilot))
            await settled(pilot)
            assert listed(pilot)[1][1] == "✓ applied"

    run(body)


def test_drift_is_refused_with_the_way_out_and_allowed_only_by_typing(room: StillRoom, files: Path) -> None:
    (files / "0001_first.sql").write_text(FIRST.replace("one", "other"))

    async def body() -> None:
        async with opened(room) as (app, pilot):
            assert listed(pilot)[0][1] == "!! changed"
            await pilot.press("a")
            await pilot.pause()
            assert isinstance(app.screen, Reading)
            assert "Restore the file" in str(app.screen.query_one(Static).content)
            await pilot.press("escape")
            await pilot.press("A")
            await pilot.pause()
            assert isinstance(app.screen, Question)
            assert app.screen.query_one("#yes", Button).disabled
            assert room.engine is not None
            app.screen.query_one(Input).value = room.engine.database
            await pilot.pause()
            await pilot.click("#yes")
            await until(pilot, lambda: "Applied in" in said(pilot))

    run(body)


def test_a_statement_that_throws_data_away_must_be_typed_for(room: StillRoom, files: Path) -> None:
    (files / "0003_drop.sql").write_text("-- DROP TABLE is only a comment here\nDROP TABLE IF EXISTS one;\n")

    async def body() -> None:
        async with opened(room) as (app, pilot):
            await pilot.press("a")
            await pilot.pause()
            assert app.screen.query_one("#yes", Button).disabled
            assert "throw data away:\n  DROP TABLE IF EXISTS one" in str(
                app.screen.query_one("VerticalScroll Static", Static).content
            )
            assert room.engine is not None
            *most, last = room.engine.database
            await pilot.press(*most, "enter")
            assert isinstance(app.screen, Question)
            await pilot.press(last, "enter")
            await settled(pilot)

    run(body)
    assert room.engine is not None
    assert migration_work.look(room.engine).pending == 0


def test_a_running_harvest_is_paused_first_and_goes_on_afterwards(room: StillRoom) -> None:
    running = replace(scenes.RUNNING, queues=(scenes.queue(), scenes.queue("cxapi:pc", state=QueueState.PAUSED)))
    paused = replace(running, queues=tuple(replace(q, state=QueueState.PAUSED) for q in running.queues))

    async def body() -> None:
        async with opened(room) as (app, pilot):
            app.post_message(SnapshotTaken(running, SourceKind.LIVE))
            await pilot.pause()
            await pilot.press("a")
            await pilot.pause()
            assert "The harvest is paused meanwhile" in str(
                app.screen.query_one("VerticalScroll Static", Static).content
            )
            await pilot.click("#yes")
            await pilot.pause()
            assert room.told[-1] == ("pause", "psapi:pc")
            assert "pausing the harvest" in said(pilot)
            app.post_message(SnapshotTaken(paused, SourceKind.LIVE))
            await until(pilot, lambda: "Applied in" in said(pilot))

    run(body)
    assert [told for told in room.told if told[0] in {"pause", "resume", "schema_changed"}] == [
        ("pause", "psapi:pc"),
        ("resume", "psapi:pc"),
        ("schema_changed", None),
    ]


def test_it_goes_on_while_another_screen_is_in_front_and_the_picture_is_frozen(room: StillRoom) -> None:
    running = replace(scenes.RUNNING, queues=(scenes.queue(),))
    paused = replace(running, queues=(scenes.queue(state=QueueState.PAUSED),))

    async def body() -> None:
        async with opened(room) as (app, pilot):
            app.post_message(SnapshotTaken(running, SourceKind.LIVE))
            screen = screen_of(pilot)
            await pilot.press("a")
            await pilot.pause()
            await pilot.press("y", "1", "p")
            await pilot.pause()
            app.post_message(SnapshotTaken(paused, SourceKind.LIVE))
            await pilot.pause()
            screen._go_on_when_paused()  # as its timer does every second
            for _ in range(2000):
                await pilot.pause()
                if ("resume", "psapi:pc") in room.told:
                    break
                await asyncio.sleep(0.005)

    run(body)
    assert ("resume", "psapi:pc") in room.told
    assert room.engine is not None
    assert migration_work.look(room.engine).pending == 0


def test_a_harvest_that_does_not_pause_keeps_the_schema_as_it_is(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room) as (app, pilot):
            app.post_message(SnapshotTaken(scenes.RUNNING, SourceKind.LIVE))
            await pilot.pause()
            await pilot.press("a")
            await pilot.pause()
            await pilot.click("#yes")
            await pilot.pause()
            later(app, 31)
            app._draw()
            await pilot.pause()
            assert "nothing was applied" in said(pilot)
            assert listed(pilot)[1][1] == "! pending"

    run(body)
    assert ("resume", "psapi:pc") in room.told


def test_a_store_that_cannot_be_asked_is_said_and_asked_again(room: StillRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    from harvester.store.errors import StoreError, StoreFault

    real = migration_work.look
    lost = True

    def look(engine: Engine) -> object:
        if lost:
            raise StoreError(StoreFault.UNREACHABLE, "[/x] no \x1b[31mroute")
        return real(engine)

    monkeypatch.setattr(migration_work, "look", look)

    async def body() -> None:
        nonlocal lost
        async with opened(room) as (app, pilot):
            assert "[/x] no ·[31mroute Check that the server runs" in said(pilot)
            lost = False
            later(app, 6)
            app._draw()
            await settled(pilot)
            assert "1 pending" in said(pilot)

    run(body)


def test_who_only_watches_cannot_apply(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room) as (app, pilot):
            app.post_message(RoomChanged(replace(scenes.READY, monitor=True)))
            await pilot.pause()
            await pilot.press("a", "A")
            await pilot.pause()
            assert isinstance(app.screen, MigrationsScreen)

    run(body)


@pytest.fixture(autouse=True)
def _no_threads_left(stall_watch: StallWatch) -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("migrations"):
            thread.join(10)
    forgive_lock_waits(stall_watch)
