"""One league only: what the filter leaves in every layer, and that nothing of it stands as a phantom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harvester.clock import utc
from harvester.simulator.river import River
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from tests.reference_reading import Reading, read_pages
from tests.store_bench import START, Bench, assert_same_state, item, open_bench, page_of, stash


@pytest.fixture
def bench(handle: Handle, engine: Engine, tmp_path: Path) -> Bench:
    return open_bench(handle, engine, tmp_path, leagues=("A", "Z"))


def of_leagues(reading: Reading, *leagues: str) -> Reading:
    """The part of a whole reading that a filter must leave; a stash without league is of the league of its items."""
    said: dict[str, str] = {key: row["league"] for key, row in reading.stashes.items()}
    for (stash_id, _), row in reading.listings.items():
        said[stash_id] = said[stash_id] or row["league"]
    keep = {stash_id for stash_id, league in said.items() if league in ("", *leagues)}
    return Reading(
        {key: row for key, row in reading.stashes.items() if key in keep},
        {key: row for key, row in reading.listings.items() if key[0] in keep},
    )


def without_first_seen(listings: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """What a stash held in another league was not seen here, so its `first_seen` is later than in the whole stream."""
    return {key: {**row, "first_seen": None} for key, row in listings.items()}


def test_what_the_filter_leaves(bench: Bench) -> None:
    pages: list[list[Any]] = [
        [stash("a", item("1"), league="A"), stash("b", item("2"), league="B"), stash("n", league=None)],
        [stash("o", item("3", league="A"), league=None), stash("p", item("4", league="B"), league=None)],
        # a moves out, b moves in, z is of the other league that is kept, b's removal comes without league.
        [stash("a", item("1"), league="B"), stash("b", item("2"), league="A"), stash("z", league="Z")],
        [{"id": "b", "public": False, "league": None, "items": []}, {"id": "never seen", "public": False, "items": []}],
        [stash("a", item("1"), league="A"), stash("q", item("5"), league="A"), stash("q", item("5"), league="B")],
    ]
    bodies = []
    for number, records in enumerate(pages, 1):
        bodies.append((utc(START + 10 * number), page_of(records)))
        bench.commit(bodies[-1][1])
        expected = of_leagues(read_pages(bodies), "A", "Z")
        assert bench.stashes() == expected.stashes
        assert without_first_seen(bench.listings()) == without_first_seen(expected.listings)

    filters = bench.handle.rows("SELECT DISTINCT league_filter FROM raw_public_stash_pages")
    assert filters == [(["A", "Z"],)]
    stored = bench.handle.rows("SELECT body, stash_count, item_count FROM raw_public_stash_pages ORDER BY seq")
    kept = [[record["id"] for record in json.loads(row[0])["stashes"]] for row in stored]
    assert kept == [["a", "n"], ["o"], ["a", "b", "z"], ["b", "never seen"], ["a", "q", "q"]]
    assert [row[1:] for row in stored] == [(2, 1), (1, 1), (3, 1), (2, 0), (3, 2)]


def test_a_stash_that_left_the_league_is_gone_in_the_history_too(bench: Bench) -> None:
    bench.commit(page_of([stash("a", item("1"), league="A")]))
    bench.commit(page_of([stash("a", item("1"), league="B")]))

    assert bench.stashes() == {}
    assert bench.listings() == {}
    assert bench.handle.rows("SELECT seq, change, item_id FROM silver_items ORDER BY seq") == [
        (1, "new", "1"),
        (2, "gone", "1"),
    ]


def test_a_page_of_other_leagues_only_moves_the_queue_on(bench: Bench) -> None:
    bench.commit(page_of([stash("b", item("2"), league="B")]))

    assert bench.handle.rows("SELECT seq, stash_count FROM raw_public_stash_pages") == [(1, 0)]
    assert bench.handle.value("SELECT max(seq) FROM bronze_ingest_checkpoints") == 1
    assert bench.stashes() == {}


def test_bad_records_stay_visible(bench: Bench) -> None:
    bad = b'{"id":"x","public":true,"league":"B","stash":"\\ud800","items":[]}'

    counts = bench.commit(page_of([bad, stash("b", league="B")]))

    assert counts.set_aside == 1
    assert [letter["body"] for letter in bench.dead_letters()] == [bad]


def test_one_league_of_a_river(handle: Handle, engine: Engine, tmp_path: Path) -> None:
    bench = open_bench(handle, engine, tmp_path, leagues=("Standard",))
    river = River(4, stashes_per_page=15, items_per_stash=4, population=50, oddities=5, pages=12)
    bodies: list[tuple[Any, bytes]] = []
    for page in river.walk(0.0):
        bench.commit(page.body)
        bodies.append((utc(START + 10 * (len(bodies) + 1)), page.body))

    shown = bench.stashes()
    expected = of_leagues(read_pages(bodies), "Standard")
    assert shown.keys() == expected.stashes.keys()
    listed = {key for key in bench.listings() if not key[1].startswith("~")}
    assert listed == {key for key, row in expected.listings.items() if row["item_id"] is not None}


@pytest.mark.shared
def test_one_league_of_old_pages(handle: Handle, engine: Engine, tmp_path: Path, shared_data: Path) -> None:
    """In 2018 only the items said their league."""
    bench = open_bench(handle, engine, tmp_path, leagues=("Standard",))
    body = (shared_data / "psapi" / "2018-01-first-page.json").read_bytes()

    bench.commit(body)

    expected = of_leagues(read_pages([(utc(START + 10), body)]), "Standard")
    assert expected.listings
    assert_same_state(bench, expected)
