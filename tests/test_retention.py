"""What is swept from the present state, and that nothing which counts goes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.store.crash_points import no_crash
from harvester.store.derive_sql import HOMES_KEPT_DAYS
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.retention import (
    apply_retention,
    forgotten_share,
    stale_share,
    sweep_homes,
    sweep_listings,
)
from harvester.store.upkeep import SWEEP_EVERY_SECONDS, Upkeep
from tests.store_bench import START, Bench, item, open_bench, page_of, stash

DAY = 86_400.0


@pytest.fixture
def bench(handle: Handle, engine: Engine, tmp_path: Path) -> Bench:
    handle.set_for_session("mutations_sync", 2)
    return open_bench(handle, engine, tmp_path)


def homes(bench: Bench) -> set[tuple[str, str, bool]]:
    rows = bench.handle.rows("SELECT item_id, stash_id, listed FROM silver_item_homes FINAL")
    return {(item_id, stash_id, bool(listed)) for item_id, stash_id, listed in rows}


def test_an_item_that_comes_back_is_remembered_for_a_while_and_no_longer(bench: Bench) -> None:
    kept = HOMES_KEPT_DAYS * DAY
    bench.commit(page_of([stash("A", item("long gone"), item("just gone"), item("stays"))]), START)
    bench.commit(page_of([stash("A", item("just gone"), item("stays"))]), START + DAY)
    bench.commit(page_of([stash("A", item("stays"))]), START + 3 * DAY)
    bench.commit(page_of([stash("B")]), START + 2 * DAY + kept)

    assert forgotten_share(bench.handle) > 0
    sweep_homes(bench.handle)

    assert homes(bench) == {("just gone", "A", False), ("stays", "A", True)}
    assert forgotten_share(bench.handle) == 0
    back = START + 3 * DAY + kept
    bench.commit(page_of([stash("A", item("long gone"), item("just gone"), item("stays"))]), back)
    first_seen = {key[1]: row["first_seen"].timestamp() for key, row in bench.listings().items()}
    assert first_seen == {"long gone": back, "just gone": START, "stays": START}


def test_a_move_is_seen_however_long_the_item_was_listed(bench: Bench) -> None:
    bench.commit(page_of([stash("A", item("old"), item("other"))]), START)
    bench.commit(page_of([stash("C")]), START + 10 * HOMES_KEPT_DAYS * DAY)
    sweep_homes(bench.handle)

    bench.commit(page_of([stash("B", item("old"))]))

    assert set(bench.listings()) == {("B", "old"), ("A", "other")}
    assert bench.handle.rows("SELECT stash_id, moved_to FROM silver_items WHERE change = 'gone'") == [("A", "B")]


def test_the_sweep_of_listings_leaves_the_views_as_they_are(bench: Bench) -> None:
    for price in range(4):
        bench.commit(
            page_of([stash("A", item("1", note=f"~price {price + 1} chaos"), item("2")), stash("B", item("3"))])
        )
    bench.commit(page_of([stash("B", item("1"))]))
    before = bench.listings()
    assert stale_share(bench.handle) > 0.5

    sweep_listings(bench.handle)

    assert bench.listings() == before
    assert bench.handle.value("SELECT count() FROM silver_listings") == len(before)


def test_upkeep_sweeps_by_and_by(bench: Bench, engine: Engine) -> None:
    for note in ("~price 1 chaos", "~price 2 chaos", "~price 3 chaos"):
        bench.commit(page_of([stash("A", item("1", note=note)), stash("B", item("gone"))]), START)
    bench.commit(page_of([stash("B")]), START)
    bench.commit(page_of([stash("C")]), START + 2 * HOMES_KEPT_DAYS * DAY)
    upkeep = Upkeep(engine, 0, 0)

    assert upkeep.when_due(0.0) == []
    first = upkeep.when_due(SWEEP_EVERY_SECONDS)
    assert [done.split(" (")[0] for done in first] == [
        "swept listings that are no longer current",
        "forgot items that left long ago",
    ]
    assert upkeep.when_due(2 * SWEEP_EVERY_SECONDS - 1.0) == []
    upkeep.close()


def test_a_page_that_waited_longer_than_raw_pages_are_kept_is_stored_whole(bench: Bench) -> None:
    apply_retention(bench.handle, raw_days=14, silver_days=0)  # the pages of a bench are older than that

    for page in range(3):
        bench.commit(page_of([stash("A", item(f"{page}")), stash("B", item(f"b{page}"))]))

    assert bench.handle.value("SELECT count() FROM raw_public_stash_pages") == 3
    assert set(bench.listings()) == {("A", "2"), ("B", "b2")}
    assert bench.dead_letters() == []


def test_a_page_whose_bronze_vanishes_while_it_is_derived_never_becomes_visible(bench: Bench) -> None:
    bench.commit(page_of([stash("A", item("1"))]))

    def vanish(step: str) -> None:
        if step == "listings":
            bench.handle.run("ALTER TABLE raw_public_stash_pages DELETE WHERE seq = 2")

    bench.crash_point = vanish
    bench.renew()
    with pytest.raises(StoreError) as failed:
        bench.commit(page_of([stash("A", item("1"), item("2"))]))
    assert failed.value.fault is StoreFault.PROOF
    assert set(bench.listings()) == {("A", "1")}
    assert bench.spool.sequences == [2]

    bench.crash_point = no_crash
    bench.renew()
    bench.committer.commit(2)
    assert bench.handle.value("SELECT count() FROM raw_public_stash_pages") == 2
    assert bench.spool.sequences == []
