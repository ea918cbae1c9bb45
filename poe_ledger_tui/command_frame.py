"""What every command of `poe-ledger` stands on: the options that may stand anywhere, the settings, the exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import typer

from harvester.commands.exit_codes import FAILED, MISUSED
from harvester.commands.hints import program
from harvester.commands.output import say, say_warnings
from poe_ledger_tui.wishes import Wishes, on_a_terminal

if TYPE_CHECKING:
    from harvester.settings import Settings, SettingsError

FEED_HELP = "Instead of POE_FEEDS: psapi or cxapi. May be repeated."
REALM_HELP = "Instead of POE_REALMS: pc, xbox, sony or poe2 (cxapi only). May be repeated."
"""Written out: the settings, which know the choices, are loaded only when something is to be done."""

app = typer.Typer(
    name="poe-ledger",
    epilog="Exit codes: 0 done · 1 failed · 2 wrong usage or configuration · 3 migrations pending, drifted or failed · "
    "4 a sanity check is red · 130 Ctrl-C. Standard output is data, standard error is talk. "
    "Settings come from the environment and from .env: see .env.example.",
    no_args_is_help=False,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@dataclass(frozen=True)
class Mode:
    """What the options that may stand anywhere ask for."""

    headless: bool = False
    demo: bool = False
    monitor: bool = False
    start: bool | None = None

    @property
    def screen(self) -> bool:
        """Whether the terminal app is to be opened where a command leaves that open."""
        return not self.headless and on_a_terminal()


def finish(
    mode: Mode,
    run: Callable[[Settings, str], int],
    *,
    fresh_demo: bool = False,
    unusable: Callable[[SettingsError], int] | None = None,
) -> NoReturn:
    """Load the settings, run the command, and leave with its exit code.

    `run` takes the settings, and what stands before a command's name in hints. `unusable` is told instead where the
    settings cannot be used; without it the error is printed.
    """
    from harvester.commands.demo import demo_command, last_demo_directory, new_demo_directory, settings_of_demo
    from harvester.settings import SettingsError, load_settings

    try:
        if mode.demo and not fresh_demo and not last_demo_directory().is_dir():
            command = demo_command(last_demo_directory())
            say(sys.stderr, f"No demo was run yet. Run one: {command} harvest --pages 5")
            raise typer.Exit(FAILED)
        if mode.demo:
            try:
                directory = new_demo_directory() if fresh_demo else last_demo_directory()
            except OSError as error:
                say(
                    sys.stderr, f"The demo has no place: {last_demo_directory()}: {error.strerror}. Set XDG_CACHE_HOME."
                )
                raise typer.Exit(FAILED) from None
            settings, command = settings_of_demo(directory), demo_command(directory)
        else:
            settings, command = load_settings(), f"{program()} --headless"
        if unusable is None:
            say_warnings(sys.stderr, settings.warnings)
        code = run(settings, command)
    except SettingsError as error:
        if unusable is None:
            say(sys.stderr, str(error))
        code = MISUSED if unusable is None else unusable(error)
    raise typer.Exit(code)


def open_screen(
    mode: Mode,
    screen: str,
    *,
    feeds: list[str] | None = None,
    realms: list[str] | None = None,
    leagues: list[str] | None = None,
) -> NoReturn:
    """Open the terminal app on one of its screens, and leave with its exit code."""
    from poe_ledger_tui.launch import open_app

    open_app(Wishes(mode.demo, mode.monitor, mode.start, feeds, realms, leagues), screen)


def none_empty(**options: list[str] | None) -> None:
    """An empty name would mean all, which nobody who names something wants."""
    for name, values in options.items():
        if any(not value.strip() for value in values or ()):
            raise typer.BadParameter("the name is empty", param_hint=f"--{name}")
