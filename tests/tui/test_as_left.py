"""The app starts as it was left; the command line decides otherwise, and the demo starts by itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.clock import VirtualClock
from poe_ledger_tui import scenes
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.plans import make_plan
from poe_ledger_tui.prefs import AsLeft, load_prefs, save_prefs
from poe_ledger_tui.session import PlanError
from poe_ledger_tui.still import StillRoom
from poe_ledger_tui.wishes import Wishes, plain_wishes
from tests.tui.bench import on_stage


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("wish", "left", "starts"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True)],
)
def test_the_harvest_starts_as_it_was_left_unless_told_otherwise(wish: bool | None, left: bool, starts: bool) -> None:
    assert make_plan(Wishes(start=wish), AsLeft(harvesting=left)).start is starts


def test_a_demo_starts_by_itself_with_its_newest_migration_pending() -> None:
    plan = make_plan(Wishes(demo=True), AsLeft())

    assert plan.start
    assert plan.leave_newest_migration
    assert plan.transport is not None
    assert "poe-ledger --demo --headless status" in plan.farewell
    assert not make_plan(Wishes(demo=True, start=False), AsLeft()).start


def test_without_a_client_the_stash_queue_is_left_out_and_named() -> None:
    plan = make_plan(Wishes(feeds=["psapi"]), AsLeft())

    assert plan.queues == ()
    assert [queue.key for queue in plan.left_out] == ["psapi:pc"]


def test_what_cannot_be_used_is_told_in_the_words_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POE_REALMS", "atlantis")

    with pytest.raises(PlanError, match="POE_REALMS"):
        make_plan(Wishes(), AsLeft())


def test_leaving_remembers_whether_it_harvested_and_in_which_theme(tmp_path: Path) -> None:
    file = tmp_path / "state" / "app.json"
    room = StillRoom()
    app = LedgerApp(lambda _: room, prefs_file=file, clock=VirtualClock(scenes.NOW), ticking=False)

    async def leave() -> None:
        async with on_stage(scenes.RUNNING, replace(scenes.READY, harvest_wanted=True), app=app, still=room) as stage:
            await stage.press("ctrl+t", "q")

    asyncio.run(leave())

    assert load_prefs(file) == AsLeft(harvesting=True, theme="ledger-light")
    assert room.told[-1] == ("close", None)


def test_what_was_remembered_may_be_damaged_or_missing(tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    assert load_prefs(file) == AsLeft()
    for text in ("", "{", "[]", '{"harvesting": "yes", "theme": 1}'):
        file.write_text(text)
        assert not load_prefs(file).harvesting
    save_prefs(file, AsLeft(harvesting=True, theme="x"))
    assert load_prefs(file) == AsLeft(harvesting=True, theme="x")


def test_plain_opening_is_told_from_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poe_ledger_tui.wishes.on_a_terminal", lambda: True)
    assert plain_wishes([]) == Wishes()
    assert plain_wishes(["--demo", "--no-start"]) == Wishes(demo=True, start=False)
    assert plain_wishes(["--monitor"]) == Wishes(monitor=True)
    for arguments in (["--headless"], ["harvest"], ["--version"], ["--start", "--no-start"], ["--nonsense"]):
        assert plain_wishes(arguments) is None
    monkeypatch.setattr("poe_ledger_tui.wishes.on_a_terminal", lambda: False)
    assert plain_wishes([]) is None
