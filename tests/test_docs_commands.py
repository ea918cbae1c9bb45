"""Every command of the product that the docs name is run, against a simulated market.

`make …`, `python -m benchmarks` and `python -m tests.soak …` are not run here: they are this test and its siblings.
Blocks of a backup have a test of their own (`test_backup.py`).
"""

from __future__ import annotations

import re
import shlex
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harvester.clock import SystemClock
from harvester.feeds.currency_exchange import start_of_hour
from harvester.simulator.api import SimulatedApi, demo_settings
from harvester.simulator.exchange import CurrencyExchange
from harvester.simulator.exchange_endpoint import ExchangeEndpoint
from harvester.simulator.http_front import HttpFront
from harvester.simulator.river import River
from tests.cli_bench import MARKET_HARVESTER, POE_LEDGER, Home, end
from tests.http_front.process import ServerProcess
from tests.test_docs import SCRIPTS, commands
from tests.tui.pty_terminal import Terminal

HOUR = 3600
POE_MIGRATE = ("-m", "harvester.commands.poe_migrate")
ENTRIES = {"poe-ledger": POE_LEDGER, "market_harvester": MARKET_HARVESTER, "poe-migrate": POE_MIGRATE}
PAGES = 12


def command_lines() -> list[str]:
    """The lines with a program of the product, each once, without comments."""
    lines = (shlex.join(shlex.split(line, comments=True)) for _, line in commands())
    ours = [line for line in dict.fromkeys(lines) if Path(line.split()[0]).name in SCRIPTS]
    return sorted(ours, key=lambda line: "chdb://" in line)  # after the store has been moved to the server


@dataclass
class Market:
    """A home with a harvested store, and what stands for the placeholders of the docs."""

    home: Home
    since: str
    elsewhere: Path
    server: str

    def cursor(self) -> str:
        """Where the store goes on: what an operator takes from a status."""
        said = self.home.run("--headless", "query", "--format", "csv", "SELECT argMax(next_cursor_id, seq)"
                             " FROM bronze_ingest_checkpoints WHERE queue_key = 'psapi:pc'").out  # fmt: skip
        return said.splitlines()[-1].strip('"')

    def filled(self, line: str) -> list[str]:
        """The words of a command, with this market's own in the place of those of the docs."""
        words = [self._own(word) for word in shlex.split(line)[1:]]
        named = {"--league": "Standard", "--realm": "pc", "--queue": "psapi:pc"}
        befores = ["", *words][:-1]
        return [named[b] if word in ("NAME", "QUEUE") else word for b, word in zip(befores, words, strict=True)]

    def _own(self, word: str) -> str:
        if word.startswith("chdb:///backup/"):
            return f"chdb://{self.elsewhere}"
        if word == "URL" or word.startswith("http://127.0.0.1:8123"):
            return self.server
        if word == "CURSOR" or re.fullmatch(r"\d+(-\d+){4}", word):
            return self.cursor()
        if re.fullmatch(r"\d{4}-\d\d-\d\d", word):
            return self.since
        return word.replace("SELECT …", "SELECT count() FROM v_listings_current")


@contextmanager
def both_feeds() -> Iterator[tuple[dict[str, str], str]]:
    """A simulated API with stash pages and exchange hours; the environment, and the exchange's first hour."""
    clock = SystemClock()
    oldest = start_of_hour(clock.now()) - 30 * HOUR
    exchange = ExchangeEndpoint([CurrencyExchange(oldest=oldest, markets=20)], fastest=0.0)
    river = River(3, start=clock.now(), pages=PAGES, stashes_per_page=10, items_per_stash=4.0)
    with HttpFront(SimulatedApi(clock, [river], endpoints=[exchange]), "127.0.0.1", 0) as front:
        yield demo_settings(front.url), datetime.fromtimestamp(oldest, UTC).strftime("%Y-%m-%dT%H:%M")


@pytest.fixture
def market(tmp_path: Path) -> Iterator[Market]:
    (tmp_path / "home").mkdir()
    with both_feeds() as (environ, since), ServerProcess(tmp_path / "data") as server:
        home = Home(tmp_path / "home", environ)
        assert home.run("--headless", "harvest", "--pages", "3").code == 0
        assert home.run("--demo", "--headless", "harvest", "--pages", "2").code == 0
        yield Market(home, since, tmp_path / "moved", server.url)


def endless(words: list[str]) -> bool:
    """Whether a command goes on until somebody ends it."""
    harvests = "harvest" in words or not words or words[0] in ("--league", "--realm")
    return harvests and not {"--pages", "--once", "--dry-run"} & set(words)


def run_in_terminal(market: Market, words: list[str]) -> str:
    """As `run`: the command draws its screen, and is left. What follows a harvest has one."""
    followed = market.home.start("--headless", "harvest") if "--monitor" in words else None
    terminal = Terminal(market.home.directory, *words, **market.home.environ)
    try:
        terminal.until(b"psapi:pc")
        left = terminal.leave(b"\x03" if "--watch" in words else b"q")
    finally:
        terminal.close()
        if followed is not None:
            end(followed, signal.SIGTERM)
    return "" if left.code in (0, 130) else f"left with {left.code}: {left.after!r}"


def run(market: Market, program: str, words: list[str]) -> str:
    """Run a command as it is meant; returns what is wrong with how it went."""
    if "--watch" in words or (program == "poe-ledger" and "--headless" not in words):
        return run_in_terminal(market, words)
    if endless(words):
        process = market.home.start(*words, entry=ENTRIES[program])
        assert process.stderr is not None
        heard = process.stderr.readline()
        done, _ = end(process, signal.SIGINT)
        fine = heard and done.code in (0, 130)
    else:
        # What is moved into a directory comes from a server.
        of_server = {"POE_CLICKHOUSE_URL": market.server} if words[-1].startswith("chdb://") else {}
        done = market.home.run(*words, entry=ENTRIES[program], **of_server)
        fine = done.code == 0
    return "" if fine else f"exit code {done.code}: {done.out[-500:]}{done.err[-500:]}"


@pytest.mark.soak
def test_every_command_of_the_docs_does_its_work(market: Market) -> None:
    lines = command_lines()
    assert len(lines) > 20
    wrong = {}
    for line in lines:
        words = market.filled(line)
        print(f"$ {line}", f"→ {shlex.join(words)}", sep="\n")
        if said := run(market, Path(line.split()[0]).name, words):
            wrong[line] = said
    assert wrong == {}
