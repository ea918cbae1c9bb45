"""The independent reading itself: prices to the letter, and how pages replace each other."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harvester.simulator.river import River


def _load() -> ModuleType:
    """The reading lies beside the tests, outside any package."""
    spec = importlib.util.spec_from_file_location(
        "reference_reading", Path(__file__).parents[1] / "reference_reading.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["reference_reading"] = module
    spec.loader.exec_module(module)
    return module


reading = _load()
NONE = (None, None, None, None)


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ("~price 10 chaos", ("price", 10, 1, "chaos")),
        ("~b/o 22/10 exa", ("b/o", 22, 10, "exalted")),
        ("~price 10/5000 divine", ("price", 10, 5000, "divine")),
        ("~gb/o .5 div", ("gb/o", 0.5, 1, "divine")),
        ("~c/o 050 alt", ("c/o", 50, 1, "alt")),
        ("~price 01.323 gemcutter", ("price", 1.323, 1, "gcp")),
        ("~price 30 chaos (C)", ("price", 30, 1, "chaos")),
        ("~b/o 2 chaos | 75+", ("b/o", 2, 1, "chaos")),
        ("~price 2 Cartographers", ("price", 2, 1, "chisel")),
        ("~price 2 jeweller's orb", ("price", 2, 1, "jewellers")),
        ("~price 1 orb of fusing", ("price", 1, 1, "fusing")),
        ("~price 3 Some-New-Orb", ("price", 3, 1, "some-new-orb")),
        ("~skip ", ("skip", None, None, None)),
        ("~skip", ("skip", None, None, None)),
    ],
)
def test_prices_are_read_to_the_letter(text: str, price: tuple[Any, ...]) -> None:
    assert reading.read_price(text) == price


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5 chaos",
        "free",
        "~price",
        "~price 5",
        "~price  chaos",
        "~price 5chaos",
        "~price 5 10",
        "~price 1/0 chaos",
        "~price 0 alt",
        "~price 0/5 alt",
        "~b/o 13..1 chaos",
        "~b/o 13//1 chaos",
        "~price 1/2/3 chaos",
        "~price -5 chaos",
        "~price 5 offer",
        "~skipped",
        "~wtb 5 chaos",
    ],
)
def test_what_says_no_valid_price_has_none(text: str) -> None:
    assert reading.read_price(text) == NONE


@pytest.mark.parametrize(
    ("item", "tab", "kind_and_amount"),
    [
        ({"note": "~price 1 c", "forum_note": "~b/o 2 c"}, "~b/o 3 c", ("price", 1)),
        ({"forum_note": "~b/o 2 c"}, "~b/o 3 c", ("b/o", 2)),
        ({"forum_note": "hello"}, "~b/o 3 c", ("b/o", 3)),
        ({}, "~b/o 3 c rest", ("b/o", 3)),
        ({"note": None}, "~b/o 3 c", ("b/o", 3)),
        ({"note": "nonsense", "forum_note": "~b/o 2 c"}, "~b/o 3 c", (None, None)),
        ({"note": "~price 0 c"}, "~b/o 3 c", (None, None)),
        ({"forum_note": "~nonsense"}, "~b/o 3 c", (None, None)),
        ({}, "~b/o 3/2 c", (None, None)),
        ({"note": "~b/o 3/2 c"}, "", ("b/o", 3)),
        ({}, "~skip ", ("skip", None)),
    ],
)
def test_the_price_falls_back_as_written(item: Any, tab: str, kind_and_amount: tuple[Any, ...]) -> None:
    assert reading.price_of(item, tab)[:2] == kind_and_amount


def page(*stashes: dict[str, Any]) -> bytes:
    full = [{"public": True, "league": "L", "accountName": "A", "stash": "", "stashType": "P"} | s for s in stashes]
    return json.dumps({"next_change_id": "x", "stashes": full}).encode()


def item(key: str | None, **fields: Any) -> dict[str, Any]:
    return {
        "name": "",
        "typeLine": "T",
        "x": 0,
        "y": 0,
        "inventoryId": "S",
        **({"id": key} if key else {}),
        **fields,
    }


def listed(*bodies: bytes) -> dict[tuple[str, str], tuple[Any, Any]]:
    found = reading.read_pages(list(enumerate(bodies))).listings
    return {key: (row["first_seen"], row["last_seen"]) for key, row in found.items()}


def test_the_latest_record_stands_and_a_removal_clears() -> None:
    both = page({"id": "a", "items": [item("1"), item("2")]})
    one = page({"id": "a", "items": [item("2"), item("3")]})
    assert listed(both, one) == {("a", "2"): (0, 1), ("a", "3"): (1, 1)}
    assert listed(both, page({"id": "a", "public": False, "items": []})) == {}


def test_the_later_record_of_a_page_stands() -> None:
    first, last = {"id": "a", "items": [item("1")]}, {"id": "a", "items": [item("2")]}
    assert listed(page(first, last)) == {("a", "2"): (0, 0)}
    between = {"id": "b", "items": [item("2")]}
    assert listed(page(first, between, last)) == {("a", "2"): (0, 0)}


def test_the_later_sighting_of_an_item_stands_and_the_earlier_does_not_rise_again() -> None:
    here, there = page({"id": "a", "items": [item("1")]}), page({"id": "b", "items": [item("1")]})
    assert listed(here, there) == {("b", "1"): (1, 1)}
    assert listed(here, there, here) == {("a", "1"): (0, 2)}
    assert listed(here, there, page({"id": "b", "items": []})) == {}
    assert listed(page({"id": "a", "items": [item("1")]}, {"id": "b", "items": [item("1")]})) == {("b", "1"): (0, 0)}


def test_an_item_without_id_is_known_by_its_place() -> None:
    found = reading.read_pages([(0, page({"id": "a", "items": [item(None, x=3), item(None, x=4)]}))]).listings
    assert set(found) == {("a", "~S 3 0"), ("a", "~S 4 0")}
    assert all(row["item_id"] is None for row in found.values())


def test_old_and_new_shapes_read_alike() -> None:
    old = item("1", name="<<set:MS>><<set:M>><<set:S>>Ming's Heart", frameType=3, league="Standard", stackSize=7)
    (row,) = reading.read_pages([(0, page({"id": "a", "league": None, "items": [old]}))]).listings.values()
    assert (row["name"], row["rarity"], row["league"], row["stack_size"]) == (
        "Ming's Heart",
        "Unique",
        "Standard",
        7,
    )


def test_records_that_are_none_are_left_out() -> None:
    body = page(
        {"id": "a", "items": [item("1")]},
        {"id": "b", "public": "true", "items": []},
        {"id": "c", "items": {}},
    )
    assert set(reading.read_pages([(0, body)]).stashes) == {"a"}


def test_it_reads_the_river() -> None:
    found = reading.read_pages((number, page.body) for number, page in enumerate(River(3, pages=30).walk(0.0)))
    assert len(found.stashes) > 200
    assert len(found.listings) > 2_000
    kinds = {row["price_kind"] for row in found.listings.values()}
    assert kinds >= {None, "price", "b/o", "gb/o", "skip"}


@pytest.mark.shared
def test_it_reads_real_pages(shared_data: Path) -> None:
    counts = {}
    for path in sorted((shared_data / "psapi").glob("*.json")):
        found = reading.read_pages([(0, path.read_bytes())])
        counts[path.name[:7]] = (len(found.stashes), len(found.listings))
    assert counts == {
        "2017-09": (21, 1292),
        "2018-01": (156, 4019),
        "2019-08": (3, 133),
        "2022-07": (1, 7),
        "2023-08": (1, 82),
    }
