"""Names in pages: all of them are replaced, and no other byte is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harvester.feeds.account_names import NAME_KEYS, without_names
from harvester.feeds.page_scan import NotAPage, scan_page
from tests.store_bench import item, page_of, stash

NAME = "Zwiebel#0815"


def other(name: str) -> str:
    """A stand-in that tells one name from another, and differs from all of them."""
    return "~" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:20]


def dropped(_name: str) -> str:
    return ""


@dataclass(frozen=True)
class Written:
    """A JSON text, and the same text as it must be without names."""

    text: bytes
    clean: bytes


def joined(*parts: Written | bytes) -> Written:
    return Written(
        b"".join(part if isinstance(part, bytes) else part.text for part in parts),
        b"".join(part if isinstance(part, bytes) else part.clean for part in parts),
    )


@st.composite
def literals(draw: st.DrawFn, text: str | None = None) -> tuple[bytes, str]:
    """A string as somebody wrote it, with any of its characters escaped, and what it says."""
    if text is None:
        whole = st.text(max_size=12) | st.sampled_from([*NAME_KEYS, '"accountName":"x"', "\\", '\\"', "null"])
        alphabet = st.characters(max_codepoint=0xFFFF, categories=("Cs", "Lu"))
        text = draw(whole | st.text(alphabet, max_size=4))
    pieces = []
    for sign in text:
        plain = sign not in '"\\' and sign >= " " and not "\ud800" <= sign <= "\udfff"
        if plain and draw(st.integers(0, 7)):
            pieces.append(sign.encode())
        elif sign in '"\\' and draw(st.booleans()):
            pieces.append(b"\\" + sign.encode())
        else:
            units = sign.encode("utf-16-be", "surrogatepass").hex()
            form = draw(st.sampled_from([str.lower, str.upper]))
            pieces += [b"\\u" + form(units[at : at + 4]).encode() for at in range(0, len(units), 4)]
    # Two halves of a character that stand side by side are that character.
    return b'"' + b"".join(pieces) + b'"', text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


SPACE = st.text(" \t\r\n", max_size=2).map(str.encode)
BROKEN_TEXTS = st.sampled_from([b'"\xff"', b'"a\xc3"', b'"\x01\n"', b'"\xed\xa0\x80"'])
SCALARS = st.sampled_from([b"null", b"true", b"false", b"0", b"-1.5e9", b"1e999", b"NaN", b"-Infinity"]) | BROKEN_TEXTS


@st.composite
def values(draw: st.DrawFn, depth: int = 3) -> Written:
    """Any JSON value, strange numbers and broken characters included; objects like to have names."""
    kind = draw(st.sampled_from(["scalar", "text", *(["array", "object"] * 2 if depth else [])]))
    if kind == "scalar":
        scalar = draw(SCALARS)
        return Written(scalar, scalar)
    if kind == "text":
        literal, _ = draw(literals())
        return Written(literal, literal)
    members: list[Written] = []
    for _ in range(draw(st.integers(0, 4))):
        if kind == "array":
            members.append(joined(draw(SPACE), draw(values(depth=depth - 1)), draw(SPACE)))
            continue
        named = draw(st.booleans())
        key, says = draw(literals(draw(st.sampled_from(NAME_KEYS)) if named else None))
        head = draw(SPACE) + key + draw(SPACE) + b":" + draw(SPACE)
        value = draw(name_values(depth) if says in NAME_KEYS else values(depth=depth - 1))
        members.append(joined(head, value, draw(SPACE)))
    commas = [joined(b"," if number else b"", member) for number, member in enumerate(members)]
    opening, closing = (b"[", b"]") if kind == "array" else (b"{", b"}")
    return joined(opening, *commas, closing)


@st.composite
def name_values(draw: st.DrawFn, depth: int) -> Written:
    """What stands behind a key of a name, right or wrong."""
    if draw(st.integers(0, 3)):
        literal, says = draw(literals())
        return Written(literal, literal if literal == b'""' else json.dumps(other(says)).encode())
    value = draw(values(depth=depth - 1)).text
    if value == b"null" or value.startswith(b'"'):
        return Written(b"null", b"null")
    return Written(value, b'""')


@given(draft=values(), space=SPACE, mark=st.sampled_from([b"", b"\xef\xbb\xbf"]))
@example(Written(b'{"x\\"accountName":"A"}', b'{"x\\"accountName":"A"}'), b"", b"")
@example(Written(b'["accountName","A"]', b'["accountName","A"]'), b"", b"")
def test_names_are_replaced_and_every_other_byte_stays(draft: Written, space: bytes, mark: bytes) -> None:
    text, clean = (mark + space + form + space for form in (draft.text, draft.clean))
    assert without_names(text, other) == clean


@pytest.mark.parametrize(
    "value",
    ['"Zwiebel#0815"', '"\\u005awiebel\\u00230815"', '"\\ud83e\\uddc5\\"#1"', '"\\ud800"', '"名前"'],
)
def test_one_name_is_one_name_however_it_is_escaped(value: str) -> None:
    assert json.loads(without_names(f'{{"accountName":{value}}}'.encode(), other))["accountName"] == other(
        json.loads(value)
    )


@pytest.mark.parametrize("value", [b"null", b'""'])
def test_no_name_stays_no_name(value: bytes) -> None:
    body = b'{"accountName":%b,"lastCharacterName": %b}' % (value, value)
    assert without_names(body, other) == without_names(body, dropped) == body


@pytest.mark.parametrize("value", [NAME, {"name": NAME, "x": "}]"}, [NAME, [NAME]], 815, True, {"accountName": NAME}])
def test_what_is_no_string_leaves_no_name(value: Any) -> None:
    body = page_of([stash("a", item("1"), accountName=value), stash("b", item("2"))])
    clean = without_names(body, dropped)
    assert NAME.encode() not in clean
    assert [(r.stash_id, r.item_count, r.problem) for r in scan_page(clean).records] == [("a", 1, ""), ("b", 1, "")]
    assert json.loads(clean)["stashes"][0]["accountName"] == ""


DAMAGE = {
    "trailing comma": lambda raw: raw[:-1] + b",}",
    "a quote too many": lambda raw: raw.replace(NAME.encode(), b'Zw"' + NAME.encode()),
    "no closing quote": lambda raw: raw.replace(b'#0815"', b"#0815"),
    "single quotes": lambda raw: raw.replace(b'"%b"' % NAME.encode(), b"'%b'" % NAME.encode()),
    "an escaped closing quote": lambda raw: raw.replace(b'#0815"', b'#0815\\"'),
    "a bare key": lambda raw: raw.replace(b'"accountName"', b"accountName"),
    "a bad escape": lambda raw: raw.replace(NAME.encode(), NAME.encode() + b"\\q"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_record_that_is_not_json_is_withheld_and_its_neighbours_are_not(damage: Any) -> None:
    bad = damage(json.dumps(stash("bad", item("3"), accountName=NAME), separators=(",", ":")).encode())
    body = page_of([stash("a", item("1"), accountName=NAME), bad, stash("b", accountName=NAME)])
    try:
        before = scan_page(body)
    except NotAPage:
        with pytest.raises(NotAPage):
            without_names(body, other)
        return

    clean = without_names(body, other)

    after = scan_page(clean)
    assert NAME.encode() not in clean
    assert [(r.stash_id, r.item_count) for r in after.records] == [(r.stash_id, r.item_count) for r in before.records]
    assert [r.position for r in after.rejected] == [r.position for r in before.rejected] == [1]
    record = after.rejected[0]
    stub = json.loads(clean[record.offset : record.offset + record.length])
    withheld = body[before.rejected[0].offset :][: before.rejected[0].length]  # may have swallowed its neighbour
    assert stub == {
        "withheld": before.rejected[0].problem,
        "bytes": len(withheld),
        "sha256": hashlib.sha256(withheld).hexdigest(),
    }
    assert json.loads(clean)["stashes"][0]["accountName"] == other(NAME)


@pytest.mark.parametrize(
    "more", [b'"note":"\\ud800"', b'"note":"\xff"', b'"x":NaN', b'"public":"yes"', b'"items":{}', b'"id":7']
)
def test_a_record_that_is_json_keeps_its_bytes_however_bad_it_is(more: bytes) -> None:
    bad = b'{"id":"bad","public":true,"accountName":"%b","items":[],%b}' % (NAME.encode(), more)
    body = page_of([bad, stash("b", accountName=NAME)])
    expected = body.replace(NAME.encode(), other(NAME).encode())
    assert without_names(body, other) == expected
    assert [r.problem != "" for r in scan_page(expected).records] == [r.problem != "" for r in scan_page(body).records]


@given(
    st.integers(0, 10_000),
    st.sampled_from([b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"'", b"\n", b"\x00", b"\xff", b""]),
)
def test_one_wrong_byte_anywhere_lets_no_name_through(place: int, wrong: bytes) -> None:
    records = [stash(key, item("1"), accountName=NAME + key, lastCharacterName=NAME) for key in "abc"]
    body = page_of(records)
    place %= len(body)
    key = max(body.rfind(b'"%b"' % name.encode(), 0, place + 30) for name in NAME_KEYS)
    if key < place <= key + 20:
        return  # another key is none of a name
    spoilt = body[:place] + wrong + body[place + (not wrong) :]
    try:
        clean = without_names(spoilt, dropped)
    except NotAPage:
        return
    assert b"Zwiebel" not in clean
    assert b"0815" not in clean


@pytest.mark.parametrize("body", [b"", b"<html>", page_of([stash("a", accountName=NAME)])[:-20], b"\x00\xff", b'{"a":'])
def test_what_is_no_page_has_names_that_nobody_can_find(body: bytes) -> None:
    with pytest.raises(NotAPage):
        without_names(body, other)


def test_real_pages(shared_data: Path) -> None:
    def read(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: other(v) if k in NAME_KEYS and v else read(v) for k, v in value.items()}
        return [read(entry) for entry in value] if isinstance(value, list) else value

    found: set[str] = set()
    for path in (shared_data / "psapi").glob("*.json"):
        body = path.read_bytes()
        page = json.loads(body)
        names = {record[key] for record in page["stashes"] for key in NAME_KEYS if record.get(key)}
        clean = without_names(body, other)
        assert json.loads(clean) == read(page)
        assert not [name for name in names if name.encode() in clean]
        found |= names
    assert len(found) > 100
