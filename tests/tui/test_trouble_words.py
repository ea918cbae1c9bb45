"""Trouble has the same words in a queue's row, in the line below the header and in the runbook, and keys that help."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.snapshot import QueueSnapshot, QueueState, Trouble
from poe_ledger_tui import scenes
from poe_ledger_tui.messages import SchemaState
from tests.soak.operators_week.runbook import section
from tests.tui.bench import on_stage

APP = Path(__file__).parents[2] / "poe_ledger_tui"
WORD = re.compile(r'"((?:!!?|[●○‖…?]) [A-Z][A-Z ]+?)[ :]*[{"]|"((?:!!? )[A-Z][A-Z ]+): ')
SAY_WORDS = ("queue_words.py", "widgets/header.py", "widgets/banner.py")


@pytest.mark.parametrize("file", SAY_WORDS)
def test_every_word_of_state_is_explained_in_the_runbook(file: str) -> None:
    found = [first or second for first, second in WORD.findall((APP / file).read_text("utf-8"))]
    explained = re.findall(r"`([^`]+)`", section("The terminal app").text)

    assert len(found) > 2
    assert [word for word in found if word not in explained] == []


@pytest.mark.parametrize(
    ("state", "lag", "word"),
    [
        (QueueState.FAILED, 3.0, "!! FAILED"),
        (QueueState.RETRYING, 3.0, "! RETRYING"),
        (QueueState.RETRYING, 250.0, "!! STALLED"),
    ],
)
def test_the_line_below_the_header_has_the_word_of_the_row(state: QueueState, lag: float, word: str) -> None:
    trouble = Trouble("psapi_pc.json cannot be read", scenes.NOW - 60, 2, None)

    async def lines() -> list[str]:
        async with on_stage(scenes.snapshot(scenes.queue(state=state, lag=lag, trouble=trouble))) as stage:
            return stage.lines()

    shown = asyncio.run(lines())
    assert f"{word} for 1m 00s: psapi_pc.json cannot be read" in shown[1]
    assert word in next(line for line in shown if "psapi:pc " in line)


RESTRICTED = scenes.queue(
    state=QueueState.RESTRICTED, lag=30.0, trouble=Trouble("rate limited", scenes.NOW - 30, 0, scenes.NOW + 9)
)


@pytest.mark.parametrize(
    ("queue", "words"),
    [
        (RESTRICTED, "! RESTRICTED for 30 s, next try in 9 s: rate limited"),
        (scenes.queue(lag=250.0), "!! BEHIND: no page of psapi:pc for 4m 10s — waiting for an answer"),
    ],
)
def test_what_holds_a_queue_up_is_told_below_the_header(queue: QueueSnapshot, words: str) -> None:
    async def line() -> str:
        async with on_stage(scenes.snapshot(queue, scenes.queue("psapi:sony"))) as stage:
            return stage.lines()[1]

    assert words in asyncio.run(line())


def test_a_first_start_that_failed_is_told_what_failed_and_no_first_steps() -> None:
    new = replace(
        scenes.NOT_STARTED.queues[0], state=QueueState.FAILED, trouble=Trouble("damaged", scenes.NOW, 1, None)
    )

    async def text() -> str:
        async with on_stage(scenes.snapshot(new)) as stage:
            return stage.text()

    shown = asyncio.run(text())
    assert "damaged" in shown
    assert "First steps" not in shown


@pytest.mark.parametrize(("pending", "label"), [(1, "Review and apply"), (0, "Review ")])
def test_what_has_drifted_is_reviewed_and_not_applied(pending: int, label: str) -> None:
    async def text() -> str:
        room = replace(scenes.READY, schema=SchemaState(total=9, pending=pending, drifted=1))
        async with on_stage(scenes.RUNNING, room) as stage:
            return stage.text()

    shown = asyncio.run(text())
    assert label in shown
    assert ("and apply" in shown) == bool(pending)


def test_a_restricted_queue_does_not_call_itself_ok() -> None:
    async def row() -> str:
        async with on_stage(scenes.snapshot(scenes.queue(state=QueueState.RESTRICTED))) as stage:
            return next(line for line in stage.lines() if "psapi:pc " in line)

    assert "! RESTRICTED" in asyncio.run(row())


@pytest.mark.parametrize("wanted", [True, False])
def test_space_tries_a_blocked_harvest_again_whatever_was_wished_before(wanted: bool) -> None:
    async def told() -> list[tuple[str, object]]:
        async with on_stage(None, replace(scenes.BLOCKED, harvest_wanted=wanted)) as stage:
            await stage.press("space")
            return stage.told

    assert asyncio.run(told()) == [("want_harvest", True), ("retry_now", None)]
