"""Damaged pages and interrupted commits: nothing lost, nothing doubled, nothing that blocks the stream."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harvester.feeds.page_scan import NotAPage, scan_page
from harvester.store.crash_points import no_crash
from harvester.store.derive_sql import derivation
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from tests.schema_template import migrate
from tests.store_bench import TABLES, Bench, contents, item, open_bench, page_of, stash
from tests.test_page_scan import BAD_RECORDS

ENGINE_CANNOT_READ: dict[str, bytes] = {
    "1e999": b'{"id":"bad","public":true,"items":[{"id":"x","w":1,"ilvl":1e999}]}',
    "-1e400 in an unknown field": b'{"id":"bad","public":true,"new":-1e400,"items":[]}',
    "1,100 levels": b'{"id":"bad","public":true,"items":[],"new":' + b"[" * 1100 + b"]" * 1100 + b"}",
    "items twice": b'{"id":"bad","public":true,"items":[{"id":"x","w":1}],"items":[]}',
    "items that are empty": b'{"id":"bad","public":true,"items":[{}]}',
}  # fmt: skip
"""What the door lets in and the engine reads otherwise, or not at all."""


@pytest.fixture
def bench(handle: Handle, engine: Engine, tmp_path: Path) -> Bench:
    return open_bench(handle, engine, tmp_path)


def test_the_bad_records_of_a_page_are_dead_letters_and_the_good_ones_stand(bench: Bench) -> None:
    bad = {**BAD_RECORDS, **ENGINE_CANNOT_READ}
    records: list[bytes] = []
    for number, record in enumerate(bad.values()):
        records += [record, msgspec.json.encode(stash(f"good {number}", item(f"i{number}")))]
    bench.commit(page_of([stash("before", item("b"))]))

    counts = bench.commit(page_of(records))
    bench.commit(page_of([stash("behind", item("z"))]))

    letters = bench.dead_letters()
    body = page_of(records)
    assert [letter["body"] for letter in letters] == list(bad.values())
    assert [letter["position"] for letter in letters] == list(range(0, 2 * len(bad), 2))
    assert all(body[le["byte_offset"] : le["byte_offset"] + le["byte_length"]] == le["body"] for le in letters)
    assert all(letter["reason"] and letter["seq"] == 2 and letter["kind"] == b"record" for letter in letters)
    assert counts.set_aside == len(bad)
    expected = {"before", "behind", *(f"good {n}" for n in range(len(bad)))}
    assert bench.stashes().keys() == expected
    assert {key[1] for key in bench.listings()} == {"b", "z", *(f"i{n}" for n in range(len(bad)))}
    stored = bench.handle.rows("SELECT body FROM raw_public_stash_pages WHERE seq = 2", as_bytes=True)
    assert stored[0][0] == body


def test_a_bad_record_leaves_what_was_known_of_its_stash(bench: Bench) -> None:
    bench.commit(page_of([stash("bad", item("1"))]))

    bench.commit(page_of([BAD_RECORDS["public as text"], BAD_RECORDS["items as object"], stash("good")]))

    assert bench.listings().keys() == {("bad", "1")}


@pytest.mark.parametrize("only", ["public as text", "items as object"])
def test_a_page_of_bad_records_only(bench: Bench, only: str) -> None:
    counts = bench.commit(page_of([BAD_RECORDS[only]] * 2))
    bench.commit(page_of([stash("behind")]))

    assert counts.set_aside == 2
    assert [letter["body"] for letter in bench.dead_letters()] == [BAD_RECORDS[only]] * 2
    assert bench.stashes().keys() == {"behind"}


def test_damage_outside_of_the_records(bench: Bench) -> None:
    """The engine reads nothing of such a page; its records are set aside rather than blocking the stream."""
    body = b'{"next_change_id":"1-2","new":1e999,"stashes":[%b]}' % msgspec.json.encode(stash("s"))

    counts = bench.commit(body)
    bench.commit(page_of([stash("behind")]))

    assert counts.set_aside == 1
    assert bench.stashes().keys() == {"behind"}


@pytest.mark.parametrize("counted", ["stash_count", "item_count"])
@pytest.mark.parametrize("step", ["stashes", "listings"])
def test_a_step_that_reads_something_else_than_the_door_counted_writes_nothing(
    bench: Bench, step: str, counted: str
) -> None:
    """Each step reads the page for itself, so each proves its own reading."""
    bench.commit(page_of([stash("s", item("1"), item("2"))]))
    bench.handle.run(
        f"INSERT INTO raw_public_stash_pages SELECT * REPLACE (2 AS seq, {counted} + 1 AS {counted})"
        " FROM (SELECT * FROM raw_public_stash_pages WHERE seq = 1)"
    )

    with pytest.raises(StoreError) as refused:
        bench.handle.run(derivation(step), {"realm": "pc", "seq": 2})

    assert refused.value.fault is StoreFault.PROOF
    assert bench.handle.value(f"SELECT count() FROM silver_{step} WHERE seq = 2") == 0


def test_a_page_that_is_visible_already_is_not_made_visible_again(bench: Bench) -> None:
    seq = bench.put(page_of([stash("s", item("1"))]))

    def ends(step: str) -> None:
        if step == "item_homes":
            raise PowerCut(step)

    bench.crash_point = ends
    bench.renew()
    with pytest.raises(PowerCut):
        bench.committer.commit(seq)
    bench.crash_point = no_crash
    bench.renew()
    bench.committer.commit(seq)

    assert bench.handle.value("SELECT count() FROM silver_stash_state") == 1


def test_a_page_that_stands_twice_in_bronze_is_not_derived(bench: Bench) -> None:
    """No statement can tell that alone: each copy is read as the door counted it."""
    seq = bench.put(page_of([stash("s", item("1"))]))

    def copied(step: str) -> None:
        if step == "stashes":
            bench.handle.run("INSERT INTO raw_public_stash_pages SELECT * FROM raw_public_stash_pages")

    bench.crash_point = copied
    bench.renew()
    with pytest.raises(StoreError, match="bronze may have lost or doubled it"):
        bench.committer.commit(seq)

    assert bench.stashes() == {}
    assert bench.listings() == {}
    assert bench.spool.sequences == [seq]


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"stashes": [stash("s", item("1"))], "next_change_id": "9-9"}, indent=2).encode(),
        b"\xef\xbb\xbf" + page_of([stash("s", item("1"))]),
        b" \n" + page_of([stash("s", item("1"))]) + b"\n",
        page_of([stash("s", item("1", icon="x" * 300_000, note="n" * 100_000, flavourText=["y" * 50_000] * 10))]),
        page_of([stash("s", item("1"), accountName="a\x00b", stash="\x1b[31m")]),
        page_of([stash("s", item("1"), id="s", new={"deep": [[[[1]]]]}, stashType=None)]),
    ],
    ids=["pretty, next id last", "byte order mark", "space around", "huge texts", "NUL", "unknown fields"],
)
def test_unusual_but_good_pages(bench: Bench, body: bytes) -> None:
    counts = bench.commit(body)

    assert counts.set_aside == 0
    assert bench.listings().keys() == {("s", "1")}
    assert bench.handle.rows("SELECT body FROM raw_public_stash_pages", as_bytes=True)[0][0] == body


def test_150_leagues_and_20000_items_in_one_page(bench: Bench) -> None:
    many = [stash(f"s{n}", item(f"i{n}", note="~price 1 chaos"), league=f"League {n}") for n in range(150)]
    one = stash("huge", *(item(f"h{n}", x=n) for n in range(10_000)))
    small = [stash(f"t{n}", *(item(f"t{n} {m}") for m in range(2))) for n in range(5_000)]
    body = page_of([*many, one, *small])

    for _ in range(2):
        counts = bench.commit(body)
        assert (counts.stashes, counts.items, counts.set_aside) == (5_151, 20_150, 0)

    assert bench.handle.value("SELECT count() FROM v_listings_current") == 20_150
    assert bench.handle.value("SELECT uniqExact(league) FROM v_listings_current") == 151
    assert bench.handle.value("SELECT count() FROM silver_items") == 20_150
    assert bench.handle.value("SELECT count() FROM silver_stashes") == 2 * 5_151


BASE = page_of(
    [
        stash(
            f"s{n}", *(item(f"{n} {m}", note="~price 1/2 chaos", stackSize=m, x=m) for m in range(3)), league="Lé ague"
        )
        for n in range(6)
    ]
)
DAMAGE = (b"", b"\xff", b"\\", b'"', b"{", b"}", b"[", b"]", b",", b":", b"NaN", b"1e999", b"-", b"0", b"null", b"true",
          b"\\ud800", b"\x00", b'"x"', b"99999999999999999999999", b"{}", b"[]")  # fmt: skip


def damaged(rng: Random) -> bytes:
    body = bytearray(BASE)
    for _ in range(rng.randrange(1, 4)):
        start = rng.randrange(len(body))
        # Values are where damage stays inside of one record.
        if rng.random() < 0.6:
            start = max(0, body.find(b":", start)) + 1
        stop = start + rng.choice((0, 0, 1, 1, 2, 4, 10))
        body[start:stop] = rng.choice(DAMAGE)
    return bytes(body)


@settings(max_examples=1, phases=[Phase.generate])
@given(seed=st.integers(0, 2**32))
def test_every_record_of_a_damaged_page_is_derived_or_a_dead_letter(bench: Bench, seed: int) -> None:
    rng = Random(seed)
    pages = 0
    while pages < 8:
        body = damaged(rng)
        try:
            scan = scan_page(body)
        except NotAPage:
            continue
        pages += 1
        before = len(bench.dead_letters())
        counts = bench.commit(body)
        seq = bench.next_seq - 1
        derived = bench.handle.rows(
            "SELECT record - 1, stash_id, public, item_count FROM silver_stashes WHERE seq = {seq:UInt64}", {"seq": seq}
        )
        letters = {le["position"]: le for le in bench.dead_letters()[before:]}
        assert counts.set_aside == len(letters)
        assert sorted([row[0] for row in derived] + list(letters)) == [r.position for r in scan.records], body
        for record in scan.records:
            if record.position in letters:
                assert letters[record.position]["body"] == body[record.offset : record.offset + record.length]
        by_position = {row[0]: row for row in derived}
        for record in scan.records:
            if record.position not in letters:
                assert by_position[record.position][1:] == (record.stash_id, record.public, record.item_count), body
        # What the later records of the page list is listed now.
        shown = Counter(key[0] for key in bench.listings())
        assert shown.keys() <= bench.stashes().keys()


class PowerCut(Exception):  # noqa: N818 - stands for a crash
    """The process dies here."""


class Plug:
    """A crash point that pulls the plug at its `at`-th step."""

    def __init__(self, at: int) -> None:
        self.left = at
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        self.left -= 1
        if self.left == 0:
            raise PowerCut(step)


CRASH_PAGES = [
    page_of(
        [
            stash("a", item("1"), item("2"), item(None)),
            stash("b", item("3")),
            stash("c", item("4"), league="Other"),
            stash("never seen again", item("20"), item("21")),
        ]
    ),
    # Items 2 and 3 move, 1 changes, a new one comes, c moves to another league, a record is bad, another only to the
    # engine; b is seen twice.
    page_of(
        [
            stash("d", item("2"), item("5"), item("20")),
            BAD_RECORDS["lone surrogate"],
            stash("b", item("6")),
            stash("b", item("7"), item("8")),
            ENGINE_CANNOT_READ["1e999"],
            stash("e", item("3"), item("1", note="~price 1 chaos")),
            stash("f", item("10"), league="Other"),
            stash("c", item("4"), league="Third"),
        ]
    ),
    page_of([stash("a", item("2"), item("1"), item(None)), {"id": "b", "public": False, "items": []}, stash("f")]),
]


def run(bench: Bench, cut_page: int, plug: Plug | None) -> None:
    """Commit the pages; the plug is pulled while one of them is committed, which is then done again."""
    for number, body in enumerate(CRASH_PAGES):
        seq = bench.put(body)
        if number == cut_page and plug is not None:
            bench.crash_point = plug
            bench.renew()
            with pytest.raises(PowerCut):
                bench.committer.commit(seq)
            bench.crash_point = no_crash
            bench.renew()
        for waiting in bench.spool.sequences:
            bench.committer.commit(waiting)
        bench.next_seq = seq + 1


# The filter acts before bronze stands; behind that all steps are the same.
@pytest.mark.parametrize(
    ("leagues", "cuts"),
    [pytest.param((), 99, marks=pytest.mark.soak), (("Standard",), 3)],
    ids=["all leagues", "one league"],
)
def test_a_commit_cut_off_anywhere_is_repeated_without_trace(
    handle: Handle, engine: Engine, tmp_path: Path, leagues: tuple[str, ...], cuts: int
) -> None:
    migrate(engine)

    def state_after(plug: Plug | None) -> dict[str, list[Any]]:
        for table in TABLES:
            handle.run(f"TRUNCATE TABLE {table}")
        bench = Bench(handle, tmp_path, leagues=leagues)
        run(bench, 1, plug)
        assert bench.spool.sequences == []
        return contents(handle)

    undisturbed = state_after(None)
    assert len(undisturbed["bronze_dead_letters"]) == 2
    cut_before: list[str] = []
    while len(cut_before) < cuts:
        plug = Plug(len(cut_before) + 1)
        try:
            state = state_after(plug)
        except pytest.fail.Exception:
            break  # no step is left to cut before
        cut_before.append(plug.steps[-1])
        for table, rows in undisturbed.items():
            assert state[table] == rows, f"{table} after a cut before {cut_before}"
    if cuts == 99:
        silver = {"stashes", "listings", "items", "kept_listings", "stash_state", "item_homes"}
        assert set(cut_before) >= {"bronze", "dead letters", *silver, "checkpoint", "spool file"}


def test_records_that_door_and_engine_would_read_differently_are_set_aside_and_the_others_stand(bench: Bench) -> None:
    twice = b'{"id":"t","public":true,"accountName":"a","accountName":"b","stash":"x","items":[]}'
    of_item = b'{"id":"u","public":true,"items":[{"id":"1","id":"2","typeLine":"Chaos Orb"}]}'
    odd = [stash("v", item("3"), accountName=5), stash("w", item("4"), league=7)]

    counts = bench.commit(page_of([stash("s", item("5")), twice, of_item, *odd]))

    assert (counts.stashes, counts.set_aside) == (5, 4)
    assert list(bench.stashes()) == ["s"]
    assert [letter["position"] for letter in bench.dead_letters()] == [1, 2, 3, 4]
    assert bench.dead_letters()[0]["body"] == twice


def test_a_number_of_an_item_that_is_not_whole_is_0(bench: Bench) -> None:
    """With quotes or without, and nothing else of the item is lost for it."""
    written: dict[str, tuple[object, int, int]] = {
        "fraction": (1.5, 0, 0), "quoted": ("70", 70, 70), "word": ("x", 0, 0), "list": ([1], 0, 0),
        "big": (3_000_000_000, 0, 3_000_000_000), "null": (None, 0, 0), "flag": (True, 0, 0), "negative": (-3, -3, 0),
        "whole": (7, 7, 7),
    }  # fmt: skip
    items = [item(name, ilvl=value, stackSize=value, typeLine=5) for name, (value, _, _) in written.items()]

    bench.commit(page_of([stash("s", *items)]))

    assert {
        name: (listing["ilvl"], listing["stack_size"], listing["type_line"])
        for (_, name), listing in bench.listings().items()
    } == {name: (ilvl, stack, "5") for name, (_, ilvl, stack) in written.items()}
    assert bench.dead_letters() == []
