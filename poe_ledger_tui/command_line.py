"""The options and commands of `poe-ledger`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harvester.commands.exit_codes import DONE, FAILED, INTERRUPTED, MISUSED
from harvester.commands.hints import program
from harvester.commands.output import say, say_warnings
from harvester.version import __version__
from poe_ledger_tui.wishes import SIMULATED_FEED, Wishes, on_a_terminal

if TYPE_CHECKING:
    from harvester.settings import Settings, SettingsError

_ANYWHERE = ("--headless", "--demo", "--monitor", "--start", "--no-start")

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


class QueryForm(StrEnum):
    """How `query` prints its result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


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


def run(arguments: Sequence[str]) -> None:
    """Do what a command line asks for; ends with `SystemExit`."""
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
    feed: Annotated[list[str] | None, typer.Option("--feed", help="Instead of POE_FEEDS; may be repeated.")] = None,
    realm: Annotated[list[str] | None, typer.Option("--realm", help="Instead of POE_REALMS; may be repeated.")] = None,
    league: Annotated[
        list[str] | None, typer.Option("--league", help="Keep only this league; may be repeated.")
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
    _none_empty(feed=feed, realm=realm, league=league)
    if mode.screen and not (once or pages or since or json):
        _open(mode, "dashboard", feeds=feed, realms=realm, leagues=league)
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
    _finish(mode, run, fresh_demo=True)


@app.command()
def migrate(
    context: typer.Context,
    status: Annotated[
        bool, typer.Option("--status", help="List every migration and how it stands (the default).")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Run what is pending, statement by statement.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print every statement that --apply would run; the engine parses it, nothing runs."
        ),
    ] = False,
    allow_drift: Annotated[
        bool, typer.Option("--allow-drift", help="Apply although files and store disagree.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Open the app on the migrations. With --headless or an option: show or apply them without a screen."""
    if context.obj.screen and not (status or apply or dry_run or allow_drift or json):
        _open(context.obj, "migrations")
    from harvester.commands.migrate import MigrateAction, run_migrate
    from harvester.commands.store_access import engine_of

    if status and apply:
        say(sys.stderr, "--status and --apply exclude each other.")
        raise typer.Exit(MISUSED)
    action = MigrateAction.APPLY if apply or (dry_run and not status) else MigrateAction.STATUS
    _finish(
        context.obj,
        lambda settings, command: run_migrate(
            engine_of(settings),
            action,
            out=sys.stdout,
            err=sys.stderr,
            dry_run=dry_run,
            json=json,
            exit_code=True,
            allow_drift=allow_drift,
            apply_command=f"{command} migrate --apply",
        ),
    )


@app.command()
def sanity(
    context: typer.Context,
    only: Annotated[str | None, typer.Argument(help="One file of schema/sanity, for example bronze.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Open the app on the checks. With --headless, a file or --json: judge them. Exit code 4 where one is red."""
    if context.obj.screen and not (only or json):
        _open(context.obj, "sanity")
    from harvester.commands.sanity import run_sanity
    from harvester.commands.store_access import engine_of

    _finish(
        context.obj,
        lambda settings, command: run_sanity(
            engine_of(settings), out=sys.stdout, err=sys.stderr, only=only, json=json, command=command
        ),
    )


@app.command()
def query(
    context: typer.Context,
    sql: Annotated[str, typer.Argument(help="One SELECT, SHOW, DESCRIBE or EXPLAIN; - reads it from standard input.")],
    form: Annotated[QueryForm, typer.Option("--format", help="How the result is printed.")] = QueryForm.TABLE,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Cut the result off after so many rows.")] = 10_000,
    seconds: Annotated[int, typer.Option("--seconds", min=1, help="End the query after so many seconds.")] = 60,
) -> None:
    """Ask the store one question. Nothing can be changed by it. An embedded store must not be in use meanwhile."""
    from harvester.commands.query import run_query
    from harvester.commands.store_access import engine_of
    from harvester.store.query_result import QueryLimits

    text = sys.stdin.read() if sql == "-" else sql
    # A file gets larger results than a screen, up to 1 GB.
    limits = QueryLimits(seconds=seconds, rows=rows, result_bytes=16 << 20 if form is QueryForm.TABLE else 1 << 30)
    _finish(
        context.obj,
        lambda settings, command: run_query(
            engine_of(settings),
            text,
            out=sys.stdout,
            err=sys.stderr,
            form=form.value,
            limits=limits,
            command=command,
        ),
    )


@app.command()
def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """How the harvest stands: lag, cursors, spool, layers."""
    from harvester.commands.status import run_status

    _finish(
        context.obj,
        lambda settings, command: run_status(settings, json=json, out=sys.stdout, err=sys.stderr, command=command),
    )


@app.command()
def doctor(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Look over settings, credentials, clock, disk, store, schema, limits, spool and cursors; say what to mend.

    Changes nothing. Makes one token request where an OAuth client is configured.
    """
    from harvester.commands.demo import demo_transport
    from harvester.commands.doctor import report_unusable_settings, run_doctor

    mode: Mode = context.obj

    def run(settings: Settings, command: str) -> int:
        transport = (lambda: demo_transport(settings)) if mode.demo else None
        return run_doctor(settings, json=json, out=sys.stdout, err=sys.stderr, transport=transport, command=command)

    def unusable(error: SettingsError) -> int:
        return report_unusable_settings(error, json=json, out=sys.stdout, err=sys.stderr)

    _finish(mode, run, unusable=unusable)


@app.command()
def replay(
    context: typer.Context,
    cursor: Annotated[str, typer.Argument(help="The cursor to go on from, as a status, a log or a backup names it.")],
    queue: Annotated[str, typer.Option("--queue", help="For example psapi:pc; needed where there are several.")] = "",
    allow_gap: Annotated[
        bool, typer.Option("--allow-gap", help="Leave out what lies between the stored pages and the cursor.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Show what is stored around a cursor, and let the harvest go on from it where that doubles nothing.

    The harvest must be stopped meanwhile. Without an answer of yes nothing is changed.
    """
    from harvester.commands.replay import ReplayOptions, run_replay

    def ask(question: str) -> bool:
        return typer.confirm(question, default=False, err=True)

    _finish(
        context.obj,
        lambda settings, command: run_replay(
            settings,
            ReplayOptions(queue, cursor, allow_gap=allow_gap, yes=yes, json=json, command=command),
            out=sys.stdout,
            err=sys.stderr,
            ask=ask if on_a_terminal() else None,
        ),
    )


@app.command()
def rebuild(
    context: typer.Context,
    layer: Annotated[str, typer.Argument(help="What to derive anew: silver.")],
    realm: Annotated[list[str] | None, typer.Option("--realm", help="Instead of POE_REALMS; may be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Derive silver anew from the pages that bronze still holds. The harvest must be stopped meanwhile."""
    from harvester.commands.rebuild import run_rebuild

    _none_empty(realm=realm)
    if layer != "silver":
        say(sys.stderr, f"Only silver can be rebuilt, not {layer!r}: bronze is what came from the API.")
        raise typer.Exit(MISUSED)
    _finish(
        context.obj,
        lambda settings, command: run_rebuild(
            settings.with_overrides(realms=realm), json=json, out=sys.stdout, err=sys.stderr, command=command
        ),
    )


def _finish(
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


def _open(
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


def _none_empty(**options: list[str] | None) -> None:
    """An empty name would mean all, which nobody who names something wants."""
    for name, values in options.items():
        if any(not value.strip() for value in values or ()):
            raise typer.BadParameter("the name is empty", param_hint=f"--{name}")


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(DONE)
