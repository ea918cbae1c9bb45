"""Replays real pages under `2:1:60` over HTTP to the real command, and compares with an independent reading.

    python -m tests.replay ../shared/data/psapi [--league NAME]

prints a table and exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harvester.clock import SystemClock
from harvester.simulator.answers import Latency
from harvester.simulator.api import SimulatedApi, demo_settings
from harvester.simulator.http_front import HttpFront
from harvester.simulator.river import RiverPage
from tests.reference_reading import read_pages


class ReplayedPages:
    """Files as a stream: each is what follows the next id of the one before it; the last leads to an empty page."""

    realm = "pc"

    def __init__(self, bodies: Sequence[bytes]) -> None:
        self._pages: dict[str, RiverPage] = {}
        cursor = ""
        for body in bodies:
            page = json.loads(body)
            following = page["next_change_id"]
            items = sum(len(stash["items"]) for stash in page["stashes"])
            self._pages[cursor] = RiverPage(cursor, following, body, len(page["stashes"]), items, at_end=False)
            cursor = following
        self._end = cursor

    def page(self, change_id: str, now: float) -> RiverPage:
        if change_id in self._pages:
            return self._pages[change_id]
        body = json.dumps({"next_change_id": change_id, "stashes": []}).encode()
        return RiverPage(change_id, change_id, body, 0, 0, at_end=True)

    def head(self, now: float) -> str:
        return self._end


def environment(directory: Path, url: str) -> dict[str, str]:
    """A harvest of its own: nothing of the operator's settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("POE_", "CH_"))}
    return {
        **kept,
        **demo_settings(url),
        "POE_CLICKHOUSE_URL": f"chdb://{directory}/clickhouse",
        "POE_CURSOR_DIR": f"{directory}/cursors",
        "POE_CONTACT": "tests@example.org",
        "POE_MARKET_POLL_INTERVAL": "1",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description=__doc__)
    parser.add_argument("directory", type=Path, help="a folder with *.json pages, replayed in the order of their names")
    parser.add_argument("--league", help="harvest with this league filter")
    options = parser.parse_args(arguments)
    files = sorted(options.directory.glob("*.json"))
    bodies = [file.read_bytes() for file in files]
    api = SimulatedApi(SystemClock(), ReplayedPages(bodies), latency=Latency(thinking=(0.05, 0.1)))
    with tempfile.TemporaryDirectory(prefix="poe-ledger-replay-") as name, HttpFront(api) as front:
        directory = Path(name)
        command = [
            sys.executable,
            "-c",
            "from poe_ledger_tui.cli import main; main()",
            "--headless",
            "harvest",
            "--once",
            "--json",
            "--feed",
            "psapi",
            *(["--league", options.league] if options.league else []),
        ]
        run = subprocess.run(
            command, env=environment(directory, front.url), capture_output=True, text=True, cwd=directory, check=False
        )
        if run.returncode != 0:
            print(run.stderr)
            return 1
        differences = compare(directory, bodies, options.league)
    truth = api.truth
    asked = [call for call in truth.asked if "stash" in call.path]
    rows = [
        ("requests for pages", len(asked), "", ""),
        ("rules broken", len(truth.broken), 0, ""),
        ("complaints (parameters other than id, /pc, agent)", len(truth.complaints), 0, ""),
        *differences,
    ]
    failed = bool(truth.broken or truth.complaints)
    print(f"{'what':<52} {'store':>10} {'expected':>10}  differing")
    for what, got, expected, differing in rows:
        print(f"{what:<52} {got:>10} {expected:>10}  {differing}")
        failed = failed or expected not in ("", got) or bool(differing)
    return int(failed)


def compare(directory: Path, bodies: Sequence[bytes], league: str | None) -> list[tuple[str, int, int | str, str]]:
    """What the store shows against the independent reading, a row per column."""
    from harvester.store.engine import Engine

    with Engine(f"chdb://{directory}/clickhouse", "poe_trade").open(writes=False) as handle:
        pages = handle.rows("SELECT fetched_at, body FROM raw_public_stash_pages ORDER BY seq", as_bytes=True)
        names, stash_rows = handle.table("SELECT * EXCEPT realm FROM v_stashes_current")
        stashes = [dict(zip(names, row, strict=True)) for row in stash_rows]
        names, listing_rows = handle.table("SELECT * EXCEPT realm FROM v_listings_current")
        listings = [dict(zip(names, row, strict=True)) for row in listing_rows]
    same = sum(stored == body for (_, stored), body in zip(pages, bodies, strict=False))
    expected = read_pages((fetched_at, body) for (fetched_at, _), body in zip(pages, bodies, strict=False))
    kept = {
        key: row
        for key, row in expected.stashes.items()
        if league is None or _league(row, [r for (s, _), r in expected.listings.items() if s == key]) in (league, None)
    }
    result: list[tuple[str, int, int | str, str]] = [
        ("pages in bronze", len(pages), len(bodies), ""),
        ("… byte for byte", same, len(bodies) if league is None else "", ""),
    ]
    by_id = {row["stash_id"]: row for row in stashes}
    result.append(("stashes", len(stashes), len(kept), _keys(by_id.keys() ^ kept.keys())))
    for column in next(iter(kept.values()), {}):
        wrong = [key for key in kept if key in by_id and by_id[key][column] != kept[key][column]]
        result.append((f"  {column}", len(kept) - len(wrong), len(kept), _keys(wrong)))
    wanted = {
        (stash_id, row["item_id"]): row
        for (stash_id, _), row in expected.listings.items()
        if row["item_id"] is not None and stash_id in kept
    }
    shown = {(row["stash_id"], row["item_id"]): row for row in listings}
    result.append(("listings", len(listings), len(wanted), _keys(shown.keys() ^ wanted.keys())))
    for column in next(iter(wanted.values()), {}):
        wrong = [key for key in wanted if key in shown and shown[key][column] != wanted[key][column]]
        result.append((f"  {column}", len(wanted) - len(wrong), len(wanted), _keys(wrong)))
    return result


def _league(stash: dict[str, object], items: Sequence[dict[str, object]]) -> object:
    return stash["league"] or next((item["league"] for item in items if item["league"]), None)


def _keys(keys: object) -> str:
    found = list(keys)  # type: ignore[call-overload]
    return f"{len(found)}: {found[:2]}" if found else ""


if __name__ == "__main__":
    raise SystemExit(main())
