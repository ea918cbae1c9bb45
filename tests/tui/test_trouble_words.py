"""Trouble has the same words in a queue's row, in the line below the header and in the runbook, and keys that help."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.snapshot import QueueState, Trouble
from poe_ledger_tui import scenes
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
