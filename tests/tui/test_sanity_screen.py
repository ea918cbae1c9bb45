"""The sanity screen over the real engine: verdicts, the editor, cancelling, saving, and hostile text."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList, Static

from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from poe_ledger_tui.query_desk import QueryDesk
from poe_ledger_tui.screens.dialog import Reading
from poe_ledger_tui.screens.export import ExportScreen
from poe_ledger_tui.screens.sanity import SanityScreen
from poe_ledger_tui.still import StillRoom
from tests.tui.driving import cells, forgive_lock_waits, later, opened, run, text_of, until
from tests.tui.stall_watch import StallWatch

HOSTILE = "[/x][red]\x1b[31m\x1b]52;c;aGk=\x07 \u202egpj.exe \x00 e\u0301\u0301\u0301\u0301\u0301\u0301\u0301"


@dataclass
class Settings:
    cursor_dir: Path


@dataclass
class Plan:
    """What the pane asks of a plan: where the history lies."""

    settings: Settings
    demo: bool = True


@pytest.fixture
def room(engine: Engine, tmp_path: Path) -> StillRoom:
    still = StillRoom()
    still.engine = engine  # type: ignore[assignment]
    still.plan = Plan(Settings(tmp_path / "cursors"))  # type: ignore[assignment]
    return still


@pytest.fixture
def check_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from harvester.store import schema_files

    directory = tmp_path / "sanity"
    directory.mkdir()
    (directory / "bronze.sql").write_text(
        "USE poe_trade;\n-- title: There are rows\n-- verdict: red when rows = 0\nSELECT count() AS rows FROM t;\n"
        "-- title: The engine [is] there\n-- verdict: red when one != 1\nSELECT 1 AS one;\n"
    )
    monkeypatch.setattr(schema_files, "sanity_directory", lambda: directory)
    return directory


def screen_of(pilot: Pilot[int]) -> SanityScreen:
    return next(screen for screen in pilot.app.screen_stack if isinstance(screen, SanityScreen))


def status(pilot: Pilot[int]) -> str:
    return text_of(screen_of(pilot).query_one("#query-status", Static))


async def ask(pilot: Pilot[int], sql: str) -> None:
    pane = screen_of(pilot).query_pane
    before = pane._query._generation
    pane.editor.load(sql)
    await pilot.press("f5")
    await until(pilot, lambda: pane._query._generation > before and not pane.running, "the answer")
    await pilot.pause()


# ── Checks ──


def test_a_check_is_red_and_then_green_and_keeps_its_age(room: StillRoom, handle: Handle, check_files: Path) -> None:
    handle.run("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")

    async def body() -> None:
        async with opened(room, "3") as (app, pilot):
            pane = screen_of(pilot).checks
            table = pane.query_one("#checks-table")
            await until(pilot, lambda: table.row_count == 2, "the checks")  # type: ignore[attr-defined]
            assert [row[:2] for row in cells(table)] == [  # type: ignore[arg-type]
                ["– not run", "There are rows"],
                ["– not run", "The engine [is] there"],
            ]
            await pilot.press("a")
            await until(pilot, lambda: not pane.running, "the verdicts")
            rows = cells(table)  # type: ignore[arg-type]
            assert [row[0] for row in rows] == ["!! red", "✓ green"]
            assert "rows = 0" in rows[0][2]
            assert "1 red" in text_of(pane.query_one("#checks-summary", Static))
            handle.run("INSERT INTO t VALUES (1)")
            later(app, 75)
            await pilot.press("x")
            await until(pilot, lambda: not pane.running, "the verdict")
            rows = cells(table)  # type: ignore[arg-type]
            assert [(row[0], row[5]) for row in rows] == [("✓ green", "0 s"), ("✓ green", "1m 15s")]
            await pilot.press("enter")
            await pilot.pause()
            assert isinstance(app.screen, Reading)
            assert "SELECT count() AS rows FROM t" in text_of(app.screen.query_one(Static))

    run(body)


def test_a_lost_store_is_said_and_the_next_run_heals(
    room: StillRoom, check_files: Path, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle.run("CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a")
    real = Engine.open_read_only

    def lost(*_: object, **__: object) -> Handle:
        raise StoreError(StoreFault.UNREACHABLE, "nobody at home")

    async def body() -> None:
        async with opened(room, "3") as (_, pilot):
            screen = screen_of(pilot)
            await until(pilot, lambda: bool(screen.checks._checks), "the checks")
            monkeypatch.setattr(Engine, "open_read_only", lost)
            await pilot.press("a")
            await until(pilot, lambda: not screen.checks.running, "the end")
            assert "nobody at home Check that the server runs" in text_of(screen.query_one("#checks-summary", Static))
            await pilot.press("e")
            await ask(pilot, "SELECT 1")
            assert "nobody at home" in status(pilot)
            monkeypatch.setattr(Engine, "open_read_only", real)
            await ask(pilot, "SELECT 1")
            assert status(pilot).startswith("1 row in")
            await pilot.press("escape", "escape", "a")
            summary = screen.query_one("#checks-summary", Static)
            await until(pilot, lambda: "1 red" in text_of(summary), "the verdicts")

    run(body)


# ── The editor ──


def test_a_query_is_answered_with_its_figures_and_null_is_shown(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room, "3") as (app, pilot):
            await pilot.press("e")
            await ask(pilot, "SELECT number AS n, if(n = 1, NULL, 'x') AS s FROM numbers(3)")
            table = screen_of(pilot).query_pane.table
            assert [str(column.label) for column in table.ordered_columns] == ["n", "s"]
            assert cells(table) == [["0", "x"], ["1", "NULL"], ["2", "x"]]
            assert status(pilot).startswith("3 rows in ")
            assert "3 read" in status(pilot)
            assert "q" not in screen_of(pilot).query_pane.editor.text
            await pilot.press("q", "3", "space")
            assert screen_of(pilot).query_pane.editor.text.endswith("q3 "), "what is typed goes into the editor"
            assert app.screen is screen_of(pilot)

    run(body)


def test_what_is_refused_and_what_fails_is_said_and_the_last_result_stays(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room, "3") as (_, pilot):
            await pilot.press("e")
            await ask(pilot, "SELECT 7 AS seven")
            await ask(pilot, "DROP TABLE t")
            assert "DROP is not among the statements that are run here. Nothing was run." in status(pilot)
            await ask(pilot, "SELECT [/x] nope")
            assert "Syntax error" in status(pilot) or "cannot be read" in status(pilot)
            assert cells(screen_of(pilot).query_pane.table) == [["7"]]
            assert "The rows below are those of the query before." in status(pilot)
            await pilot.press("f8")
            await pilot.pause()
            assert isinstance(pilot.app.screen, SanityScreen), "rows of another query are not saved under this one"
            await ask(pilot, "SELECT 8 AS eight")
            assert "The rows below" not in status(pilot)
            await pilot.press("f8")
            await pilot.pause()
            assert isinstance(pilot.app.screen, ExportScreen)

    run(body)


def test_a_result_has_pages_and_says_that_it_was_cut(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room, "3") as (_, pilot):
            await pilot.press("e")
            await ask(pilot, "SELECT number FROM numbers(20000)")
            pane = screen_of(pilot).query_pane
            assert "page 1 of 50" in status(pilot)
            assert "cut off after 10,000 rows; there are more" in status(pilot)
            await pilot.press("escape", "n")
            await pilot.pause()
            assert "page 2 of 50" in status(pilot)
            assert cells(pane.table)[0] == ["200"]
            await pilot.press("b", "b")
            await pilot.pause()
            assert pane.table.page == 1

    run(body)


def test_hostile_text_is_drawn_harmlessly_and_long_values_are_cut_on_the_screen_only(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room, "3") as (app, pilot):
            await pilot.press("e")
            quoted = HOSTILE.replace("\x00", "\\0")
            await ask(pilot, f"SELECT '{quoted}' AS `[/y]\u202e`, repeat('w', 10000) AS long, range(100000) AS many")
            pane = screen_of(pilot).query_pane
            (row,) = cells(pane.table)
            assert row[0].startswith("[/x][red]·[31m·]52;c;aGk=· ·gpj.exe · e")
            assert len(row[1]) == 200
            assert row[1].endswith("…")
            assert len(row[2]) <= 200
            result = pane.table.result
            assert result is not None
            assert len(result.rows[0][1]) == 10_000, "the result itself is whole"
            await pilot.press("escape", "enter")
            await pilot.pause()
            assert isinstance(app.screen, Reading)
            picture = app.export_screenshot()
            assert "\x1b" not in picture
            assert "\u202e" not in picture

    run(body)


def test_hostile_text_in_the_editor_is_shown_as_dots_and_kept_as_it_is(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room, "3") as (app, pilot):
            await pilot.press("e")
            editor = screen_of(pilot).query_pane.editor
            editor.load("SELECT '[/x] \x1b[31m \u202e'\n-- c\nFROM t /* open\nx")
            await pilot.pause()
            assert editor.area.get_line(0).plain == "SELECT '[/x] ·[31m ·'"
            assert "\x1b" in editor.text
            assert [str(span.style) != "" for span in editor.area.get_line(3).spans] == [True], "still in the comment"
            assert "\x1b" not in app.export_screenshot()

    run(body)


def test_a_running_query_is_cancelled_in_the_engine_and_the_app_answers_meanwhile(room: StillRoom) -> None:
    async def body() -> None:
        async with opened(room, "3") as (app, pilot):
            await pilot.press("e")
            pane = screen_of(pilot).query_pane
            pane.editor.load("SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 4")
            await pilot.press("f5")
            await pilot.pause()
            assert "running for 0 s   F4 cancels" in status(pilot)
            later(app, 12)
            app._draw()
            await pilot.pause()
            assert "running for 12 s" in status(pilot)
            await pilot.press("f5")
            await pilot.press("escape", "1")
            await pilot.pause()
            assert app.current_mode == "dashboard", "keys are answered meanwhile"
            await pilot.press("3", "f4")
            await until(pilot, lambda: not pane.running, "the end")
            assert status(pilot) == "The query was cancelled."
            await ask(pilot, "SELECT 1")
            assert status(pilot).startswith("1 row in")

    run(body)


def test_a_query_is_cancelled_even_before_the_engine_has_it(room: StillRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = threading.Event()
    real = QueryDesk._remember

    def remember(desk: QueryDesk, sql: str, history: Path | None) -> object:
        slow.wait(10)
        return real(desk, sql, history)

    monkeypatch.setattr(QueryDesk, "_remember", remember)

    async def body() -> None:
        async with opened(room, "3") as (_, pilot):
            await pilot.press("e")
            pane = screen_of(pilot).query_pane
            pane.editor.load("SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 5")
            await pilot.press("f5")
            await pilot.press("f4")
            await until(pilot, lambda: not pane._cancel.busy, "the cancelling")
            slow.set()
            await until(pilot, lambda: not pane.running, "the end")
            assert status(pilot) == "The query was cancelled."

    run(body)


def test_earlier_queries_are_kept_on_disk_and_come_back(room: StillRoom, tmp_path: Path) -> None:
    async def first() -> None:
        async with opened(room, "3") as (_, pilot):
            await pilot.press("e")
            await ask(pilot, "SELECT 1")
            await ask(pilot, "SELECT 2")
            await ask(pilot, "SELEC 3")

    async def second() -> None:
        async with opened(room, "3") as (app, pilot):
            await pilot.press("e")
            pane = screen_of(pilot).query_pane
            await until(pilot, lambda: len(pane._history) == 3, "the history")
            pane.editor.load("draft")
            await pilot.press("ctrl+up", "ctrl+up")
            assert pane.editor.text == "SELECT 2"
            await pilot.press("ctrl+down", "ctrl+down")
            assert pane.editor.text == "draft"
            await pilot.press("f3")
            await pilot.pause()
            choices = app.screen.query_one(OptionList)
            assert [str(option.prompt) for option in choices.options] == ["SELEC 3", "SELECT 2", "SELECT 1"]
            app.screen.query_one(Input).value = "1"
            await pilot.pause()
            await pilot.press("enter")
            await pilot.pause()
            assert pane.editor.text == "SELECT 1"

    run(first)
    file = tmp_path / "queries.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    run(second)


def test_names_are_completed_while_one_types(room: StillRoom, handle: Handle) -> None:
    handle.run("CREATE TABLE listings (league String, price Float64) ENGINE = Memory")

    async def body() -> None:
        async with opened(room, "3") as (_, pilot):
            await pilot.press("e")
            pane = screen_of(pilot).query_pane
            await until(pilot, lambda: pane._names is not None, "the names")
            await pilot.press(*"from lis")
            choices = pane.query_one("#completions", OptionList)
            assert choices.display
            assert choices.get_option_at_index(0).id == "listings"
            await pilot.press("tab")
            assert pane.editor.text == "from listings"
            assert not choices.display
            await pilot.press(*" where lea", "down", "escape")
            assert not choices.display
            assert pane.editor.text == "from listings where lea"
            await pilot.press("tab")
            assert pane.editor.text == "from listings where league"
            await pilot.press("space", "tab")
            assert pane.editor.text == "from listings where league   ", "tab never leaves the editor"

    run(body)


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_a_result_is_saved_and_nothing_is_overwritten(room: StillRoom, tmp_path: Path, form: str) -> None:
    async def body() -> None:
        async with opened(room, "3") as (app, pilot):
            await pilot.press("e", "f8")
            await pilot.pause()
            assert app.screen is screen_of(pilot), "there is nothing to save yet"
            await ask(pilot, "SELECT 1 AS a, '=x' AS b")
            for said in (f"Saved: {tmp_path}", "nothing is overwritten"):
                await pilot.press("f8")
                await pilot.pause()
                app.screen.query_one(Input).value = str(tmp_path / "result.csv")
                await pilot.click(f"#{form}")
                await until(
                    pilot,
                    lambda said=said: any(said in toast.message for toast in app._notifications),  # type: ignore[misc]
                    said,
                )

    run(body)
    text = (tmp_path / f"result.{form}").read_text()
    expected: Any = {"csv": "a,b\n1,'=x\n", "jsonl": '{"a": 1, "b": "=x"}\n'}
    assert text == expected[form] if form != "json" else json.loads(text)["rows"] == [[1, "=x"]]


def test_a_late_answer_of_a_forgotten_query_changes_nothing(room: StillRoom) -> None:
    from poe_ledger_tui.messages import JobEnded

    async def body() -> None:
        async with opened(room, "3") as (_, pilot):
            await pilot.press("e")
            await ask(pilot, "SELECT 1 AS a")
            pane = screen_of(pilot).query_pane
            pane.post_message(JobEnded("query", 0, "late", None))
            await pilot.pause()
            assert cells(pane.table) == [["1"]]

    run(body)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 60)])
def test_every_size_shows_editor_and_result(room: StillRoom, size: tuple[int, int]) -> None:
    async def body() -> None:
        async with opened(room, "3", size) as (_, pilot):
            await pilot.press("e")
            await pilot.pause()
            pane = screen_of(pilot).query_pane
            assert pane.editor.area.size.height >= 3
            assert pane.table.size.height >= 4

    run(body)


@pytest.fixture(autouse=True)
def _no_threads_left(stall_watch: StallWatch) -> Iterator[None]:
    yield
    for thread in threading.enumerate():
        if thread.name.startswith(("query", "checks")):
            thread.join(10)
    forgive_lock_waits(stall_watch)
