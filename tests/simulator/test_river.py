"""The river: seeded, stable, living; cursors and both ends of the stream."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from typing import Any

import pytest

from harvester.simulator.river import BadCursorError, EndOfStream, River, RiverPage


def total(cursor: str) -> int:
    return sum(int(part) for part in cursor.split("-"))


def records(pages: list[RiverPage]) -> list[dict[str, Any]]:
    return [record for page in pages for record in json.loads(page.body)["stashes"]]


@pytest.fixture(scope="module")
def pages() -> list[RiverPage]:
    return River(3, pages=120, items_per_stash=6.0).walk(0.0)


@pytest.fixture(scope="module")
def shown(pages: list[RiverPage]) -> list[dict[str, Any]]:
    return records(pages)


def test_same_seed_same_bytes_other_seed_other_bytes() -> None:
    walks = [[page.body for page in River(seed, realm, pages=8).walk(0.0)] for seed, realm in ((5, "pc"), (5, "pc"))]
    assert walks[0] == walks[1]
    assert walks[0] != [page.body for page in River(6, pages=8).walk(0.0)]
    assert walks[0] != [page.body for page in River(5, "xbox", pages=8).walk(0.0)]


def test_a_page_asked_for_again_is_the_same_page_thousands_of_pages_later() -> None:
    river = River(2, stashes_per_page=6, items_per_stash=3, population=60)
    first = river.page("", 0.0)
    early = river.page(first.next_change_id, 0.0)
    cursor = early.next_change_id
    for _ in range(3_000):
        cursor = river.page(cursor, 0.0).next_change_id
    assert river.page("", 99.0) == first
    assert river.page("0", 99.0).body == first.body
    assert river.page(first.next_change_id, 99.0) == early


def test_a_growing_river_never_changes_a_page_that_it_has_answered() -> None:
    river = River(2, start=1_000.0, stash_rate=10.0)
    short = river.page("", 1_001.0)
    assert short.stashes == 10
    assert river.page("", 1_100.0) == short
    rest = river.page(short.next_change_id, 1_002.0)
    assert rest.stashes == 10
    whole = River(2, pages=1)
    assert records([short, rest]) == records(whole.walk(0.0))[:20]


def test_how_the_stream_is_cut_changes_nothing_in_it() -> None:
    whole = River(4, pages=5)
    drops = River(4, pages=5, stash_rate=7.0)
    cut: list[RiverPage] = []
    cursor, now = "", 0.0
    while len(cut) < 1_000 and cursor != whole.head(0.0):
        page = drops.page(cursor, now)
        if not page.at_end:
            cut.append(page)
            cursor = page.next_change_id
        now += 3.0
    assert records(cut) == records(whole.walk(0.0))


def test_the_cursor_rises_by_the_number_of_stashes_in_the_page(pages: list[RiverPage]) -> None:
    for page in pages[1:]:
        rise = total(page.next_change_id) - total(page.change_id)
        assert rise == page.stashes or (page.stashes == 0 and rise > 0)
        parts = [int(part) for part in page.next_change_id.split("-")]
        assert len(parts) == 5
        assert all(3_100_000_000 < part < 3_500_000_000 for part in parts)
        assert all(a <= b for a, b in zip(map(int, page.change_id.split("-")), parts, strict=True))


def test_the_next_id_is_the_first_key_and_counts_are_right(pages: list[RiverPage]) -> None:
    for page in pages:
        read = json.loads(page.body)
        assert page.body.startswith(b'{"next_change_id":"' + page.next_change_id.encode())
        assert len(read["stashes"]) == page.stashes
        assert sum(len(record["items"]) for record in read["stashes"]) == page.items


def test_some_pages_are_empty_and_go_on(pages: list[RiverPage]) -> None:
    empty = [page for page in pages if page.stashes == 0]
    assert empty
    assert all(page.next_change_id != page.change_id for page in empty)
    assert all(page.stashes for page in River(3, pages=120, items_per_stash=1.0, empty_pages=0).walk(0.0))


def test_a_bounded_river_ends_after_its_pages(pages: list[RiverPage]) -> None:
    assert len(pages) == 120


@pytest.mark.parametrize("form", list(EndOfStream))
def test_the_end_says_the_same_id_back(form: EndOfStream) -> None:
    river = River(3, pages=3, end=form)
    last = river.walk(0.0)[-1]
    end = river.page(last.next_change_id, 0.0)
    assert end.at_end
    assert end.next_change_id == last.next_change_id
    again = json.loads(end.body)["stashes"]
    if form is EndOfStream.EMPTY:
        assert again == []
    else:
        known = records([last])
        assert again
        assert all(record in known for record in again)


def test_a_river_that_has_not_begun_is_at_its_end() -> None:
    for form in EndOfStream:
        page = River(3, stash_rate=1.0, start=50.0, end=form).page("", 50.0)
        assert page.at_end
        assert json.loads(page.body)["stashes"] == []


def test_a_backlog_is_there_at_the_start_and_the_delay_holds_back_what_is_new() -> None:
    river = River(3, start=0.0, stash_rate=1.0, backlog_pages=4, delay=300.0)
    pages = river.walk(300.0)
    assert len(pages) == 4
    assert river.page(pages[-1].next_change_id, 305.0).stashes == 5


@pytest.mark.parametrize("river", [River(3, pages=3), River(3), River(3, stash_rate=5.0)])
def test_a_cursor_too_far_ahead_answers_an_empty_page(river: River) -> None:
    ahead = "-".join(str(int(part) + 90_000_000) for part in river.page("", 10.0).next_change_id.split("-"))
    page = river.page(ahead, 10.0)
    assert (page.at_end, page.stashes, page.next_change_id) == (True, 0, ahead)


@pytest.mark.parametrize("text", ["1", "a-b-c-d-e", "1-2-3-4", "1-2-3-4-5-6", "-", "null"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(BadCursorError):
        River(3).page(text, 0.0)


def test_memory_is_bounded_and_a_forgotten_cursor_gets_the_oldest_page() -> None:
    river = River(3, stashes_per_page=5, items_per_stash=2, keep_pages=10)
    first = river.page("", 0.0)
    cursor = first.next_change_id
    for _ in range(50):
        cursor = river.page(cursor, 0.0).next_change_id
    oldest = river.page("", 0.0)
    assert oldest.body != first.body
    assert total(cursor) - total(oldest.next_change_id) <= 50


def test_everything_that_happens_to_stashes_happens() -> None:
    """Opened, repriced, renamed, sold from, emptied, closed, reopened, moved between leagues, and so on."""
    happened: Counter[str] = Counter()
    last: dict[str, dict[str, Any]] = {}
    home: dict[str, str] = {}
    for record in records(River(9, pages=100, items_per_stash=5.0).walk(0.0)):
        before = last.get(record["id"])
        last[record["id"]] = record
        notes = {item["id"]: item.get("note") for item in record["items"] if "id" in item}
        if before is None:
            happened["opened"] += 1
        elif not record["public"]:
            happened["closed"] += 1
        elif not before["public"]:
            happened["reopened"] += 1
        else:
            old = {item["id"]: item.get("note") for item in before["items"] if "id" in item}
            happened["repriced"] += any(old[key] != note for key, note in notes.items() if key in old)
            happened["sold"] += bool(old.keys() - notes.keys())
            happened["restocked"] += bool(notes.keys() - old.keys())
            happened["renamed"] += before["stash"] != record["stash"]
            happened["emptied"] += bool(before["items"]) and not record["items"]
            happened["moved league"] += before.get("league") != record.get("league")
        happened["items moved"] += sum(home.get(key, record["id"]) != record["id"] for key in notes)
        home |= dict.fromkeys(notes, record["id"])
    assert set(happened) == {
        "opened", "closed", "reopened", "repriced", "sold", "restocked", "renamed", "emptied", "moved league",
        "items moved",
    }  # fmt: skip
    assert all(count >= 5 for count in happened.values()), happened


def test_a_removal_carries_no_dependable_league_and_no_items(shown: list[dict[str, Any]]) -> None:
    removals = [record for record in shown if not record["public"]]
    assert all(record["items"] == [] for record in removals)
    leagues = Counter(
        "absent" if "league" not in record else "null" if record["league"] is None else "there" for record in removals
    )
    assert min(leagues[kind] for kind in ("absent", "null", "there")) > 5
    assert any(record["accountName"] is None for record in shown if record["public"])


def test_items_come_in_the_shapes_of_three_ages(pages: list[RiverPage], shown: list[dict[str, Any]]) -> None:
    items = [item for record in shown for item in record["items"]]
    seen = {
        "category as text": any(isinstance(item.get("category"), str) for item in items),
        "category as object": any(isinstance(item.get("category"), dict) for item in items),
        "marks": any(item["name"].startswith("<<set:MS>>") for item in items),
        "no base type": any("baseType" not in item for item in items),
        "mods as text": any(isinstance(mod, str) for item in items for mod in item.get("explicitMods", [])),
        "mods as objects": any("flags" in mod for item in items for mod in item.get("explicitMods", [])),
        "no frame type": any("frameType" not in item and "frameTypeId" in item for item in items),
        "no id": any("id" not in item for item in items),
        "x beyond a byte": any(item["x"] > 255 for item in items),
        "stack beyond its maximum": any(item.get("stackSize", 0) > item.get("maxStackSize", 0) for item in items),
        "forum note": any("forum_note" in item for item in items),
        "unknown field": any("newFieldOfThePatch" in item for item in items),
        "private league": any("(PL" in item["league"] for item in items),
        "stash without league": any(record["public"] and "league" not in record for record in shown),
        "escape": any("\x1b" in (record["stash"] or "") for record in shown),
        "beyond ASCII": any(not (record["stash"] or "").isascii() for record in shown),
        "one id twice in a stash": any(
            len(ids) != len(set(ids))
            for ids in ([item["id"] for item in record["items"] if "id" in item] for record in shown)
        ),
        "one stash twice in a page": any(
            len(ids) != len(set(ids)) for ids in ([record["id"] for record in records([page])] for page in pages)
        ),
    }
    assert all(seen.values()), [name for name, there in seen.items() if not there]


def test_without_oddities_and_old_tabs_the_river_is_plain() -> None:
    shown = records(River(3, pages=20, oddities=0, old_share=0).walk(0.0))
    items = [item for record in shown for item in record["items"]]
    assert all("id" in item and "baseType" in item for item in items)
    assert not any("\x1b" in (record["stash"] or "") for record in shown)


def test_leagues_can_be_named() -> None:
    names = [f"League {number}" for number in range(150)]
    shown = records(River(3, pages=20, leagues=names).walk(0.0))
    seen = {record["league"] for record in shown if record.get("league")}
    assert seen <= set(names)
    assert len(seen) > 100


def test_pages_have_the_sizes_of_the_real_ones() -> None:
    """A real page: 600 to 1,000 stashes, 1 to 5 MB, about 1 kB an item, about 6:1 by gzip."""
    river = River(7, pages=6, stashes_per_page=800, items_per_stash=5.0, empty_pages=0)
    pages = river.walk(0.0)
    stashes = sum(page.stashes for page in pages)
    size = sum(len(page.body) for page in pages)
    assert all(600 <= page.stashes <= 1_000 for page in pages)
    assert all(1_000_000 < len(page.body) < 5_500_000 for page in pages)
    assert 850 < size / sum(page.items for page in pages) < 1_300
    assert 4 < len(pages[0].body) / len(gzip.compress(pages[0].body, 6)) < 10
    assert stashes > 4_000


def test_the_demo_scale_is_about_a_thousand_items_a_page() -> None:
    pages = River(3, pages=25).walk(0.0)[10:]
    mean = sum(page.items for page in pages) / len(pages)
    assert 700 < mean < 1_600
    assert 60 < sum(page.stashes for page in pages) / len(pages) < 100
