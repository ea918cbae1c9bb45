"""The dashboard: what it says about a harvest, and what its keys tell the engine room."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import wraps
from typing import Any

import pytest
from textual.css import stylesheet
from textual.events import Resize
from textual.geometry import Size

from harvester.events import Event, Level
from harvester.snapshot import QueueState, SpoolSnapshot
from harvester.snapshot_source import SourceKind
from poe_ledger_tui import scenes
from poe_ledger_tui.messages import EventsCame, RoomChanged, SnapshotTaken, SourceLost
from poe_ledger_tui.messages import Stage as AppStage
from tests.tui.bench import Stage, on_stage
from tests.tui.driving import later


def aio(test: Callable[..., Coroutine[object, object, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*given: object, **named: object) -> None:
        asyncio.run(test(*given, **named))

    return run


@aio
async def test_the_first_paint_needs_no_engine_and_opens_nothing_before_it() -> None:
    async with on_stage(None, scenes.COLD) as stage:
        text = stage.text()

    assert "Wraeclast Ledger" in text
    assert "OPENING" in text
    assert stage.room.told[0][0] == "begin"


@aio
async def test_every_figure_of_a_good_day_is_there() -> None:
    async with on_stage(scenes.RUNNING) as stage:
        text = stage.text()

    for figure in (
        "HARVESTING", "embedded 26.9 · 1.2 GB", "14:02:11Z", "up 3h 12m",
        "1.78 /s", "p50 312 ms", "p95 841 ms", "2xx 11,204", "429 2", "5xx 2",
        "public-stash-tabs-request-limit-pc", "Ip 2:1:60", "1 of 2 in 1 s", "pace 0.56 s", "next in 0.31 s",
        "psapi:pc", "cxapi:pc", "CAUGHT UP", "0 h", "next at 15:00",
        "61 stashes/s", "1.9 k items/s", "2.1 MB/s",
        "0.57→0.62 s", "0 pending", "0 drifted", "asking again at 15:00",
    ):  # fmt: skip
        assert figure in text, figure


@aio
async def test_amber_red_and_failed_are_words_and_not_only_colours() -> None:
    async with on_stage(
        scenes.snapshot(
            scenes.queue(),
            scenes.queue("psapi:xbox", lag=24.0),
            scenes.queue("psapi:sony", lag=250.0),
            scenes.queue("cxapi:pc", state=QueueState.FAILED),
        )
    ) as stage:
        rows = {line.split()[1]: line for line in stage.lines() if ":pc " in line or ":xbox" in line or ":sony" in line}

    assert " OK " in rows["psapi:pc"]
    assert "! AMBER" in rows["psapi:xbox"]
    assert "!! RED" in rows["psapi:sony"]
    assert "4m 10s" in rows["psapi:sony"]
    assert "13:58" in rows["psapi:sony"]
    assert "!! FAILED" in rows["cxapi:pc"]


@aio
async def test_figures_grow_old_in_sight_when_their_source_stops() -> None:
    async with on_stage(scenes.RUNNING, now=scenes.NOW + 42) as stage:
        text = stage.text()
        assert "STALE 42 s" in text
        assert "as of 14:02:11Z" in text
        assert "45 s" in next(line for line in stage.lines() if "psapi:pc" in line)  # the lag goes on growing

        await stage.post(SourceLost("the harvest in /data says nothing any more", 3))
        assert "DISCONNECTED" in stage.text()
        assert "says nothing any more" in stage.text()

        await stage.post(SnapshotTaken(replace(scenes.RUNNING, taken_at=scenes.NOW + 42), SourceKind.ATTACHED))
        assert "DISCONNECTED" not in stage.text()
        assert "as of" not in stage.text()


@aio
async def test_freezing_holds_the_picture_and_says_since_when() -> None:
    next_one = replace(scenes.RUNNING, requests=replace(scenes.RUNNING.requests, ok=99_999))
    async with on_stage(scenes.RUNNING) as stage:
        await stage.press("p")
        await stage.post(SnapshotTaken(next_one, SourceKind.LIVE))
        assert "FROZEN at 14:02:11Z" in stage.text()
        assert "2xx 11,204" in stage.text()
        assert stage.told == []
        assert "as of" not in stage.text()  # of this second: no pane is painted for the key

        later(stage.app, 4)
        await stage.post(RoomChanged(scenes.READY))
        assert "as of 14:02:11Z" in stage.text()

        await stage.press("p")
        assert "FROZEN" not in stage.text()
        assert "2xx 99,999" in stage.text()


@aio
@pytest.mark.parametrize("size", [(120, 36), (70, 50)])
@pytest.mark.parametrize(("there", "away"), [("1", "4"), ("enter", "1")])
async def test_a_screen_is_right_again_whose_look_changed_while_another_was_in_front(
    there: str, away: str, size: tuple[int, int]
) -> None:
    async with on_stage(scenes.TROUBLED, theme="ledger-light", size=size) as new:
        await new.press(there)
        expected = new.cells()

    async with on_stage(scenes.TROUBLED) as stage:
        await stage.press(there, away)
        stage.app.theme = "ledger-light"
        await stage.pilot.resize_terminal(*size)
        await stage.press(there)
        assert stage.cells() == expected


@aio
async def test_the_screen_of_a_queue_is_made_once_and_shows_the_one_that_is_meant() -> None:
    async with on_stage(scenes.snapshot(scenes.queue(), scenes.queue("psapi:sony", lag=250.0))) as stage:
        await stage.press("enter")
        first = stage.app.screen
        assert "› psapi:pc" in stage.lines()[0]
        await stage.press("escape", "down", "enter")
        assert stage.app.screen is first
        assert "› psapi:sony" in stage.lines()[0]
        assert "─ psapi:sony ─" in stage.text()
        assert "!! RED" in stage.text()
        assert "psapi:pc" not in stage.text()


@aio
async def test_a_key_that_comes_twice_opens_one_thing() -> None:
    async with on_stage(scenes.TROUBLED, events=scenes.EVENTS) as stage:
        await stage.pilot.press("enter", "enter")
        await stage.settle()
        await stage.press("escape")
        assert "Checkpoints" in stage.text()

        await stage.press("4")
        await stage.pilot.press("enter", "enter", "enter")
        await stage.settle()
        await stage.press("escape")
        assert "what happened" in stage.lines()[2]
        assert len(stage.app.screen_stack) == 1


@aio
async def test_a_size_that_the_terminal_has_no_more_changes_nothing() -> None:
    async with on_stage(scenes.RUNNING, size=(120, 36)) as stage:
        before = stage.cells()
        stage.app.screen.post_message(Resize(Size(60, 20), Size(60, 20), Size(60, 20)))
        await stage.settle()
        assert not stage.app.screen.has_class("-narrow")
        assert stage.cells() == before


@aio
async def test_what_was_set_aside_is_never_cut_off() -> None:
    for size in ((120, 36), (200, 50), (80, 24)):
        async with on_stage(scenes.snapshot(scenes.queue(set_aside=3)), size=size) as stage:
            assert "! 3 set aside" in stage.text(), size


@aio
async def test_the_lost_store_is_told_with_its_tries_and_the_app_stays() -> None:
    async with on_stage(scenes.STORE_LOST) as stage:
        text = stage.text()
        assert "STORE LOST" in text
        assert "6 tries" in text
        assert "next try in 12 s" in text
        assert "132 pages wait for the store" in text

        await stage.post(RoomChanged(scenes.LOST))
        assert "3 tries" in stage.text()
        await stage.press("r")
        assert stage.told == [("retry_now", None)]

        await stage.post(RoomChanged(scenes.READY), SnapshotTaken(scenes.RUNNING, SourceKind.LIVE))
        assert "LOST" not in stage.text()
        assert "wait for the store" not in stage.text()


@aio
async def test_a_restriction_counts_down() -> None:
    async with on_stage(scenes.RESTRICTED, now=scenes.NOW + 2) as stage:
        assert "RESTRICTED, 40 s more" in stage.text()


@aio
async def test_space_stops_and_starts_the_harvest() -> None:
    stopped = scenes.snapshot(scenes.queue(state=QueueState.STOPPED))
    async with on_stage(scenes.RUNNING) as stage:
        assert "Stop" in stage.lines()[-1]
        await stage.press("space")
        await stage.post(SnapshotTaken(stopped, SourceKind.LIVE))
        assert "STOPPED" in stage.lines()[0]
        assert "Start" in stage.lines()[-1]
        await stage.press("space")

    assert stage.told == [("want_harvest", False), ("want_harvest", True)]


@pytest.mark.parametrize(
    ("state", "key", "told"),
    [
        (QueueState.HARVESTING, "s", ("stop_queue", "psapi:pc")),
        (QueueState.STOPPED, "s", ("start_queue", "psapi:pc")),
        (QueueState.FAILED, "s", ("start_queue", "psapi:pc")),
        (QueueState.HARVESTING, "z", ("pause", "psapi:pc")),
        (QueueState.PAUSED, "z", ("resume", "psapi:pc")),
        (QueueState.HARVESTING, "P", ("pause", None)),
        (QueueState.PAUSED, "P", ("resume", None)),
    ],
)
@aio
async def test_one_queue_or_all_are_started_stopped_and_paused(
    state: QueueState, key: str, told: tuple[str, object]
) -> None:
    async with on_stage(scenes.snapshot(scenes.queue(state=state))) as stage:
        await stage.press(key)
        assert stage.told == [told]
        await stage.press("enter")
        assert "Newest pages" in stage.text()
        await stage.press(key)

    assert stage.told == [told, told]


@aio
async def test_who_only_watches_can_change_nothing() -> None:
    async with on_stage(scenes.RUNNING, replace(scenes.READY, stage=AppStage.WATCHING, monitor=True)) as stage:
        await stage.press("space", "P", "s", "z")
        assert stage.told == []
        await stage.press("enter", "s", "z")
        assert stage.told == []


@aio
async def test_the_detail_view_tells_everything_of_a_queue_and_leads_back() -> None:
    events = (Event(scenes.NOW, Level.WARNING, "psapi:xbox", "a line of this queue"),)
    async with on_stage(scenes.TROUBLED, events=events) as stage:
        await stage.press("down", "enter")
        text = stage.text()
        for words in (
            "psapi:xbox",
            "RETRYING",
            "last progress",
            scenes.CURSOR,
            "503 from the API",
            "a line of this queue",
        ):
            assert words in text, words
        await stage.press("escape")
        assert "Checkpoints" in stage.text()


@aio
async def test_without_a_client_it_says_what_works_and_what_is_missing_until_something_runs() -> None:
    async with on_stage(scenes.NOT_STARTED, scenes.EMPTY) as stage:
        text = stage.text()
        for words in (
            "First steps",
            "POE_OAUTH_CLIENT_ID",
            "POE_CONTACT",
            ".env",
            "--demo",
            "The currency exchange needs none",
        ):
            assert words in text, words
        assert "NO CLIENT" in text

        await stage.post(SnapshotTaken(scenes.snapshot(scenes.CAUGHT_UP), SourceKind.LIVE))
        assert "First steps" not in stage.text()
        assert "NO CLIENT" in stage.text()
        await stage.press("down", "enter")
        assert "POE_OAUTH_CLIENT_ID" in stage.text()


@aio
async def test_the_spool_shows_only_while_something_waits() -> None:
    async with on_stage(scenes.RUNNING) as stage:
        assert "Spool" not in stage.text()
        in_hand = replace(scenes.RUNNING, spool=SpoolSnapshot(2, 4_000_000, 2_000_000_000))
        await stage.post(SnapshotTaken(in_hand, SourceKind.LIVE))
        assert "Spool" not in stage.text()  # the pages in hand are no news
        waiting = replace(scenes.RUNNING, spool=SpoolSnapshot(1, 1_950_000_000, 2_000_000_000))
        await stage.post(SnapshotTaken(waiting, SourceKind.LIVE))
        assert "!! 1 page waits" in stage.text()


@aio
async def test_the_cursor_of_an_exchange_queue_is_an_hour_wherever_it_stands() -> None:
    async with on_stage(scenes.snapshot(scenes.CAUGHT_UP), size=(200, 60)) as stage:
        table = stage.text()
        await stage.press("enter")
        detail = stage.text()

    assert scenes.CAUGHT_UP.cursor == "1763989200"
    assert "2025-11-24 13:00" in table
    for words in ("cursor        2025-11-24 13:00", "next cursor   2025-11-24 14:00"):
        assert words in detail, words
    assert "17639" not in table + detail


@aio
async def test_another_theme_reaches_what_has_not_changed_its_words() -> None:
    def colours(stage: Stage) -> dict[str, object]:
        """Of the table's words and the banner's."""
        strips = stage.app.screen._compositor.render_strips(stage.app.size)
        return {s.text.strip(): s.style.color for strip in strips for s in strip if s.style is not None}

    async with on_stage(
        scenes.TROUBLED, room=replace(scenes.READY, stage=AppStage.BLOCKED, words="the schema")
    ) as stage:
        dark = colours(stage)
        stage.app.theme = "ledger-light"
        await stage.settle()
        light = colours(stage)

    for words in ("!! FAILED", "OK", "CAUGHT UP"):
        assert dark[words] != light[words], words
    assert all(dark[words] != light[words] for words in dark if words.startswith("!! NOT HARVESTING"))


@aio
async def test_every_screen_is_shown_with_the_style_sheet_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = stylesheet.parse

    def counted(scope: str, css: str, read_from: tuple[str, str], **named: Any) -> Any:
        parsed.append(read_from[0])
        return parse(scope, css, read_from, **named)

    monkeypatch.setattr(stylesheet, "parse", counted)
    async with on_stage() as stage:
        await stage.press("2", "3", "4", "1")
        once = [path for path in parsed if path.endswith("ledger.tcss")]
        stage.app.theme = "ledger-light"
        await stage.settle()

    assert len(once) == 1
    assert len([path for path in parsed if path.endswith("ledger.tcss")]) == 2  # other colours need another parse


@aio
async def test_rows_are_changed_in_place_so_that_the_cursor_stays() -> None:
    async with on_stage(scenes.TROUBLED) as stage:
        await stage.press("down", "down")
        moved = scenes.snapshot(*(replace(queue, lag_seconds=1.0) for queue in scenes.TROUBLED.queues))
        await stage.post(SnapshotTaken(moved, SourceKind.LIVE))
        await stage.press("s")

    assert stage.told == [("start_queue", "psapi:sony")]  # the third row, which has failed


@aio
async def test_pending_migrations_show_a_button_that_leads_there() -> None:
    async with on_stage(scenes.RUNNING, scenes.PENDING) as stage:
        assert "pending 2" in stage.lines()[0]
        await stage.pilot.click("#review")
        await stage.settle()
        assert "Migrations" in stage.lines()[0]


@aio
async def test_an_error_is_a_toast_and_a_warning_is_not() -> None:
    async with on_stage(scenes.RUNNING) as stage:
        await stage.post(
            EventsCame(
                (
                    Event(scenes.NOW, Level.WARNING, "psapi:pc", "a warning"),
                    Event(scenes.NOW, Level.ERROR, "psapi:pc", "an error [/x]"),
                )
            )
        )
        toasts = [notification.message for notification in stage.app._notifications]

    assert toasts == ["psapi:pc: an error [/x]"]
