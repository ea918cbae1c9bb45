"""The command `poe-migrate`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TextIO

from harvester.commands.migrate import FAILED, MISUSED, MigrateAction, run_migrate
from harvester.commands.output import say, say_warnings
from harvester.commands.store_access import engine_of
from harvester.version import __version__

_EPILOG = """\
exit codes:
  0  done (a plain --status always ends with 0)
  1  failed: the message says why and what to do
  2  wrong usage, configuration or migration files
  3  with --status --exit-code: migrations are pending, drifted or failed

The store is named by POE_CLICKHOUSE_URL, POE_CLICKHOUSE_DATABASE, POE_CLICKHOUSE_USER and
POE_CLICKHOUSE_PASSWORD, from the environment or from .env. Running --apply again is always
safe: it resumes where it stopped.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: ends the process with the exit code."""
    try:
        sys.exit(run(sys.argv[1:] if arguments is None else arguments, sys.stdout, sys.stderr))
    except KeyboardInterrupt:
        say(sys.stderr, "Interrupted. Run poe-migrate --apply to resume.")
        sys.exit(130)


def run(arguments: Sequence[str], out: TextIO, err: TextIO) -> int:
    """The command without the process around it; returns the exit code."""
    from harvester.settings import SettingsError, load_settings

    options = _parser().parse_args(arguments)
    if (options.exit_code and options.apply) or (options.allow_drift and options.status):
        say(err, "--exit-code goes with --status, --allow-drift with --apply. See: poe-migrate --help")
        return MISUSED
    try:
        settings = load_settings().with_overrides(database=options.database)
    except SettingsError as error:
        say(err, str(error))
        return MISUSED
    say_warnings(err, settings.warnings)
    engine = engine_of(settings)
    try:
        return run_migrate(
            engine,
            MigrateAction.STATUS if options.status else MigrateAction.APPLY,
            dry_run=options.dry_run,
            json=options.json,
            exit_code=options.exit_code,
            allow_drift=options.allow_drift,
            out=out,
            err=err,
        )
    except BrokenPipeError:
        return FAILED


def _database(name: str) -> str:
    if not name.strip():
        raise argparse.ArgumentTypeError("the name of the database is empty")
    return name


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="poe-migrate",
        description="Shows and applies the migrations of the ClickHouse schema.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--status", action="store_true", help="list every migration and how it stands")
    action.add_argument("--apply", action="store_true", help="run what is pending, statement by statement")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print every statement that --apply would run and let the engine parse it; change nothing",
    )
    parser.add_argument("--database", metavar="NAME", type=_database, help="instead of POE_CLICKHOUSE_DATABASE")
    parser.add_argument(
        "--allow-drift",
        action="store_true",
        help="apply although applied files were changed or are gone, or pending ones are out of order",
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="with --status: end with 3 unless everything is applied"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


if __name__ == "__main__":
    main()
