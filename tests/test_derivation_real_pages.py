"""Real pages through the whole commit: bronze byte for byte, the views as an independent reading has them."""

from __future__ import annotations

import csv
import itertools
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harvester.clock import utc
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from tests.reference_reading import read_pages
from tests.store_bench import START, assert_same_state, item, open_bench, page_of

pytestmark = pytest.mark.shared

PAGES = ("2017-09", "2018-01", "2019-08", "2022-07", "2023-08")


def real_pages(shared_data: Path) -> list[bytes]:
    """The stored pages, and the item excerpts wrapped into pages."""
    directory = shared_data / "psapi"
    bodies = [path.read_bytes() for name in PAGES for path in directory.glob(f"{name}*.json")]
    every_property = json.loads((directory / "items" / "2024-every-property.json").read_bytes())
    bodies.append(page_of(every_property))
    new_shape = json.loads((directory / "items" / "2026-10-mods-as-objects.json").read_bytes())
    items = [{**item(f"excerpt {number}"), **excerpt["item"]} for number, excerpt in enumerate(new_shape["items"])]
    bodies.append(page_of([{"id": "excerpts", "public": True, "league": "Keepers", "items": items}]))
    return bodies


@pytest.mark.parametrize(
    "order",
    [
        "excerpts",
        *(pytest.param(o, marks=pytest.mark.soak) for o in ("as dated", "reversed", "each twice", "all twice")),
    ],
)
def test_real_pages_read_as_they_are(
    handle: Handle, engine: Engine, tmp_path: Path, shared_data: Path, order: str
) -> None:
    bodies = real_pages(shared_data)
    assert len(bodies) == len(PAGES) + 2
    arranged = {
        "excerpts": bodies[len(PAGES) :],
        "as dated": bodies,
        "reversed": bodies[::-1],
        "each twice": [body for body in bodies for _ in range(2)],
        "all twice": bodies + bodies,
    }[order]
    bench = open_bench(handle, engine, tmp_path)

    for body in arranged:
        bench.commit(body)

    stored = handle.rows("SELECT body FROM raw_public_stash_pages ORDER BY seq", as_bytes=True)
    assert [row[0] for row in stored] == arranged
    assert bench.dead_letters() == []
    assert_same_state(bench, read_pages((utc(START + 10 * n), body) for n, body in enumerate(arranged, 1)))


@pytest.mark.parametrize("times", [12, pytest.param(33, marks=pytest.mark.soak)])
def test_a_stash_seen_again_and_again(
    handle: Handle, engine: Engine, tmp_path: Path, shared_data: Path, times: int
) -> None:
    """The only real sequence of changes: the state after every sighting, and news only where there is some."""
    csv.field_size_limit(sys.maxsize)
    with (shared_data / "psapi" / "2020-11-one-stash-33-times.csv").open(newline="") as file:
        sightings = list(csv.DictReader(file))
    assert len(sightings) == 33
    del sightings[times:]
    bench = open_bench(handle, engine, tmp_path)
    pages = []
    for sighting in sightings:
        at = datetime.fromisoformat(sighting["created_at"]).replace(tzinfo=UTC).timestamp()
        record = {
            "id": sighting["stash_id"],
            "public": sighting["public"] == "t",
            "accountName": sighting["account_name"] or None,
            "stash": sighting["stash_name"] or None,
            "stashType": sighting["stash_type"],
            "league": sighting["league"] or None,
            "items": [
                item(
                    it["id"], name=it["name"], typeLine=it["type_line"], baseType=it["extended"].get("base_type"),
                    note=it["note"], stackSize=it["stack_size"], inventoryId=it["inventory_name"],
                )
                for it in json.loads(sighting["items"])
            ],
        }  # fmt: skip
        body = page_of([record])
        bench.commit(body, at)
        pages.append((utc(at), body))
        if len(pages) % 8 == 1:
            assert_same_state(bench, read_pages(pages))

    assert_same_state(bench, read_pages(pages))
    items = [
        {
            it["id"]: (it["note"], it["stack_size"], it["inventory_name"], it["type_line"])
            for it in json.loads(s["items"])
        }
        for s in sightings
    ]
    news = sum(
        len(after.keys() ^ before.keys()) + sum(before[key] != after[key] for key in before.keys() & after.keys())
        for before, after in itertools.pairwise([{}, *items])
    )
    assert handle.value("SELECT count() FROM silver_items") == news
