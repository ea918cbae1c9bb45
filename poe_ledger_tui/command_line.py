"""The commands of `poe-ledger` that run and watch the harvest; those on the store are in `store_commands`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harvester.commands.exit_codes import DONE, INTERRUPTED, MISUSED
from harvester.commands.output import say
from harvester.version import __version__
from poe_ledger_tui.command_frame import FEED_HELP, REALM_HELP, Mode, app, finish, none_empty, open_screen
from poe_ledger_tui.wishes import SIMULATED_FEED, on_a_terminal

if TYPE_CHECKING:
    from harvester.settings import Settings, SettingsError

_ANYWHERE = ("--headless", "--demo", "--monitor", "--start", "--no-start")


def run(arguments: Sequence[str]) -> None:
    """Do what a command line asks for; ends with `SystemExit`."""
    import poe_ledger_tui.store_commands  # noqa: F401 - adds its commands, behind those of this file in the help

    app(args=_in_front(list(arguments)), prog_name="poe-ledger")


def _in_front(given: list[str]) -> list[str]:
    """The arguments with those that may stand anywhere put where typer expects them."""
    anywhere = [argument for argument in given if argument in _ANYWHERE]
    return [*anywhere, *(argument for argument in given if argument not in _ANYWHERE)]


@app.callback(invoke_without_command=True)
def entry(
    context: typer.Context,
    headless: Annotated[bool, typer.Option("--headless", help="Without a screen; may stand anywhere.")] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Against a simulated API, in a throw-away directory; may stand anywhere.")
    ] = False,
    monitor: Annotated[
        bool, typer.Option("--monitor", help="The app, to watch a harvest of another process; may stand anywhere.")
    ] = False,
    start: Annotated[
        bool | None,
        typer.Option(
            "--start/--no-start",
            help="The app begins with the harvest on or off. Default: as it was left.",
            show_default=False,
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Keeps a history of the Path of Exile market in ClickHouse.

    Without a command it opens the terminal app; without a terminal it harvests as with --headless.

    Not affiliated with or endorsed by Grinding Gear Games.
    """
    if version:
        say(sys.stdout, f"poe-ledger {__version__}")
        raise typer.Exit
    context.obj = mode = Mode(headless, demo, monitor, start)
    if monitor and not mode.screen:
        say(sys.stderr, "--monitor opens the terminal app, which needs a terminal. See: poe-ledger --headless status")
        raise typer.Exit(MISUSED)
    if context.invoked_subcommand is None:
        harvest(context)


@app.command()
def harvest(
    context: typer.Context,
    once: Annotated[
        bool, typer.Option("--once", help="Stop at the end of the stream, when everything is committed.")
    ] = False,
    pages: Annotated[int | None, typer.Option("--pages", min=1, help="Stop after so many pages of each queue.")] = None,
    feed: Annotated[list[str] | None, typer.Option("--feed", help=FEED_HELP)] = None,
    realm: Annotated[list[str] | None, typer.Option("--realm", help=REALM_HELP)] = None,
    league: Annotated[
        list[str] | None,
        typer.Option(
            "--league",
            help="Keep only this league, by the name the API gives it, for example Standard. May be repeated.",
        ),
    ] = None,
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="DATE", help="Fill the hours of the currency exchange from this day on, 2026-11-01; UTC."
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="End with one JSON object on standard output.")] = False,
) -> None:
    """Harvest: in the app, on its dashboard. With --headless, --once, --pages, --since or --json: harvest without."""
    mode: Mode = context.obj
    none_empty(feed=feed, realm=realm, league=league)
    if mode.screen and not (once or pages or since or json):
        open_screen(mode, "dashboard", feeds=feed, realms=realm, leagues=league)
    from harvester.commands.demo import DEMO_PAGES, demo_transport, last_demo_directory
    from harvester.commands.demo_report import report_demo
    from harvester.commands.harvest import HarvestOptions, run_harvest
    from harvester.supervisor import Goal

    def run(settings: Settings, command: str) -> int:
        chosen = settings.with_overrides(feeds=feed, realms=realm, leagues=league)
        goal = Goal(pages=pages, until_caught_up=once)
        options = HarvestOptions(goal=goal, since=since, json=json, command=command)
        if not mode.demo:
            return run_harvest(chosen, options, out=sys.stdout, err=sys.stderr)
        if not feed and SIMULATED_FEED not in chosen.feeds:
            chosen = chosen.with_overrides(feeds=[*chosen.feeds, SIMULATED_FEED])
        if not (once or pages or on_a_terminal()):
            # The exchange is caught up before, and would keep us an hour for its next page.
            options = replace(options, goal=Goal(pages=DEMO_PAGES, until_caught_up=True))
        options = replace(options, leave_newest_migration=True, transport=lambda: demo_transport(chosen))
        code = run_harvest(chosen, options, out=sys.stdout, err=sys.stderr)
        if code in (DONE, INTERRUPTED) and not json:
            directory = chosen.cursor_dir.parent
            leftover = None if directory == last_demo_directory() else directory
            report_demo(chosen, command=command, leftover=leftover, out=sys.stdout, err=sys.stderr)
        if code == INTERRUPTED and on_a_terminal():
            return DONE  # Ctrl-C is how an endless demo ends, and `make run` calls any other code an error
        return code

    # Until the harvest listens for them itself: asked to leave before it began is no failure.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    finish(mode, run, fresh_demo=True)


@app.command()
def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again, until Ctrl-C; needs a terminal.")] = False,
    every: Annotated[
        float, typer.Option("--every", min=0.5, metavar="SECONDS", help="With --watch: from one look to the next.")
    ] = 5.0,
) -> None:
    """How the harvest stands: lag, cursors, spool, layers."""
    from harvester.commands.status import run_status, watch_status

    if watch and json:
        say(sys.stderr, "--watch and --json exclude each other.")
        raise typer.Exit(MISUSED)

    def run(settings: Settings, command: str) -> int:
        demo: bool = context.obj.demo
        if watch:
            return watch_status(settings, every, out=sys.stdout, err=sys.stderr, command=command, demo=demo)
        return run_status(settings, json=json, out=sys.stdout, err=sys.stderr, command=command, demo=demo)

    finish(context.obj, run)


@app.command()
def doctor(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Look over settings, credentials, clock, disk, store, schema, limits, spool and cursors; say what to mend.

    Changes nothing. Asks for a token where an OAuth client is configured, and for an hour of the currency exchange
    where that is harvested.
    """
    from harvester.commands.demo import demo_transport
    from harvester.commands.doctor import report_unusable_settings, run_doctor

    mode: Mode = context.obj

    def run(settings: Settings, command: str) -> int:
        transport = (lambda: demo_transport(settings)) if mode.demo else None
        return run_doctor(settings, json=json, out=sys.stdout, err=sys.stderr, transport=transport, command=command)

    def unusable(error: SettingsError) -> int:
        return report_unusable_settings(error, json=json, out=sys.stdout, err=sys.stderr)

    finish(mode, run, unusable=unusable)


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(DONE)
