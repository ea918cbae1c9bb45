"""The established router: `python -m poe_trade.cli service --name market_harvester -- ARGS`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from harvester.commands.exit_codes import INTERRUPTED, MISUSED
from harvester.commands.output import say
from harvester.version import __version__


def _market_harvester(arguments: Sequence[str]) -> int:
    from harvester.commands.market_harvester import run

    return run(arguments, sys.stdout, sys.stderr)


SERVICES: dict[str, Callable[[Sequence[str]], int]] = {"market_harvester": _market_harvester}
"""What can be run, by name: takes the arguments behind `--`, returns the exit code."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the service and end the process with its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    own, behind = given, []
    if "--" in given:
        cut = given.index("--")
        own, behind = given[:cut], given[cut + 1 :]
    options, strangers = _parser().parse_known_args(own)
    if strangers:
        say(
            sys.stderr,
            f"Unknown here: {' '.join(strangers)}. The arguments of the service stand behind '--', for example:",
        )
        say(sys.stderr, f"  python -m poe_trade.cli service --name {options.name} -- --help")
        sys.exit(MISUSED)
    try:
        sys.exit(SERVICES[options.name](behind))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m poe_trade.cli", description="Runs the services of poe-ledger.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"poe-ledger {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    service = commands.add_parser(
        "service",
        help="run a service by its name",
        description="Runs a service. What stands behind '--' is for the service; its exit code is passed on.",
        epilog="example: python -m poe_trade.cli service --name market_harvester -- --league Standard --realm pc",
        allow_abbrev=False,
    )
    service.add_argument("--name", required=True, choices=sorted(SERVICES), help="which service")
    return parser


if __name__ == "__main__":
    main()
