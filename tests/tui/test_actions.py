"""One registry of actions: what it names exists, and the operator may change its keys."""

from __future__ import annotations

import asyncio
from importlib import import_module
from pathlib import Path

import pytest
from textual.screen import Screen

from harvester.clock import VirtualClock
from poe_ledger_tui import scenes
from poe_ledger_tui.actions import ACTIONS, BY_ID, EVERYWHERE, actions_of
from poe_ledger_tui.app import LedgerApp
from poe_ledger_tui.config import AppConfig, ConfigError, load_config, parse_config
from poe_ledger_tui.still import StillRoom
from tests.tui.bench import on_stage

PACKAGE = Path(__file__).parents[2] / "poe_ledger_tui"


def screens() -> dict[str, type[Screen[object]]]:
    found: dict[str, type[Screen[object]]] = {}
    for path in (PACKAGE / "screens").glob("*.py"):
        module = import_module(f"poe_ledger_tui.screens.{path.stem}")
        for thing in vars(module).values():
            if isinstance(thing, type) and issubclass(thing, Screen) and getattr(thing, "SCOPE", ""):
                found[thing.SCOPE] = thing
    return found


def test_ids_are_unique_and_every_action_says_what_it_does() -> None:
    assert len(BY_ID) == len(ACTIONS)
    assert all(action.description.endswith(".") and action.title and action.keys for action in ACTIONS)


def test_what_an_action_calls_exists() -> None:
    known = screens()
    for action in ACTIONS:
        host, _, call = action.call.partition(".")
        method = f"action_{call.partition('(')[0]}"
        owner = LedgerApp if host == "app" else known.get(action.scope)
        if owner is not None:
            assert hasattr(owner, method), action.id
    assert {"dashboard", "queue", "events", "migrations", "sanity"} <= set(known)


def test_no_key_has_two_meanings_at_the_same_time() -> None:
    everywhere = {key for action in actions_of(EVERYWHERE) for key in action.keys}
    for scope in {action.scope for action in ACTIONS} - {EVERYWHERE}:
        keys = [key for action in actions_of(scope) for key in action.keys]
        assert len(keys) == len(set(keys)), scope
        if scope not in ("dialog", "question", "leaving"):
            assert not set(keys) & everywhere, scope


def test_a_key_can_be_changed_and_footer_and_help_show_it() -> None:
    config = parse_config({"keys": {"everywhere.freeze": "f7,ctrl+f"}})
    room = StillRoom()
    app = LedgerApp(lambda _: room, config=config, clock=VirtualClock(scenes.NOW), ticking=False)

    async def look() -> None:
        async with on_stage(app=app, still=room) as stage:
            assert "f7 Freeze" in stage.lines()[-1]
            await stage.press("p")
            assert "FROZEN" not in stage.text()
            await stage.press("f7")
            assert "FROZEN" in stage.text()
            await stage.press("question_mark")
            assert "f7 ^f" in stage.text()

    asyncio.run(look())


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"colour": "red"}, "there is no setting 'colour'"),
        ({"keys": {"everywhere.frieze": "x"}}, "did you mean 'everywhere.freeze'"),
        ({"keys": {"everywhere.freeze": "hyper+x"}}, "'hyper+x' is no key"),
        ({"keys": {"everywhere.freeze": ""}}, "has no key"),
        ({"keys": {"everywhere.freeze": 7}}, "must be text"),
        ({"keys": {"everywhere.freeze": "q"}}, "'everywhere.quit'"),
        ({"keys": {"dashboard.queue_toggle": "space"}}, "would share the key 'space'"),
        ({"keys": "x"}, "must be a table"),
        ({"clipboard": "xerox"}, "auto, osc52, native"),
        ({"theme": 3}, "theme must be a name"),
    ],
)
def test_what_is_not_known_is_refused_in_clear_words(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(given)

    assert words in str(refused.value)


def test_two_actions_may_swap_their_keys() -> None:
    keys = {"everywhere.freeze": "t", "everywhere.time": "p"}

    assert parse_config({"keys": keys}).keys == keys


def test_the_file_is_named_where_it_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    assert load_config(file) == AppConfig()
    file.write_text("theme = ")
    with pytest.raises(ConfigError, match=r"app\.toml is no TOML"):
        load_config(file)
    file.write_text('sound = "loud"')
    with pytest.raises(ConfigError, match=r"app\.toml: there is no setting 'sound'"):
        load_config(file)


def test_the_palette_offers_what_applies_and_runs_it() -> None:
    async def look() -> None:
        async with on_stage(scenes.RUNNING) as stage:
            commands = {command.title: command for command in stage.app.get_system_commands(stage.app.screen)}
            assert {"Freeze", "Migrations", "Queue on/off (dashboard)", "Theme"} <= set(commands)
            commands["Queue on/off (dashboard)"].callback()
            await stage.settle()
            assert stage.told == [("stop_queue", "psapi:pc")]
            await stage.press("colon", *"freez", "enter")
            assert "FROZEN" in stage.text()

    asyncio.run(look())
