"""The screens that look into the store, in every state that matters: golden files, and strangers' text in all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import pytest

from poe_ledger_tui import store_scenes
from poe_ledger_tui.query_desk import Remembered
from poe_ledger_tui.screens.migrations import MigrationsScreen
from poe_ledger_tui.screens.sanity import SanityScreen
from poe_ledger_tui.sql_colours import spans
from tests.tui.bench import Stage, on_stage
from tests.tui.driving import forgive_lock_waits
from tests.tui.golden_file import compare
from tests.tui.hostile import FORBIDDEN, TEXTS, poisoned, slice_of
from tests.tui.stall_watch import StallWatch


@pytest.fixture(autouse=True)
def _other_threads_may_wait(stall_watch: StallWatch) -> Iterator[None]:
    yield
    forgive_lock_waits(stall_watch)


@pytest.mark.parametrize("scene", store_scenes.SCENES, ids=lambda scene: scene[0])
def test_the_screen_is_as_it_was(scene: store_scenes.Scene) -> None:
    name, keys, prepare, size, theme = scene

    async def look() -> None:
        async with on_stage(size=size, theme=theme) as stage:
            await stage.press(*keys)
            stage.app.call_later(prepare, stage.app)
            await stage.settle()
            compare(f"store-{name}", stage.app)

    asyncio.run(look())


def harmless(stage: Stage) -> None:
    for line in stage.lines():
        assert not FORBIDDEN & set(line)
    for strip in stage.app.screen._compositor.render_strips(stage.app.size):
        for segment in strip:
            assert segment.style is None or (segment.style.link is None and "@click" not in segment.style.meta)


@pytest.mark.parametrize("text", slice_of(TEXTS))
def test_strangers_text_in_migrations_is_harmless(text: str) -> None:
    entries = tuple(
        replace(entry, name=f"{text[:300]}{number}", row=entry.row and replace(entry.row, error=text, runner=text))
        for number, entry in enumerate(store_scenes.FAILED.entries)
    )
    status = replace(store_scenes.FAILED, entries=entries, database=text)

    async def look() -> None:
        async with on_stage() as stage:
            await stage.press("2")
            screen = cast("MigrationsScreen", stage.app.screen)
            screen.show_status(status)
            screen.show_step(replace(store_scenes.RUNNING_STEP, error=text))
            await stage.settle()
            harmless(stage)
            await stage.press("o")
            harmless(stage)
            await stage.press("escape")
            screen._end(text, "red")
            screen._trouble = text
            screen.draw(stage.app.picture)
            await stage.settle()
            harmless(stage)

    asyncio.run(look())


@pytest.mark.parametrize("text", slice_of(TEXTS))
def test_strangers_text_in_checks_and_results_is_harmless(text: str) -> None:
    judged = tuple(
        replace(item, result=replace(item.result, said=text if number else "", rows=((text, text),)))
        for number, item in enumerate(store_scenes.JUDGED)
    )
    result = replace(
        poisoned(store_scenes.RESULT, text),
        rows=((text, [text, {text: (text, None)}], text.encode("utf-8", "replace"), None),),
        columns=(text, "list", "bytes", text[:50]),
        types=("String",) * 4,
    )

    async def look() -> None:
        async with on_stage() as stage:
            await stage.press("3")
            screen = cast("SanityScreen", stage.app.screen)
            screen.checks.show_checks(store_scenes.CHECKS, judged)
            await stage.settle()
            harmless(stage)
            await stage.press("enter")
            harmless(stage)
            await stage.press("escape", "e")
            pane = screen.query_pane
            pane.editor.load(text)
            pane.show_result(result)
            pane._remember(Remembered((text, "SELECT 1"), trouble=text))
            await stage.settle()
            harmless(stage)
            await stage.press("f3")
            harmless(stage)
            await stage.press("escape", "escape", "enter")
            harmless(stage)
            await stage.press("escape")
            pane._say(text, "red")
            await stage.settle()
            harmless(stage)

    asyncio.run(look())


@pytest.mark.parametrize(
    ("sql", "coloured"),
    [
        ("SELECT 1", {"accent": ["SELECT"], "bar": ["1"]}),
        ("select 'it''s -- no' -- yes", {"accent": ["select"], "ok": ["'it''s -- no'"], "muted": ["-- yes"]}),
        ("count(a), in (1)", {"strong": ["count"], "accent": ["in"], "bar": ["1"]}),
        ("/* open\nSELECT", {"muted": ["/* open\nSELECT"]}),
        ("$$ FROM $$ 'open", {"ok": ["$$ FROM $$", "'open"]}),
        ("`SELECT` x.from", {"accent": ["from"]}),
        ("", {}),
    ],
)
def test_sql_has_its_colours(sql: str, coloured: dict[str, list[str]]) -> None:
    found: dict[str, list[str]] = {}
    for span in spans(sql):
        found.setdefault(span.role, []).append(sql[span.start : span.end])
    assert found == coloured
