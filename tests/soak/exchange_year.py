"""A year of exchange hours at real size, filled by the command itself, killed and resumed at random instants.

    python -m tests.soak.exchange_year --hours 8760 --kills 10 --seed 1

The hours come over HTTP from the simulator; a rate limit in the answers' headers takes the place of the second between
two requests. Prints its figures as one line of JSON; exit code 1 where an hour is lost, doubled or altered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from harvester.clock import SystemClock
from harvester.commands.demo import exchange_goods
from harvester.feeds.currency_exchange import HOUR, hour_text, start_of_hour
from harvester.simulator.api import SimulatedApi
from harvester.simulator.exchange import CurrencyExchange
from harvester.simulator.exchange_endpoint import ExchangeEndpoint
from harvester.simulator.http_front import HttpFront
from harvester.simulator.river import River
from harvester.simulator.rules import Policy
from harvester.store.engine import Engine

_ROOT = Path(__file__).resolve().parents[2]
_WEEK = 168
_COMMAND = ("-c", "from poe_ledger_tui.cli import main; main()", "--headless", "harvest", "--feed", "cxapi")


@dataclass
class Figures:
    """What is reported."""

    seed: int
    hours: int = 0
    kills: int = 0
    json_bytes: int = 0
    markets: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    seconds: float = 0.0
    """In which a harvest ran, starts and recoveries included."""
    hours_per_second: float = 0.0
    cpu_seconds: float = 0.0
    """Of the harvest, not of the simulator."""
    cpu_seconds_per_gb: float = 0.0
    megabytes: dict[str, float] = field(default_factory=dict)
    """On disk, by table."""
    newest_view_ms: float = 0.0
    one_pair_ms: float = 0.0


class Year(CurrencyExchange):
    """Hours of real size without the labour of making each: a week of them, again and again."""

    def __init__(self, seed: int, oldest: int, markets: int) -> None:
        super().__init__(seed, oldest=oldest, markets=markets, goods=exchange_goods(), paths_since=0)
        self._week = [super(Year, self).body(place * HOUR).partition(b",")[2] for place in range(_WEEK)]

    def body(self, hour: int) -> bytes:
        return b'{"next_change_id":%d,%b' % (hour + HOUR, self._week[hour // HOUR % _WEEK])


def prove(
    directory: Path, seed: int, hours: int, kills: int, markets: int, seconds: float, kill_within: int = 0
) -> tuple[Figures, list[str]]:
    """The whole proof in a fresh `directory`: figures, and what is wrong in words."""
    figures = Figures(seed)
    clock = SystemClock()
    since = start_of_hour(clock.now()) - hours * HOUR
    year = Year(seed, since - _WEEK * HOUR, markets)
    endpoint = ExchangeEndpoint([year], fastest=0.0)
    endpoint.policy = Policy("as-fast-as-it-goes", {"Ip": ["400:1:1"]})
    river = River(seed, "pc", clock.now(), pages=1)
    with HttpFront(SimulatedApi(clock, river, endpoints=[endpoint])) as front:
        dice = Random(f"kills {seed}")
        ends = time.monotonic() + seconds
        kill_at = sorted(
            (since + round(dice.uniform(0, kill_within or hours)) * HOUR for _ in range(kills)), reverse=True
        )
        command = [sys.executable, *_COMMAND, "--since", datetime.fromtimestamp(since, UTC).isoformat(), "--once"]
        while True:
            began = time.monotonic()
            with (directory / "said.txt").open("ab") as said:
                child = subprocess.Popen(
                    command, cwd=_ROOT, env=_environ(directory, front.url), stdout=said, stderr=said
                )
                while child.poll() is None and time.monotonic() < ends:
                    time.sleep(0.2)
                    if kill_at and _reached(directory) >= kill_at[-1]:
                        time.sleep(dice.uniform(0.0, 2.0))
                        child.kill()
                        kill_at.pop()
                        figures.kills += 1
                        break
                if time.monotonic() >= ends:
                    child.terminate()
                child.wait()
            figures.seconds += time.monotonic() - began
            if child.returncode == 0 or time.monotonic() >= ends:
                break
            if child.returncode != -signal.SIGKILL:
                return figures, [f"the harvest ended by itself with {child.returncode}, see {directory / 'said.txt'}"]
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        figures.cpu_seconds = usage.ru_utime + usage.ru_stime
        return figures, judge(directory, year, since, figures)


def _reached(directory: Path) -> int:
    """The hour that the cursor file names."""
    try:
        return int(json.loads((directory / "cursors" / "cxapi_pc.json").read_bytes())["cursor"])
    except FileNotFoundError:
        return 0


def judge(directory: Path, year: Year, since: int, figures: Figures) -> list[str]:
    """What the store holds against what was published."""
    wrong: list[str] = []
    engine = Engine(f"chdb://{directory / 'clickhouse'}", "poe_trade")
    with engine.open(writes=False) as handle:
        handle.run("OPTIMIZE TABLE silver_currency_markets FINAL")
        rows = handle.rows(
            "SELECT toUnixTimestamp(hour), body_sha256, market_count, length(body), derived.markets"
            " FROM raw_currency_exchange_hours LEFT JOIN"
            " (SELECT hour, count() AS markets FROM silver_currency_markets GROUP BY hour) AS derived USING hour"
        )
        seen: dict[int, int] = {}
        for hour, checksum, count, size, derived in rows:
            seen[hour] = seen.get(hour, 0) + 1
            figures.json_bytes += size
            figures.markets += count
            text = checksum.decode() if isinstance(checksum, bytes) else checksum
            if text != hashlib.sha256(year.body(hour)).hexdigest():
                wrong.append(f"{hour_text(hour)}: other bytes than were published")
            if derived != count:
                wrong.append(f"{hour_text(hour)}: {derived} of {count} markets derived")
        expected = range(since, max(seen, default=since) + HOUR, HOUR)
        figures.hours = len(seen)
        figures.lost = len(set(expected) - set(seen))
        figures.doubled = sum(times - 1 for times in seen.values())
        wrong += [f"{hour_text(hour)}: was not asked for" for hour in set(seen) - set(expected)]
        checkpoints = handle.rows(
            "SELECT count(), uniqExact(seq), max(seq) FROM bronze_ingest_checkpoints WHERE status = 'page'"
        )[0]
        if set(checkpoints) != {len(seen)}:
            wrong.append(f"checkpoints do not count the hours: {checkpoints}")
        figures.megabytes = {
            table: round(size / 1e6, 1)
            for table, size in handle.rows(
                "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase()"
                " AND table IN ('raw_currency_exchange_hours', 'silver_currency_markets') GROUP BY table"
            )
        }
        figures.newest_view_ms = _timed(lambda: handle.rows("SELECT count(), sum(price) FROM v_currency_latest"))
        figures.one_pair_ms = _timed(
            lambda: handle.rows(
                "SELECT count(), avg(price) FROM v_currency_markets"
                " WHERE league = 'Keepers' AND code_a = 'chaos' AND code_b = 'divine'"
            )
        )
    figures.wrong = len(wrong)
    figures.hours_per_second = round(figures.hours / figures.seconds, 2)
    figures.cpu_seconds_per_gb = round(figures.cpu_seconds / (figures.json_bytes / 1e9), 1)
    return wrong


def _timed(work: object) -> float:
    times = []
    for _ in range(5):
        began = time.monotonic()
        work()  # type: ignore[operator]
        times.append((time.monotonic() - began) * 1000)
    return round(sorted(times)[2], 1)


def _environ(directory: Path, url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "PYTHONPATH": str(_ROOT),
        "POE_CLICKHOUSE_URL": f"chdb://{directory / 'clickhouse'}",
        "POE_CURSOR_DIR": str(directory / "cursors"),
        "POE_CX_BASE_URL": f"{url}/api",
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.exchange_year", description=__doc__)
    parser.add_argument("--hours", type=int, default=8760)
    parser.add_argument("--kills", type=int, default=10, help="at random instants")
    parser.add_argument("--markets", type=int, default=1450, help="in an hour")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end there, and judge what is stored")
    parser.add_argument("--kill-within", type=int, default=0, help="kill among the first so many hours; 0: among all")
    parser.add_argument("--directory", type=Path, help="a fresh directory, kept; else a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="exchange-year-") as temporary:
        directory = (options.directory or Path(temporary)).absolute()
        directory.mkdir(parents=True, exist_ok=True)
        figures, wrong = prove(
            directory, options.seed, options.hours, options.kills, options.markets, options.seconds, options.kill_within
        )
    print(json.dumps(asdict(figures)))
    for text in wrong[:50]:
        print(text, file=sys.stderr)
    return 1 if wrong or figures.lost or figures.doubled else 0


if __name__ == "__main__":
    sys.exit(main())
