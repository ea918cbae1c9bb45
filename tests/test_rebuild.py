"""Silver derived anew: the same rows from the same pages, whatever was damaged, dropped or killed in between."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest

from harvester.commands.rebuild import run_rebuild
from harvester.settings import Settings, load_settings
from harvester.simulator.river import River
from harvester.store.derive_sql import HOMES_KEPT_DAYS
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.lease import Lease
from harvester.store.queue_lease import LEASE_TABLE
from harvester.store.rebuild import RebuildEnd, RebuildProgress, RebuildRefused, RebuildResult, SilverRebuild
from harvester.store.rebuild_shadow import swap_was_cut_off
from harvester.store.retention import sweep_homes
from tests.schema_template import migrate
from tests.store_bench import START, Bench, item, open_bench, page_of, stash

RIVER_PAGES = 3
PAGES = RIVER_PAGES + 5
SILVER = ("silver_stashes", "silver_items", "silver_listings", "silver_stash_state", "silver_item_homes")
PRESENT_STATE = (
    "SELECT * REPLACE (arraySort(item_keys) AS item_keys, arraySort((c, k) -> k, contents, item_keys) AS contents,"
    " arraySort((f, k) -> k, first_seens, item_keys) AS first_seens) FROM silver_stash_state FINAL"
)
CURRENT_LISTINGS = (
    "SELECT * FROM silver_listings WHERE (realm, stash_id, seq) IN"
    " (SELECT realm, stash_id, seq FROM silver_stash_state FINAL WHERE public)"
)


class Killed(BaseException):
    """Stands for `kill -9`: nothing of the program catches it."""


def bodies() -> Iterator[bytes]:
    """Stashes come back changed, items move between them, records are odd."""
    river = River(7, pages=RIVER_PAGES, stashes_per_page=16, items_per_stash=4.0, population=20)
    cursor = ""
    for _ in range(RIVER_PAGES):
        page = river.page(cursor, 0.0)
        yield page.body
        cursor = page.next_change_id
    # An item that leaves for another stash and comes back, one without id, one that was gone for a while.
    yield page_of([stash("S", item("moving"), item(None)), stash("T", item("staying"))])
    yield page_of([stash("U", item("moving"))])
    yield page_of([stash("S", item("moving"), item(None, x=1))])
    yield page_of([stash("T"), stash("S", item(None))])
    yield page_of([stash("T", item("staying", note="~price 1 chaos"))])


@pytest.fixture(scope="module")
def harvested(file_engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A harvested store, to be copied and not to be touched."""
    with file_engine.open() as handle:
        bench = open_bench(handle, file_engine, tmp_path_factory.mktemp("spool"))
        for body in bodies():
            bench.commit(body)
    return file_engine


@pytest.fixture
def bench(harvested: Engine, handle: Handle, engine: Engine, tmp_path: Path) -> Bench:
    """A copy of the harvested store."""
    migrate(engine)
    for table in (*SILVER, "raw_public_stash_pages", "bronze_ingest_checkpoints", "bronze_dead_letters"):
        for (partition,) in handle.rows(
            "SELECT DISTINCT partition_id FROM system.parts"
            " WHERE active AND database = {database:String} AND table = {table:String}",
            {"database": harvested.database, "table": table},
        ):
            source = f"{harvested.database}.{table}"
            handle.run(f"ALTER TABLE {table} ATTACH PARTITION ID '{partition}' FROM {source}")
    return Bench(handle, tmp_path / "spool")


def silver(handle: Handle) -> dict[str, list[Any]]:
    """Every row of silver that counts, in a fixed order."""
    statements = {
        "silver_stashes": "SELECT * FROM silver_stashes",
        "silver_items": "SELECT * FROM silver_items",
        "silver_listings": CURRENT_LISTINGS,
        "silver_stash_state": PRESENT_STATE,
        "silver_item_homes": "SELECT * FROM silver_item_homes FINAL",
    }
    return {table: sorted(handle.rows(sql, as_bytes=True), key=repr) for table, sql in statements.items()}


def rebuild(
    engine: Engine,
    *realms: str,
    crash_point: Callable[[str], None] = lambda _: None,
    progress: Callable[[RebuildProgress], None] = lambda _: None,
    stop_asked: Callable[[], bool] = lambda: False,
) -> RebuildResult:
    made = SilverRebuild(engine, realms or ("pc",), crash_point=crash_point)
    return made.run(progress, stop_asked, raw_days=0, silver_days=0)


