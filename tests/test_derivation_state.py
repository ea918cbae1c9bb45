"""The present state and the history after a stream of pages: what stands, what moved, what is gone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from harvester.clock import utc
from harvester.simulator.river import River
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from tests.reference_reading import read_pages
from tests.store_bench import START, Bench, assert_same_state, item, open_bench, page_of, stash

HISTORY = (
    "seq, change, stash_id, item_id, first_seen, league, name, type_line, base_type, rarity, ilvl, stack_size,"
    " corrupted, note, price_kind, price_amount, price_lot, price_currency, explicit_mods, x, y"
)
PRESENT = HISTORY.removeprefix("seq, change, ")


@pytest.fixture
def bench(handle: Handle, engine: Engine, tmp_path: Path) -> Bench:
    return open_bench(handle, engine, tmp_path)


def numbered(bodies: Iterable[bytes]) -> list[tuple[Any, bytes]]:
    """Pages with the fetch times that the bench gives them."""
    return [(utc(START + 10 * n), body) for n, body in enumerate(bodies, 1)]


def assert_history_tells_the_present(bench: Bench) -> None:
    """New, changed and gone rows, played in order, give the listings that stand, and make sense one by one."""
    standing: dict[tuple[str, str], Any] = {}
    for row in bench.handle.rows(f"SELECT {HISTORY} FROM silver_items ORDER BY seq, change = 'gone' DESC"):
        change, key, content = row[1], (row[2], row[3]), row[2:]
        if change == "gone":
            assert standing.pop(key) == content, "a gone row carries the last known content"
        elif change == "new":
            assert key not in standing
            standing[key] = content
        else:
            assert standing[key] != content, "a changed row says something else than before"
            standing[key] = content
    shown = bench.handle.rows(
        f"SELECT {PRESENT} FROM silver_listings AS listing INNER JOIN"
        " (SELECT stash_key, seq FROM silver_stash_state FINAL WHERE public) AS stash USING (stash_key, seq)"
    )
    assert sorted(shown, key=repr) == sorted(standing.values(), key=repr)


@pytest.mark.parametrize(("seed", "pages", "every"), [(20, 8, 4), pytest.param(22, 30, 10, marks=pytest.mark.soak)])
def test_a_river_reads_as_it_flows(bench: Bench, seed: int, pages: int, every: int) -> None:
    river = River(
        seed, stashes_per_page=12, items_per_stash=6, population=30, oddities=8, empty_pages=0.05, pages=pages
    )
    flowed = []
    cursor = ""
    for number in range(1, pages + 1):
        page = river.page(cursor, 0.0)
        cursor = page.next_change_id
        bench.commit(page.body)
        flowed.append(page.body)
        if number % every == 0:
            assert_same_state(bench, read_pages(numbered(flowed)))

    assert_history_tells_the_present(bench)
    assert bench.dead_letters() == []
    moved = bench.handle.value("SELECT count() FROM silver_items WHERE moved_to != ''")
    assert moved > 0, "this river moves items between stashes"


@pytest.mark.soak
def test_a_long_river_reads_as_it_flows(bench: Bench) -> None:
    test_a_river_reads_as_it_flows(bench, 5, 400, 20)


A, B, C = "stash a", "stash b", "stash c"
CASES: dict[str, list[list[Any]]] = {
    "an item moves, and back again": [
        [stash(A, item("1"), item("2")), stash(B)],
        [stash(B, item("1"))],
        [stash(A, item("1"), item("2"))],
        [stash(A, item("2")), stash(B, item("1"))],
    ],
    "an item moves, the old stash is seen later without it": [
        [stash(A, item("1"), item("2"))],
        [stash(B, item("1"))],
        [stash(A, item("2"))],
        [stash(B)],
    ],
    "an item in two stashes of one page": [
        [stash(A, item("1")), stash(B, item("1"))],
        [stash(B, item("1")), stash(A, item("1"))],
        [stash(A, item("1")), stash(B, item("1")), stash(C, item("1"))],
        [stash(B, item("1"), item("1", x=5))],
    ],
    "an item moves out of a stash and the stash leaves": [
        [stash(A, item("1"), item("2"))],
        [stash(B, item("1"))],
        [{"id": A, "public": False, "items": []}],
        [stash(A, item("1"), item("2"))],
    ],
    "three stashes lose items to one": [
        [stash(A, item("1"), item("2")), stash(B, item("3")), stash(C, item("4"), item("5"))],
        [stash("d", item("1"), item("3"), item("4"))],
        [stash(A, item("2")), stash("d")],
    ],
    "a stash twice in a page": [
        [stash(A, item("1"), item("2"), stash="first"), stash(B, item("2")), stash(A, item("3"), stash="second")],
        [stash(A, item("1")), {"id": A, "public": False, "items": [item("1")]}],
        [{"id": A, "public": False, "items": []}, stash(A, item("3"))],
        [stash(A), stash(A)],
    ],
    "a stash is closed and opened again": [
        [stash(A, item("1"), item(None))],
        [{"id": A, "public": False, "accountName": None, "stash": None, "league": None, "items": []}],
        [stash(A, item("1"), item("2"), item(None))],
        [stash(A)],
        [stash(A, item("2"), item(None))],
    ],
    "a removal is a removal, whatever it carries": [
        [stash(A, item("1")), stash(B, item("2")), stash(C, item("3")), stash("d", item("4")), stash("e", item("5"))],
        [
            {"id": A, "public": False}, {"id": B, "public": False, "items": None},
            {"id": C, "public": False, "items": {"0": {}}}, {"id": "d", "public": False, "items": [5, {}]},
            {"id": "e", "public": False, "items": [item("5")], "league": 7},
        ],
    ],
    "items without id keep their place": [
        [stash(A, item(None), item(None, x=1), item(None, x=1, inventoryId="Stash2")), stash(B, item(None))],
        [stash(A, item(None, note="~price 1 chaos"), item(None, x=2))],
        [stash(A, item(None, x=2), item(None))],
        [stash(A, {"w": 1, "typeLine": "Orb"}, {"w": 1, "typeLine": "Other"})],
    ],
    "an item changes everything but its id": [
        [stash(A, item("1"))],
        [stash(A, item("1", note="~price 5 chaos"), stash="t")],
        [stash(A, item("1", note="~price 5 chaos", stackSize=8511, ilvl=84, corrupted=True, x=183))],
        [stash(A, item("1", rarity="Unique", name="<<set:MS>><<set:M>>Name", frameType=3), league="Other")],
    ],
    "leagues and names": [
        [stash(A, item("1", league="Items"), league=None), stash(B, item("2", league="Items"))],
        [stash(A, item("1", league="Items"), item("3"), league=None, accountName=None, stash=None)],
    ],
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_stands_after_each_page(bench: Bench, case: str) -> None:
    bodies = []
    for records in CASES[case]:
        bodies.append(page_of(records))
        bench.commit(bodies[-1])
        assert_same_state(bench, read_pages(numbered(bodies)))
        assert_history_tells_the_present(bench)


def test_a_gone_item_says_where_it_went(bench: Bench) -> None:
    bench.commit(page_of([stash(A, item("1"), item("2"), item("3")), stash(B)]))
    bench.commit(page_of([stash(B, item("1"))]))
    bench.commit(page_of([stash(A, item("3")), stash(B, item("1"))]))

    gone = bench.handle.rows(
        "SELECT seq, stash_id, item_id, moved_to FROM silver_items WHERE change = 'gone' ORDER BY 1"
    )

    assert gone == [(2, A, "1", B), (3, A, "2", "")]


def test_details_of_an_item(bench: Bench) -> None:
    strange = item(
        "1", implicitMods=["{weird}", "plain"], explicitMods=[{"description": "obj", "flags": {"x": 1}}, "old"],
        properties=[{"name": "Quality", "values": [["+20%", 1]]}, {"name": "Lots", "values": [["1", 0], ["2", 0]]}],
        sockets=[{"group": 0, "sColour": "R"}, {"group": 0, "attr": "D"}, {"group": 1, "sColour": "W"}],
        influences={"shaper": True, "elder": False}, elder=True, fracturedMods=None, category={"maps": []},
    )  # fmt: skip
    bench.commit(page_of([stash(A, strange)]))

    row = bench.handle.rows(
        "SELECT implicit_mods, explicit_mods, fractured_mods, properties, sockets, influences FROM silver_listings"
    )[0]

    properties = [{"name": "Quality", "value": "+20%"}, {"name": "Lots", "value": "1, 2"}]
    assert row == (["{weird}", "plain"], ["obj", "old"], [], properties, "R-G W", ["elder", "shaper"])


def test_numbers_out_of_range_are_not_wrapped(bench: Bench) -> None:
    counts = bench.commit(
        page_of(
            [
                stash(
                    A,
                    item("big", stackSize=10**10, ilvl=10**12, x=99_999, y=70_000),
                    item("negative", stackSize=-1, ilvl=-5, x=-3, y=-70_000),
                    item("fraction", stackSize=1.5, ilvl=84.0, x=2.5, y="7"),
                    item("none", stackSize=None, ilvl=None, x=None, y=None),
                    item("beyond", stackSize=10**30, ilvl=-(10**30), x=2**63, y=-(2**70), frameType=10**20),
                )
            ]
        )
    )

    rows = bench.handle.rows("SELECT item_id, stack_size, ilvl, x, y FROM silver_listings ORDER BY item_id")
    assert counts.set_aside == 0
    assert {row[0]: row[1:] for row in rows} == {
        "big": (10**10, 0, 65535, 65535),
        "negative": (0, -5, 0, 0),
        "fraction": (0, 84, 2, 7),
        "none": (0, 0, 0, 0),
        "beyond": (0, 0, 0, 0),
    }
