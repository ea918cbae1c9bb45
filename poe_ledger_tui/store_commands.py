"""The commands of `poe-ledger` on the store: migrations, checks, questions, replay, rebuild, move."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from harvester.commands.exit_codes import MISUSED
from harvester.commands.output import say
from poe_ledger_tui.command_frame import REALM_HELP, app, finish, none_empty, open_screen
from poe_ledger_tui.wishes import on_a_terminal


class QueryForm(StrEnum):
    """How `query` prints its result."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


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
        open_screen(context.obj, "migrations")
    from harvester.commands.migrate import MigrateAction, run_migrate
    from harvester.commands.store_access import engine_of

    if status and apply:
        say(sys.stderr, "--status and --apply exclude each other.")
        raise typer.Exit(MISUSED)
    action = MigrateAction.APPLY if apply or (dry_run and not status) else MigrateAction.STATUS
    finish(
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
    only: Annotated[str | None, typer.Argument(help="One file of schema/sanity: bronze, silver or currency.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Open the app on the checks. With --headless, a file or --json: judge them. Exit code 4 where one is red."""
    if context.obj.screen and not (only or json):
        open_screen(context.obj, "sanity")
    from harvester.commands.sanity import run_sanity
    from harvester.commands.store_access import engine_of

    finish(
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
    finish(
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

    finish(
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
    realm: Annotated[list[str] | None, typer.Option("--realm", help=REALM_HELP)] = None,
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Derive silver anew from the pages that bronze still holds. The harvest must be stopped meanwhile."""
    from harvester.commands.rebuild import run_rebuild

    none_empty(realm=realm)
    if layer != "silver":
        say(sys.stderr, f"Only silver can be rebuilt, not {layer!r}: bronze is what came from the API.")
        raise typer.Exit(MISUSED)
    finish(
        context.obj,
        lambda settings, command: run_rebuild(
            settings.with_overrides(realms=realm), json=json, out=sys.stdout, err=sys.stderr, command=command
        ),
    )


@app.command()
def move(
    context: typer.Context,
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="The new store: http(s)://host[:port] or chdb:///directory.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Data as JSON.")] = False,
) -> None:
    """Copy the whole store into another one, embedded to a server or back, and prove it by counts and checksums.

    Every harvest must be stopped meanwhile. Can be stopped, and goes on where it was. The old store stays as it is.
    """
    from harvester.commands.move import run_move

    finish(
        context.obj,
        lambda settings, command: run_move(settings, to, json=json, out=sys.stdout, err=sys.stderr, command=command),
    )