def damage(handle: Handle, table: str, where: str) -> None:
    handle.run(f"ALTER TABLE {table} DELETE WHERE {where}", settings={"mutations_sync": 2})


def drop_old_pages(handle: Handle, first: int) -> None:
    """What retention does to bronze."""
    damage(handle, "raw_public_stash_pages", f"seq < {first}")


def tables(handle: Handle) -> set[str]:
    return {row[0] for row in handle.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")}


def assert_same(after: dict[str, list[Any]], before: dict[str, list[Any]]) -> None:
    for table in SILVER:
        missing = [row for row in before[table] if row not in after[table]]
        extra = [row for row in after[table] if row not in before[table]]
        assert (missing[:2], extra[:2]) == ([], []), f"{table}: {len(missing)} missing, {len(extra)} extra"
        assert len(after[table]) == len(before[table]), table


def test_an_undisturbed_store_is_rebuilt_row_for_row(bench: Bench, engine: Engine) -> None:
    before, names = silver(bench.handle), tables(bench.handle)

    result = rebuild(engine)

    assert_same(silver(bench.handle), before)
    assert result.end is RebuildEnd.DONE
    assert result.covers[0].pages == PAGES
    assert result.records["pc"] == len(before["silver_stashes"])
    assert tables(bench.handle) == names


@pytest.mark.parametrize("first", [RIVER_PAGES + 3, *(pytest.param(n, marks=pytest.mark.soak) for n in (2, PAGES))])
def test_what_bronze_no_longer_covers_is_carried_over(bench: Bench, engine: Engine, first: int) -> None:
    before = silver(bench.handle)
    drop_old_pages(bench.handle, first)

    result = rebuild(engine)

    assert (result.covers[0].first, result.covers[0].last) == (first, PAGES)
    assert_same(silver(bench.handle), before)
    if first == PAGES:
        rebuild(engine)
        assert_same(silver(bench.handle), before)


def test_first_seen_outlives_a_history_that_was_dropped_too(bench: Bench, engine: Engine) -> None:
    listings = bench.listings()
    drop_old_pages(bench.handle, 3)
    for table in ("silver_stashes", "silver_items"):
        damage(bench.handle, table, "seq < 3")
    news = "SELECT seq, change, stash_id, item_id FROM silver_items WHERE change = 'new' ORDER BY ALL"
    new_before = bench.handle.rows(news)

    rebuild(engine)

    assert bench.listings() == listings
    assert bench.handle.rows(news) == new_before, "an item that was there is no news"


@pytest.mark.soak
@pytest.mark.parametrize(("first", "swept"), [(1, False), (1, True), (11, False), (11, True)])
def test_first_seen_is_remembered_as_long_as_the_harvest_does(
    bench: Bench, engine: Engine, first: int, swept: bool
) -> None:
    """Whether rows were swept in time or not, and whether the history knows more or not."""
    day, kept = 86_400.0, HOMES_KEPT_DAYS * 86_400.0
    bench.handle.set_for_session("mutations_sync", 2)
    if not swept:  # what came and left has a row of each
        bench.handle.run("SYSTEM STOP MERGES silver_item_homes")
    times = [START + day, START + 2 * day, START + 3 * day, START + 2.5 * day + kept, START + 2.6 * day + kept,
             START + 2.7 * day + kept]  # fmt: skip
    long_gone, just_gone = item("long gone"), item("just gone")
    for at, items in zip(
        times, [(long_gone, just_gone), (just_gone,), (), (long_gone, just_gone), (), (long_gone,)], strict=True
    ):
        if swept:
            sweep_homes(bench.handle)
        bench.commit(page_of([stash("M", *items)]), at)
    first_seen = "SELECT seq, item_id, change, first_seen FROM silver_items WHERE stash_id = 'M' ORDER BY ALL"
    before = bench.handle.rows(first_seen)
    drop_old_pages(bench.handle, first)

    rebuild(engine)

    assert bench.handle.rows(first_seen) == before
    back = {row[1]: row[3].replace(tzinfo=UTC).timestamp() for row in before if row[0] == PAGES + 4 and row[2] == "new"}
    assert back == {"long gone": times[3], "just gone": times[0]}
    assert bench.listings()["M", "long gone"]["first_seen"].timestamp() == times[3]


def test_damaged_silver_is_mended(bench: Bench, engine: Engine) -> None:
    drop_old_pages(bench.handle, RIVER_PAGES)
    before = silver(bench.handle)
    for table in SILVER:
        damage(bench.handle, table, f"seq >= {RIVER_PAGES} AND seq % 2 = 0")
    assert silver(bench.handle) != before

    rebuild(engine)

    assert_same(silver(bench.handle), before)


@pytest.mark.soak
def test_other_realms_stay_as_they_are(bench: Bench, engine: Engine, tmp_path: Path) -> None:
    drop_old_pages(bench.handle, PAGES - 2)
    xbox = Bench(bench.handle, tmp_path / "spool", realm="xbox")
    xbox.commit(page_of([stash("S", item("a")), stash("X", item("b"))]))
    before = silver(bench.handle)
    damage(bench.handle, "raw_public_stash_pages", "realm = 'xbox'")

    assert [cover.realm for cover in rebuild(engine, "pc", "xbox").covers] == ["pc"]

    assert_same(silver(bench.handle), before)


def test_only_the_unbroken_run_of_pages_is_covered(bench: Bench, engine: Engine) -> None:
    before = silver(bench.handle)
    damage(bench.handle, "raw_public_stash_pages", f"seq = {PAGES - 2}")

    assert rebuild(engine).covers[0].first == PAGES - 1
    assert_same(silver(bench.handle), before)


def test_without_the_newest_page_nothing_is_touched(bench: Bench, engine: Engine) -> None:
    before = silver(bench.handle)
    damage(bench.handle, "raw_public_stash_pages", f"seq = {PAGES}")

    assert rebuild(engine).end is RebuildEnd.NOTHING_TO_DO
    assert_same(silver(bench.handle), before)


def test_dead_letters_are_honoured_and_pages_set_aside_leave_no_gap(bench: Bench, engine: Engine) -> None:
    bench.commit(page_of([stash("V", item("v")), b'{"id":"W","public":"true","items":[]}']))
    aside = bench.put(b"<html>")
    bench.committer.give_up(aside, "no page")
    bench.renew()
    bench.commit(page_of([stash("V", item("v"), item("w"))]))
    drop_old_pages(bench.handle, PAGES)
    before, letters = silver(bench.handle), bench.dead_letters()
    assert [letter["kind"] for letter in letters][-2:] == [b"record", b"page"]

    result = rebuild(engine)

    assert (result.covers[0].first, result.covers[0].pages) == (PAGES, 3)
    assert_same(silver(bench.handle), before)
    assert bench.dead_letters() == letters


STEPS = [
    *(f"page {PAGES}", "swap silver_listings"),
    *(pytest.param(step, marks=pytest.mark.soak) for step in ("seed_listings", "swapped")),
]


@pytest.mark.parametrize("step", STEPS)
def test_a_killed_rebuild_is_gone_on_with(bench: Bench, engine: Engine, step: str) -> None:
    drop_old_pages(bench.handle, PAGES - 2)
    before, names = silver(bench.handle), tables(bench.handle)
    damage(bench.handle, "silver_listings", f"seq >= {PAGES - 2}")

    def kill(at: str) -> None:
        if at == step:
            raise Killed

    with pytest.raises(Killed):
        rebuild(engine, crash_point=kill)
    # A harvest must not start on tables of which some are old and some new.
    assert swap_was_cut_off(bench.handle) == step.startswith("swap")
    done: list[str] = []
    rebuild(engine, crash_point=done.append)
    assert not swap_was_cut_off(bench.handle)

    assert_same(silver(bench.handle), before)
    assert tables(bench.handle) == names
    if step.startswith("page"):
        assert "seed silver_items" not in done
        assert f"page {PAGES - 2}" not in done
    if step.startswith("swap"):
        assert not [at for at in done if at.startswith("page")]


def test_until_the_swap_silver_is_as_it_was(bench: Bench, engine: Engine) -> None:
    drop_old_pages(bench.handle, PAGES - 2)
    before, names = silver(bench.handle), tables(bench.handle)
    seen: list[RebuildProgress] = []
    made = SilverRebuild(engine, ["pc"])

    result = made.run(seen.append, lambda: len(seen) > 2, raw_days=0, silver_days=0)
    assert result.end is RebuildEnd.STOPPED
    assert silver(bench.handle) == before
    made.discard()

    assert tables(bench.handle) == names
    assert silver(bench.handle) == before


def test_a_harvest_that_wrote_meanwhile_is_never_undone(bench: Bench, engine: Engine) -> None:
    drop_old_pages(bench.handle, PAGES - 2)

    def harvest(at: str) -> None:
        if at == f"page {PAGES - 1}":
            bench.commit(page_of([stash("late", item("late"))]))

    with pytest.raises(RebuildRefused, match="Stop every harvest"):
        rebuild(engine, crash_point=harvest)

    assert "late" in bench.stashes()
    rebuild(engine)
    assert "late" in bench.stashes()


@pytest.mark.soak
def test_work_from_before_a_harvest_is_not_gone_on_with(bench: Bench, engine: Engine) -> None:
    drop_old_pages(bench.handle, PAGES - 2)

    def kill(at: str) -> None:
        if at == "swap silver_listings":
            raise Killed

    with pytest.raises(Killed):
        rebuild(engine, crash_point=kill)
    bench.commit(page_of([stash("late", item("late"))]))
    before = silver(bench.handle)

    rebuild(engine)

    assert "late" in bench.stashes()
    assert_same(silver(bench.handle), before)


@pytest.mark.soak
def test_retention_is_in_force_again_afterwards(bench: Bench, engine: Engine) -> None:
    drop_old_pages(bench.handle, PAGES - 2)
    SilverRebuild(engine, ["pc"]).run(lambda _: None, lambda: False, raw_days=0, silver_days=36_500)

    definition = bench.handle.value(
        "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = 'silver_items'"
    )
    assert "TTL toDateTime(fetched_at) + toIntervalDay(36500)" in str(definition)
    rebuild(engine)


def settings_for(engine: Engine, tmp_path: Path) -> Settings:
    environ = {
        "POE_CLICKHOUSE_URL": engine.url,
        "POE_CLICKHOUSE_DATABASE": engine.database,
        "POE_CURSOR_DIR": str(tmp_path),
        "POE_SPOOL_DIR": str(tmp_path / "spool"),
        "POE_SILVER_RETENTION_DAYS": "0",
        "POE_RAW_RETENTION_DAYS": "0",
    }
    return load_settings(environ, None)


def command(settings: Settings, *, as_json: bool = False) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return run_rebuild(settings, json=as_json, out=out, err=err), out.getvalue(), err.getvalue()


def test_the_command_tells_what_it_derived(bench: Bench, engine: Engine, tmp_path: Path) -> None:
    drop_old_pages(bench.handle, PAGES - 2)
    settings = settings_for(engine, tmp_path)

    code, out, err = command(settings)
    assert code == 0
    assert out.splitlines()[0].split() == ["realm", "pages", "from", "page", "to", "page", "records"]
    assert out.splitlines()[1].split()[:4] == ["pc", "3", str(PAGES - 2), str(PAGES)]
    assert "Silver of pc is derived anew" in err

    answer = json.loads(command(settings, as_json=True)[1])
    assert answer["end"] == "done"
    assert answer["realms"][0]["pages"] == 3


def test_beside_a_harvest_it_says_who_is_in_the_way(bench: Bench, engine: Engine, tmp_path: Path) -> None:
    lease = Lease(bench.spool.directory, "psapi:pc")
    try:
        code, out, err = command(settings_for(engine, tmp_path))
    finally:
        lease.release()

    assert (code, out) == (1, "")
    assert "psapi:pc is already run by process" in err
    assert "End that process first" in err


def test_an_empty_store_is_no_store_to_rebuild(engine: Engine, tmp_path: Path) -> None:
    code, _, err = command(settings_for(engine, tmp_path))

    assert code == 1
    assert "nothing was ever harvested" in err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 1, marks=pytest.mark.soak)]
)
def test_asked_to_leave_it_leaves_silver_as_it_was(
    bench: Bench,
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    code: int,
) -> None:
    drop_old_pages(bench.handle, PAGES - 1)
    before, names = silver(bench.handle), tables(bench.handle)
    settings = settings_for(engine, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(
            "harvester.commands.rebuild._Display.show",
            lambda _self, progress: signal.raise_signal(number) if progress.realm else None,
        )
        ended, out, err = command(settings)

    assert (ended, out) == (code, "")
    assert "silver is as it was" in err
    assert silver(bench.handle) == before
    if number is signal.SIGINT:
        assert tables(bench.handle) - {LEASE_TABLE} == names, "nothing of it is left"
    else:
        assert command(settings)[0] == 0
        assert tables(bench.handle) - {LEASE_TABLE} == names
        assert_same(silver(bench.handle), before)
