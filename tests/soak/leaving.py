"""Leaving at the worst moment: a request that hangs, a query that hangs, a store that hangs and a full spool.

    python -m tests.soak.leaving

The app runs in a pseudo terminal against the simulated API, over a server store. When all of it hangs, the app is left
by each of q, Ctrl-C, SIGTERM, SIGHUP and a double q. Then everything goes on, a harvest without a screen finishes the
stream, and the store must hold every page once. Prints a table; exit code 1 where leaving took more than three
seconds, the terminal was not restored, the exit code was another, or a page is lost or doubled.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from harvester.store.engine import Engine
from tests.cli_bench import Home, simulated_api, until
from tests.http_front.process import ServerProcess
from tests.http_front.wire import Wire
from tests.tui.pty_terminal import ALTERNATE_SCREEN_LEFT, Terminal

PAGES = 16
WAYS: dict[str, tuple[bytes | signal.Signals, set[int]]] = {
    "q": (b"q", {0}),
    "Ctrl-C": (b"\x03", {0, 130}),
    "SIGTERM": (signal.SIGTERM, {0}),
    "SIGHUP": (signal.SIGHUP, {0}),
    "q twice": (b"qq", {0}),
}
HANGS = ("request and query", "store and full spool")
LIMIT_SECONDS = 3.0


def main() -> None:
    """Print a line per hang and way; `--what` and `--way` choose fewer."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak.leaving", description=__doc__.partition("\n")[0])
    parser.add_argument("--what", action="append", choices=HANGS, help="what hangs (default: each)")
    parser.add_argument("--way", action="append", choices=WAYS, help="how the app is left (default: each)")
    chosen = parser.parse_args()
    heads = ("left by", 8), ("seconds", 8), ("code", 5), ("terminal", 9), ("pages", 6), ("lost", 5), ("doubled", 8)
    print(f"{'what hangs':<22} " + " ".join(f"{head:>{width}}" for head, width in heads))
    verdicts = [one(hangs, name) for hangs in chosen.what or HANGS for name in chosen.way or WAYS]
    sys.exit(0 if all(verdicts) else 1)


def one(hangs: str, name: str) -> bool:
    """One way of leaving; prints its line."""
    how, codes = WAYS[name]
    with (
        tempfile.TemporaryDirectory(prefix="poe-ledger-leaving-", ignore_cleanup_errors=True) as text,
        ServerProcess(Path(text) / "data") as server,
        simulated_api(PAGES, limit="2:1:60") as (_, straight),
        Wire(int(straight["POE_API_BASE_URL"].rpartition(":")[2])) as wire,
    ):
        home = Path(text)
        api = straight["POE_API_BASE_URL"]
        environ = {variable: value.replace(api, wire.url) for variable, value in straight.items()}
        environ |= {"POE_CLICKHOUSE_URL": server.url, "POE_CURSOR_DIR": f"{home}/cursors"}
        terminal = Terminal(home, "--start", **environ, POE_SPOOL_MAX_BYTES="3KB")
        try:
            terminal.until(b"HARVESTING")
            until((home / "cursors" / "psapi_pc.json").exists)  # a page is in the store
            if hangs == "request and query":
                wire.faults.hang = True
                query = b"SELECT sum(sleep(3) + number) FROM numbers(2000000)"
            else:
                server.freeze()
                terminal.until(b"SPOOL FULL")
                query = b"SELECT 1"
            terminal.press(b"3")
            terminal.until(b"Query (e)")
            terminal.press(b"e")
            terminal.until(b"F5 runs")
            terminal.press(b"\x1b[200~" + query + b"\x1b[201~")
            terminal.press(b"\x1b[15~")  # F5
            terminal.until(b"F4 cancels")
            terminal.press(b"\x1b")  # out of the editor
            time.sleep(1.0)  # else the terminal takes what follows for the rest of a key
            left = terminal.leave(how)
        finally:
            terminal.close()
            if hangs != "request and query":
                server.thaw()
            wire.heal()
        done = Home(home, environ).run("--headless", "harvest", "--once")
        with Engine(server.url, "poe_trade").open(writes=False) as handle:
            pages, different, checkpoints = handle.rows(
                "SELECT count(), uniqExact(change_id),"
                " (SELECT count() FROM bronze_ingest_checkpoints WHERE status = 'page') FROM raw_public_stash_pages"
            )[0]
    restored = ALTERNATE_SCREEN_LEFT in left.after and left.modes_kept and b"Traceback" not in left.after
    lost, doubled = PAGES - different, pages - different
    print(
        f"{hangs:<22} {name:>8} {left.seconds:>8.2f} {left.code:>5} {'restored' if restored else 'BROKEN':>9}"
        f" {pages:>6} {lost:>5} {doubled:>8}",
        flush=True,
    )
    good = left.seconds <= LIMIT_SECONDS and left.code in codes and restored and done.code == 0
    return good and lost == doubled == 0 and checkpoints == PAGES


if __name__ == "__main__":
    main()
