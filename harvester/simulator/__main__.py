"""`python -m harvester.simulator`: the simulated API as a server, until it is interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence

from harvester.clock import SystemClock
from harvester.simulator.answers import Latency
from harvester.simulator.api import CLIENT_ID, CLIENT_SECRET, SimulatedApi, demo_settings
from harvester.simulator.exchange import HOUR, CurrencyExchange, NotYet
from harvester.simulator.exchange_endpoint import ExchangeEndpoint
from harvester.simulator.http_front import HttpFront
from harvester.simulator.river import EndOfStream, River
from harvester.simulator.rules import STASH_POLICY, Limit, Policy


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; on leaving, what was asked goes to standard output as JSON."""
    options = _parser().parse_args(arguments)
    clock = SystemClock()
    rivers = [
        River(
            options.seed,
            realm,
            clock.now(),
            pages=options.pages,
            stashes_per_page=options.stashes_per_page,
            items_per_stash=options.items_per_stash,
            stash_rate=options.stash_rate,
            backlog_pages=options.backlog,
            end=options.end,
        )
        for realm in options.realm or ["pc"]
    ]
    oldest = int(clock.now()) // HOUR * HOUR - options.exchange_days * 24 * HOUR
    realms = [*(options.realm or ["pc"]), "poe2"]
    exchanges = [
        CurrencyExchange(
            options.seed, realm, oldest=oldest, markets=options.exchange_markets, not_yet=options.exchange_not_yet
        )
        for realm in realms
    ]
    api = SimulatedApi(
        clock,
        rivers,
        policy=Policy(STASH_POLICY, {"Ip": options.limit.split(",")}),
        client_id=options.client_id,
        client_secret=options.client_secret,
        latency=Latency(thinking=(options.latency * 0.8, options.latency * 1.2)),
        seed=options.seed,
        endpoints=[ExchangeEndpoint(exchanges)],
    )
    front = HttpFront(api, options.host, options.port)
    leave = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leave.set())
    try:
        front.start()
    except (OSError, ValueError) as error:
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {error}. Choose another --port.\n")
        return 1
    sys.stderr.write(f"The simulated API listens on {front.url}. Ctrl-C ends it.\n")
    sys.stdout.writelines(f"{name}={value}\n" for name, value in demo_settings(front.url).items())
    sys.stdout.flush()
    leave.wait()
    front.stop()
    sys.stdout.write(json.dumps(api.truth.summary(), ensure_ascii=True) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m harvester.simulator",
        description="A simulated Path of Exile API. Prints the environment that points a harvest at it, "
        "and, on leaving, what was asked of it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=_port, default=8787, help="port to listen on; 0: any free one")
    add("--seed", type=int, default=1, help="the same seed gives the same world")
    add("--realm", action="append", choices=["pc", "xbox", "sony"], help="realm to serve; may be repeated")
    add("--pages", type=int, help="end the stream after so many pages; without: endless")
    add("--stashes-per-page", type=int, default=80, help="mean; the real API sends 600 to 1,000")
    add("--items-per-stash", type=float, default=17.0, help="mean of an open tab")
    add("--stash-rate", type=float, help="changes per second as time goes on; without: all is there at once")
    add("--backlog", type=int, default=0, metavar="PAGES", help="with --stash-rate: pages there at the start")
    add(
        "--end",
        type=EndOfStream,
        choices=list(EndOfStream),
        default=EndOfStream.EMPTY,
        help="how the end shows",
    )
    add("--exchange-days", type=int, default=30, help="days of currency exchange hours that are kept")
    add("--exchange-markets", type=int, default=200, help="markets in an hour of the exchange; the real API has 1,450")
    add(
        "--exchange-not-yet",
        type=NotYet,
        choices=list(NotYet),
        default=NotYet.NOT_FOUND,
        help="how the exchange says that an hour is not over",
    )
    add("--limit", type=_limits, default="2:1:60", help="triplets hits:period:restriction, parted by commas")
    add("--latency", type=float, default=0.0, help="seconds until the headers, give or take a fifth")
    add("--client-id", default=CLIENT_ID, help="the OAuth client that is accepted")
    add("--client-secret", default=CLIENT_SECRET, help="its secret")
    return parser


def _port(text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a number from 0 to 65535 is wanted")
    return port


def _limits(text: str) -> str:
    try:
        for triplet in text.split(","):
            Limit.parse(triplet)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not hits:period:restriction, for example 2:1:60") from error
    return text


if __name__ == "__main__":
    raise SystemExit(main())
