"""`POE_ACCOUNT_NAMES` as an operator uses it: no name of the simulated market is found in anything that is left behind.

The same search over a harvest that keeps names must find them, or it would prove nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from harvester.simulator.faults import Override, changed
from harvester.store.name_guard import hashed_name
from harvester.store.name_salt import SaltFile
from tests.cli_bench import Home, simulated_api

PAGES = 6


def cut(body: bytes) -> bytes:
    return body[: len(body) * 2 // 3]


def one_bad_record(body: bytes) -> bytes:
    return body.replace(b'"public":true,', b'"public":tru,', 1)


class Trouble:
    """The second page comes cut, however often it is asked for, and is set aside; so is one record of the fourth."""

    def __init__(self) -> None:
        self._cursors: list[str] = []

    def override(self, now: float, method: str, path: str, query: Mapping[str, str]) -> Override | None:
        del now, method
        if "public-stash-tabs" not in path:
            return None
        cursor = query.get("id", "")
        if cursor not in self._cursors:
            self._cursors.append(cursor)
        return {1: changed(cut), 3: changed(one_bad_record)}.get(self._cursors.index(cursor))


@dataclass(frozen=True)
class Left:
    """What one harvest left behind."""

    names: frozenset[str]
    """Of the truth: every account of every page that was published."""
    said: str
    files: dict[str, bytes]
    """Every file below the home directory, as it is and unpacked."""
    found: dict[str, int]
    """Rows with a name, by table and column."""
    accounts: list[str]
    salt: bytes | None

    def files_with_names(self) -> set[str]:
        needles = [needle.encode() for needle in forms(self.names)]
        return {path for path, data in self.files.items() if any(needle in data for needle in needles)}

    def names_said(self) -> list[str]:
        return [needle for needle in forms(self.names) if needle in self.said]


def forms(names: frozenset[str]) -> list[str]:
    """Names as text and as they are written in JSON."""
    return sorted({form for n in names for form in (n, json.dumps(n)[1:-1], json.dumps(n, ensure_ascii=False)[1:-1])})


KEEPS_ITS_SPOOL = (
    "-c",
    "from harvester.store.spool import Spool; Spool.remove = lambda *_: None;"
    "from poe_ledger_tui.cli import main; main()",
)
"""The command, but for what it tidies away: the search is to see every file that the harvest wrote for a page."""


def harvest(directory: Path, account_names: str) -> Left:
    """Harvest the simulated market to its end, ask for the status, and search what is there then."""
    directory.mkdir()
    with simulated_api(PAGES) as (api, environ):
        api.faults = Trouble()
        store = {"POE_CLICKHOUSE_URL": f"chdb://{directory}/store", "POE_CURSOR_DIR": f"{directory}/cursors"}
        more = {"POE_FEEDS": "psapi", "POE_ACCOUNT_NAMES": account_names, "POE_RATE_LIMIT_BACKOFF_BASE": "50ms"}
        home = Home(directory, {**environ, **store, **more})
        harvested = home.run("--headless", "harvest", "--once", "--json", entry=KEEPS_ITS_SPOOL)
        bodies = [json.loads(body) for _, body in api.truth.bodies()]
    status = home.run("--headless", "status", "--json")
    assert (harvested.code, status.code) == (0, 0), harvested.err + status.err
    assert "is no page, again and again" in harvested.err
    assert "1 record of page" in harvested.err

    names = frozenset(record["accountName"] for body in bodies for record in body["stashes"] if record["accountName"])
    files = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    spooled = {f"{path}, unpacked": unpacked(data) for path, data in files.items() if path.endswith(".page")}
    needles = directory.with_name(f"{directory.name}.needles")
    needles.write_text(json.dumps(forms(names)))
    search = home.run(f"{directory}/store", "poe_trade", str(needles), entry=("-m", "tests.name_search"))
    answer: dict[str, Any] = json.loads(search.out)
    return Left(
        names,
        "\n".join((harvested.out, harvested.err, status.out, status.err)),
        files | spooled,
        answer["found"],
        answer["accounts"],
        SaltFile(directory / "cursors").read(),
    )


def unpacked(spool_file: bytes) -> bytes:
    *_, compressed = spool_file.split(b"\n", 3)
    return zstandard.ZstdDecompressor().decompress(compressed)


@pytest.mark.soak
def test_the_search_finds_names_that_are_kept(tmp_path: Path) -> None:
    left = harvest(tmp_path / "home", "keep")

    assert len(left.names) > 20
    assert {path for path in left.files_with_names() if path.endswith("unpacked")}
    assert {
        "raw_public_stash_pages.body",
        "bronze_dead_letters.body",
        "silver_stashes.account",
        "silver_stash_state.account",
        "v_stashes_current.account",
        "v_listings_current.account",
    } <= left.found.keys()
    assert set(left.accounts) - {""} <= left.names


@pytest.mark.parametrize("account_names", ["hash", pytest.param("drop", marks=pytest.mark.soak)])
def test_no_name_is_found_in_any_file_column_or_word(tmp_path: Path, account_names: str) -> None:
    left = harvest(tmp_path / "home", account_names)

    assert len(left.names) > 20
    assert left.found == {}
    assert left.files_with_names() == set()
    assert left.names_said() == []
    assert len([path for path in left.files if path.endswith("unpacked")]) >= PAGES
    if account_names == "drop":
        assert left.accounts == [""]
        return
    assert left.salt is not None
    pseudonyms = {hashed_name(left.salt, name) for name in left.names}
    assert len(left.accounts) > 20
    assert set(left.accounts) - {""} <= pseudonyms
