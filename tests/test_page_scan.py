"""The door: what is a page, where its records lie, and what a league filter leaves of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harvester.feeds.base import Unreadable
from harvester.feeds.page_scan import NotAPage, PageScan, keep_leagues, next_id_in_head, scan_page
from harvester.feeds.public_stash import PublicStashFeed
from tests.store_bench import item, page_of, stash

GOOD = stash("good", item("1"), item("2"))
GOOD_BYTES = msgspec.json.encode(GOOD)


def read(body: bytes) -> list[tuple[str, bool, int, str]]:
    """Id, public, items and trouble of every record; its span must be its bytes."""
    return [(r.stash_id, r.public, r.item_count, r.problem) for r in scan_page(body).records]


def good_ids(scan: PageScan) -> list[str]:
    return [record.stash_id for record in scan.records if not record.problem]


def test_a_page() -> None:
    body = page_of([GOOD, stash("empty"), {"id": "gone", "public": False, "league": None, "items": []}])

    scan = scan_page(body)

    assert scan.next_change_id == "1-2-3-4-5"
    assert read(body) == [("good", True, 2, ""), ("empty", True, 0, ""), ("gone", False, 0, "")]
    assert [json.loads(body[r.offset : r.offset + r.length])["id"] for r in scan.records] == ["good", "empty", "gone"]
    assert scan.item_count == 2
    assert scan.rejected == ()


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"next_change_id": "1-2", "stashes": [GOOD, GOOD]}, indent=4).encode(),
        json.dumps({"stashes": [GOOD, GOOD], "next_change_id": "1-2"}).encode(),
        json.dumps({"next_change_id": "1-2", "new": {"x": [1]}, "stashes": [GOOD, GOOD], "more": None}).encode(),
        b"\xef\xbb\xbf" + json.dumps({"next_change_id": "1-2", "stashes": [GOOD, GOOD]}).encode(),
        b"\r\n\t " + json.dumps({"next_change_id": "1-2", "stashes": [GOOD, GOOD]}).encode() + b"\n\n",
        json.dumps({"next_change_id": "1-2", "note": 'say "stashes":[{', "stashes": [GOOD, GOOD]}).encode(),
    ],
    ids=["pretty", "next id last", "unknown keys", "byte order mark", "space around", "misleading text"],
)
def test_however_it_is_written(body: bytes) -> None:
    scan = scan_page(body)

    assert scan.next_change_id == "1-2"
    assert good_ids(scan) == ["good", "good"]
    assert [json.loads(body[r.offset : r.offset + r.length]) for r in scan.records] == [GOOD, GOOD]


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"null", b"[]", b"{}", b'"page"', b"<html>busy</html>", b'{"error":{"code":7,"message":"x"}}',
        b'{"next_change_id":"1"}', b'{"stashes":[]}', b'{"next_change_id":"1","stashes":null}',
        b'{"next_change_id":"1","stashes":{}}', b'{"next_change_id":1,"stashes":[]}',
        b'{"next_change_id":null,"stashes":[]}', b'["x",{"next_change_id":"1","stashes":[]}]',
        page_of([GOOD])[:-1], page_of([GOOD])[:-2], page_of([GOOD])[:100], page_of([GOOD]) + b"}", page_of([]) + b"x",
        page_of([GOOD, b'{"id":"b","public":true,"items":[{"x":NaN}]}'])[:-2],
        b'{"next_change_id":"1-2","stashes":[{"id":"a","public":true,"items":[NaN]}]}',
        b"\x1f\x8b\x08\x00", b"\x00" * 50, b"[" * 100_000, b'{"next_change_id":"1","stashes":[' + b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(NotAPage):
        scan_page(body)


def test_an_empty_page_is_a_page() -> None:
    assert scan_page(b'{"next_change_id":"1-2","stashes":[]}') == PageScan("1-2", ())


BAD_RECORDS: dict[str, bytes] = {
    "lone surrogate": b'{"id":"bad","public":true,"stash":"\\ud800","items":[]}',
    "invalid utf-8": b'{"id":"bad","public":true,"stash":"\xff","items":[]}',
    "overlong utf-8": b'{"id":"bad","public":true,"stash":"\xc0\xaf","items":[]}',
    "NaN": b'{"id":"bad","public":true,"items":[{"id":"1","ilvl":NaN}]}',
    "infinity": b'{"id":"bad","public":true,"items":[{"id":"1","ilvl":-Infinity}]}',
    "2,000 levels": b'{"id":"bad","public":true,"items":[{"id":"1","x":' + b"[" * 2000 + b"]" * 2000 + b"}]}",
    "public as text": b'{"id":"bad","public":"true","items":[]}',
    "public as number": b'{"id":"bad","public":1,"items":[]}',
    "public null": b'{"id":"bad","public":null,"items":[]}',
    "no public": b'{"id":"bad","items":[]}',
    "items as object": b'{"id":"bad","public":true,"items":{"0":{"id":"1"}}}',
    "items null": b'{"id":"bad","public":true,"items":null}',
    "no items": b'{"id":"bad","public":true}',
    "items with a number": b'{"id":"bad","public":true,"items":[5,{"id":"1"}]}',
    "items with a text": b'{"id":"bad","public":true,"items":["x"]}',
    "items with null": b'{"id":"bad","public":true,"items":[null]}',
    "no id": b'{"public":true,"items":[]}',
    "empty id": b'{"id":"","public":true,"items":[]}',
    "id as number": b'{"id":5,"public":true,"items":[]}',
    "a list": b'["id",true,[]]',
    "an empty list": b"[]",
    "a number": b"5",
    "a text": b'"stash, {not} one [at all]"',
    "null": b"null",
    "an empty object": b"{}",
    "trailing comma": b'{"id":"bad","public":true,"items":[],}',
    "leading zero": b'{"id":"bad","public":true,"items":[],"n":007}',
    "bare word": b"stash",
    "control character": b'{"id":"bad","public":true,"stash":"a\x01b","items":[]}',
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("damage", BAD_RECORDS)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_one_bad_record_does_not_condemn_the_page(damage: str, place: int) -> None:
    records = [GOOD_BYTES, msgspec.json.encode(stash("other"))]
    records.insert(place, BAD_RECORDS[damage])
    body = page_of(records)

    scan = scan_page(body)

    assert good_ids(scan) == ["good", "other"]
    assert [record.position for record in scan.rejected] == [place]
    assert [body[r.offset : r.offset + r.length] for r in scan.records] == records
    assert scan.rejected[0].problem


def test_several_bad_records_of_all_kinds() -> None:
    records = [record for bad in BAD_RECORDS.values() for record in (bad, GOOD_BYTES)]
    body = page_of(records)

    scan = scan_page(body)

    assert [body[r.offset : r.offset + r.length] for r in scan.records] == records
    assert len(scan.rejected) == len(BAD_RECORDS)


@pytest.mark.parametrize("extra", [b"", b',"items":null', b',"items":{}', b',"items":[5]', b',"items":[],"league":7'])
def test_a_removal_is_one_whatever_it_carries(extra: bytes) -> None:
    assert read(page_of([b'{"id":"gone","public":false%b}' % extra])) == [("gone", False, 0, "")]


@pytest.mark.parametrize(
    ("record", "league"),
    [
        (stash("a", item("1", league="B"), league="A"), "A"),
        (stash("a", item("1"), item("2", league="B"), league=None), "B"),
        ({"id": "a", "public": True, "items": [item("1", league="B")]}, "B"),
        (stash("a", item("1"), league=""), None),
        (stash("a", league=None), None),
    ],
)
def test_the_league_of_a_record(record: Any, league: str | None) -> None:
    assert scan_page(page_of([record])).records[0].league == league


@pytest.mark.parametrize(
    ("body", "next_id"),
    [
        (b'{"next_change_id":"1-2-3","stashes":[{"id', "1-2-3"),
        (b' { "next_change_id" : "1-2-3" , <', "1-2-3"),
        (b'{"stashes":[],"next_change_id":"1-2-3"', None),
        (b'{"next_change_id":5,', None),
        (b'{"next_change_id":"1-2', None),
        (b"", None),
    ],
)
def test_the_next_id_in_the_head_of_a_broken_body(body: bytes, next_id: str | None) -> None:
    assert next_id_in_head(body) == next_id


def filtered(records: list[Any], known: set[str], leagues: set[str]) -> list[Any]:
    body = page_of(records)
    asked: list[str] = []

    def look_up(stash_ids: list[str]) -> set[str]:
        asked.extend(stash_ids)
        return known & set(stash_ids)

    out = keep_leagues(body, scan_page(body), frozenset(leagues), look_up)
    assert scan_page(out, stored=True).next_change_id == "1-2-3-4-5"
    return list(json.loads(out)["stashes"])


def removal(stash_id: str) -> dict[str, Any]:
    return {"id": stash_id, "public": False, "items": []}


def test_what_a_league_filter_leaves() -> None:
    kept, other, moved = stash("kept", league="A"), stash("other", league="B"), stash("moved", league="B")
    none, gone = stash("none", league=None), {"id": "gone", "public": False, "league": "B", "items": []}

    left = filtered([other, kept, moved, none, gone, other], {"moved", "kept"}, {"A"})

    assert left == [kept, removal("moved"), none, gone]


def test_a_filter_that_leaves_nothing_leaves_an_empty_page() -> None:
    assert filtered([stash("a", league="B"), stash("b", league="C")], set(), {"A"}) == []


def test_a_stash_that_leaves_the_league_within_one_page_leaves_no_phantom() -> None:
    here, there = stash("s", item("1"), league="A"), stash("s", item("1"), league="B")

    assert filtered([here, there], set(), {"A"}) == [here, removal("s")]
    assert filtered([there, here], {"s"}, {"A"}) == [removal("s"), here]


def test_a_filtered_page_may_hold_nothing_but_damage() -> None:
    bad = BAD_RECORDS["lone surrogate"]
    body = page_of([bad, stash("other", league="B")])

    out = keep_leagues(body, scan_page(body), frozenset({"A"}), lambda _: set())

    scan = scan_page(out, stored=True)
    assert [out[r.offset : r.offset + r.length] for r in scan.records] == [bad]


def test_without_records_of_other_leagues_a_page_stays_as_it_is() -> None:
    body = json.dumps({"stashes": [stash("a")], "next_change_id": "1-2-3-4-5"}, indent=1).encode()

    assert keep_leagues(body, scan_page(body), frozenset({"Standard"}), lambda _: set()) is body


@pytest.mark.shared
def test_real_bodies_that_are_no_pages(shared_data: Path) -> None:
    for path in (shared_data / "psapi" / "bad").iterdir():
        with pytest.raises(NotAPage):
            scan_page(path.read_bytes())


WHOLE = page_of([GOOD, stash("other", item("3", note='~price 1/2 \\u0041 "q" {[,]}')), stash("third")])


@given(st.data())
def test_damage_anywhere_is_a_rejected_record_or_no_page(data: st.DataObject) -> None:
    body = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body) - 1))
        stop = start + data.draw(st.integers(0, 4))
        body[start:stop] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"{", b"}", b"[", b"]", b'"', b",", b"\\"])
        )
    damaged = bytes(body)
    try:
        scan = scan_page(damaged)
    except NotAPage:
        return
    at = 0
    for position, record in enumerate(scan.records):
        assert record.position == position
        assert record.offset >= at, "records lie in order and do not overlap"
        at = record.offset + record.length
        if not record.problem:
            assert json.loads(damaged[record.offset : at].decode())["id"] == record.stash_id


def twice(record: bytes, old: bytes, new: bytes) -> bytes:
    """The record with a second key."""
    assert record.count(old) >= 1
    return record.replace(old, old + b"," + new, 1)


ONE = msgspec.json.encode(stash("bad", item("1", ilvl=3), item("2")))


@pytest.mark.parametrize(
    ("bad", "key"),
    [
        (twice(ONE, b'"id":"bad"', b'"id":"other"'), "id"),
        (twice(ONE, b'"id":"bad"', b'"\\u0069d":"other"'), "id"),
        (twice(ONE, b'"id":"bad"', b'"id" \n:"other"'), "id"),
        (twice(ONE, b'"public":true', b'"public":false'), "public"),
        (ONE[:-1] + b',"items":[]}', "items"),
        (twice(ONE, b'"league":"Standard"', b'"league":"Hardcore"'), "league"),
        (twice(ONE, b'"accountName":"owner of bad"', b'"accountName":"x\\u0022:"'), "accountName"),
        (twice(ONE, b'"ilvl":3', b'"ilvl":4'), "ilvl"),
        (twice(ONE, b'"id":"1"', b'"id":"9"'), "id"),
        (twice(ONE, b'"ilvl":3', b'"new":{"a":1,"a":2}'), "a"),
    ],
)
def test_a_record_with_a_key_twice_in_one_object_is_set_aside(bad: bytes, key: str) -> None:
    scan = scan_page(page_of([GOOD, bad, GOOD]))

    assert [record.problem for record in scan.records] == ["", f'a key stands twice in one object: "{key}"', ""]
    damaged = scan_page(page_of([GOOD, bad, b'{"id":tru}', GOOD]))
    assert [bool(record.problem) for record in damaged.records] == [False, True, True, False]


def test_of_a_removal_only_its_own_keys_count() -> None:
    fine = b'{"id":"gone","public":false,"items":[{"id":"a","id":"b"}],"league":null,"league":null}'
    assert read(page_of([fine])) == [("gone", False, 0, "")]
    for odd in (b'"public":true,"public":false', b'"id":"other","public":false'):
        (record,) = scan_page(page_of([b'{"id":"gone",%b,"items":{}}' % odd, GOOD])).records[:1]
        assert record.problem


@pytest.mark.parametrize("text", ['say "id": "id":', "\u2028/\\'", '":":":'])
def test_text_that_looks_like_keys_is_text(text: str) -> None:
    record = stash("s", item("1", note=text, flavourText=[text, text]), stash=text)
    for body in (msgspec.json.encode(record), json.dumps(record).encode(), json.dumps(record, indent=1).encode()):
        assert read(page_of([body, body.replace(b'\\"', b"\\u0022")])) == [("s", True, 1, "")] * 2


@pytest.mark.parametrize(
    ("body", "head"),
    [
        (b'{"next_change_id":"1-2","next_change_id":"1-3","stashes":[]}', None),
        (b'{"next_change_id":"1-2","stashes":[],"next_change_\\u0069d":"1-3"}', None),
        (b'{"next_change_id":"1-2","stashes":[],"stashes":[%b]}' % GOOD_BYTES, "1-2"),
        (b'{"next_change_id":"1-2","stashes":[%b,{"id":tru}],"next_change_id":"1-3"}' % GOOD_BYTES, None),
    ],
)
def test_a_page_with_a_key_twice_is_no_page_and_no_cursor_is_guessed(body: bytes, head: str | None) -> None:
    reading = PublicStashFeed("https://api.example").read("1-1", body)

    assert isinstance(reading, Unreadable)
    assert "a key stands twice" in reading.reason
    assert reading.next_cursor == head


@pytest.mark.parametrize("value", [5, 1.5, True, ["x"], {"a": 1}])
def test_a_stash_with_a_value_of_another_type_is_set_aside(value: object) -> None:
    keys = ["accountName", "stash", "stashType", "league", "id"]
    keys += ["public"] if value is not True else []
    keys += ["items"] if not isinstance(value, list) else []
    good, *bad = scan_page(page_of([GOOD, *(stash("bad", item("1"), **{key: value}) for key in keys)])).records

    assert good.problem == ""
    for key, record in zip(keys, bad, strict=True):
        assert key in record.problem
