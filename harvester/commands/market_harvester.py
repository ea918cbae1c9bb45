"""The command `market_harvester`: the public stash pages of one realm, one league kept."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

import httpx

from harvester.commands.dry_run import run_dry
from harvester.commands.exit_codes import FAILED, INTERRUPTED, MISUSED
from harvester.commands.harvest import HarvestOptions, run_harvest
from harvester.commands.output import say, say_warnings
from harvester.feeds.currency_exchange import FEED_NAME as CURRENCY_EXCHANGE
from harvester.feeds.public_stash import FEED_NAME
from harvester.settings import FEED_REALMS, SettingsError, load_settings
from harvester.supervisor import Goal
from harvester.version import __version__

_EPILOG = """\
exit codes:
  0    done
  1    failed: the message says why and what to do
  2    wrong usage or configuration
  3    migrations are pending: run poe-migrate --apply
  130  ended by Ctrl-C

The OAuth client, the store and all else come from the environment or from .env; see .env.example.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script: ends the process with the exit code."""
    try:
        sys.exit(run(sys.argv[1:] if arguments is None else arguments, sys.stdout, sys.stderr))
    except KeyboardInterrupt:
        say(sys.stderr, "Interrupted. Nothing is lost; run it again to go on.")
        sys.exit(INTERRUPTED)


def run(
    arguments: Sequence[str],
    out: TextIO,
    err: TextIO,
    *,
    transport: Callable[[], httpx.AsyncBaseTransport] | None = None,
) -> int:
    """The command without the process around it; returns the exit code.

    `transport` makes what requests travel on; the default is the network.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.since and options.dry_run:
        parser.error("--since fills history: it does not go with --dry-run")
    try:
        settings = load_settings().with_overrides(
            feeds=[CURRENCY_EXCHANGE if options.since else FEED_NAME],
            realms=[options.realm],
            leagues=[options.league],
            poll_interval=options.poll_interval,
        )
    except SettingsError as error:
        say(err, str(error))
        return MISUSED
    say_warnings(err, settings.warnings)
    try:
        if options.dry_run:
            return run_dry(settings, settings.queues[0], out=out, err=err, transport=transport)
        goal = Goal(until_caught_up=options.once)
        harvest = HarvestOptions(goal=goal, since=options.since, transport=transport)
        return run_harvest(settings, harvest, out=out, err=err)
    except BrokenPipeError:
        return FAILED


def _league(text: str) -> str:
    if not text.strip() or "," in text:
        raise argparse.ArgumentTypeError("one league is wanted, for example Standard")
    return text


def _seconds(text: str) -> str:
    try:
        usable = math.isfinite(float(text)) and float(text) > 0
    except ValueError:
        usable = False
    if not usable:
        raise argparse.ArgumentTypeError(f"seconds are wanted, more than 0, not {text!r}")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="market_harvester",
        description="Harvests the public stash pages of one realm into ClickHouse and keeps one league.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    realms = FEED_REALMS[CURRENCY_EXCHANGE]
    parser.add_argument("--league", metavar="NAME", required=True, type=_league, help="the league to keep")
    parser.add_argument(
        "--realm",
        metavar="NAME",
        required=True,
        choices=realms,
        help=f"one of {', '.join(realms)}; poe2 with --since only",
    )
    parser.add_argument(
        "--once", action="store_true", help="stop at the end of the stream, when everything is committed"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="ask for one page, print what it holds, and write nothing"
    )
    parser.add_argument(
        "--since",
        metavar="DATE",
        default="",
        help="instead of the stashes, harvest the currency exchange from this day on, 2026-11-01; UTC",
    )
    parser.add_argument(
        "--poll-interval",
        metavar="S",
        type=_seconds,
        help="seconds between requests at the end of the stream (POE_MARKET_POLL_INTERVAL)",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


if __name__ == "__main__":
    main()
