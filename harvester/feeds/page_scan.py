"""The door: reads a public stash page just far enough to know that it is one, and to count what it holds.

A page is an object with a string `next_change_id` and an array `stashes` whose records can be told apart. A single
record that cannot be read does not condemn the page: it is marked, and set aside when the page is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec

from harvester.feeds.repeated_keys import may_repeat, repeated_keys, told


class NotAPage(ValueError):  # noqa: N818 - it is an outcome, told by its name
    """The body is no page; the message says why."""

    ambiguous_next = False
    """Whether it names more than one next cursor."""


@dataclass(frozen=True, slots=True)
class Record:
    """One stash record and where it lies in the body."""

    position: int
    """Index in `stashes`, from 0."""
    offset: int
    """First byte in the body."""
    length: int
    stash_id: str
    """Empty where the record cannot be read."""
    public: bool
    league: str | None
    """Of the stash, else of its first item; None where neither says one."""
    item_count: int
    """0 for a removal, whatever it carries."""
    problem: str = ""
    """Why the record must be set aside; empty for a good one."""


@dataclass(frozen=True, slots=True)
class PageScan:
    """What the door knows of a page."""

    next_change_id: str
    records: tuple[Record, ...]

    @property
    def item_count(self) -> int:
        """Items of all records that can be read."""
        return sum(record.item_count for record in self.records)

    @property
    def rejected(self) -> tuple[Record, ...]:
        """The records to set aside."""
        return tuple(record for record in self.records if record.problem)


class _Item(msgspec.Struct):
    id: str | None = None
    league: str | None = None


class _Stash(msgspec.Struct):
    id: str
    public: bool
    items: list[_Item]
    league: str | None = None
    account: msgspec.Raw = msgspec.field(name="accountName", default=msgspec.Raw(b"null"))
    tab: msgspec.Raw = msgspec.field(name="stash", default=msgspec.Raw(b"null"))
    kind: msgspec.Raw = msgspec.field(name="stashType", default=msgspec.Raw(b"null"))


class _Removal(msgspec.Struct):
    id: str
    public: bool


class _Page(msgspec.Struct):
    next_change_id: str
    stashes: list[msgspec.Raw]


_read_page = msgspec.json.Decoder(_Page).decode
_read_stash = msgspec.json.Decoder(_Stash).decode
_read_removal = msgspec.json.Decoder(_Removal).decode
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_KEYS_OF_REMOVAL = frozenset({"id", "public"})
_BETWEEN = re.compile(rb"[\s,]*")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)
_HEAD = re.compile(rb'\A\s*\{\s*"next_change_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_NEXT_ID = re.compile(rb'"next_change_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_STASHES = re.compile(rb'"stashes"\s*:\s*\[')


def scan_page(body: bytes, *, stored: bool = False) -> PageScan:
    """Read a page at the door. A page that is `stored` has passed it, even if no record of it can be read.

    Raises:
        NotAPage: the body is not JSON of this shape, is cut short, or is damaged and no record can be read.
    """
    if body.startswith(BYTE_ORDER_MARK):
        body = b"   " + body[len(BYTE_ORDER_MARK) :]
    try:
        page = _read_page(body)
    except RecursionError:
        return _scan_damaged(body, "nested too deeply", stored=stored)
    except msgspec.ValidationError as error:
        raise NotAPage(f"wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _scan_damaged(body, str(error), stored=stored)
    spans = _located(body, (bytes(raw) for raw in page.stashes))
    # Record by record: one look at a whole page would keep every other thread waiting, the screen's too.
    if not stored and may_repeat(_without_records(body, spans)):
        _check_keys_of_page(body)
    return PageScan(page.next_change_id, _records(body, spans))


def next_id_in_head(body: bytes) -> str | None:
    """The next cursor from the first key of a body that may be broken behind it; None where it is not there."""
    found = _HEAD.match(body)
    return _string(found.group(1)) if found else None


def keep_leagues(body: bytes, scan: PageScan, leagues: frozenset[str], known: Callable[[list[str]], set[str]]) -> bytes:
    """The page without the records of other leagues: a new body, cut from the old one.

    Removals always stay. A record of another league becomes a removal when its stash is `known` to the store (a set
    of those ids that are public there now) or stands in the page before, so that a tab that moved to another league
    leaves no phantom. Records that cannot be read stay, to be set aside where everybody sees them.
    """
    out = [r for r in scan.records if not r.problem and r.public and r.league is not None and r.league not in leagues]
    if not out:
        return body
    moved = known([record.stash_id for record in out])
    moved.update(r.stash_id for r in scan.records if r.public and (r.league is None or r.league in leagues))
    left_out = {record.position for record in out}
    pieces: list[bytes] = []
    for record in scan.records:
        if record.position not in left_out:
            pieces.append(body[record.offset : record.offset + record.length])
        elif record.stash_id in moved:
            pieces.append(msgspec.json.encode({"id": record.stash_id, "public": False, "items": []}))
    head = body[: scan.records[0].offset]
    last = scan.records[-1]
    return head + b",".join(pieces) + body[last.offset + last.length :]


def _check_keys_of_page(body: bytes) -> None:
    """Raises `NotAPage` where a key that makes the page stands twice."""
    twice = repeated_keys(body)[0] & {"next_change_id", "stashes"}
    if twice:
        error = NotAPage(told(twice))
        error.ambiguous_next = "next_change_id" in twice
        raise error


def _located(body: bytes, raws: Iterator[bytes]) -> list[tuple[int, int]]:
    """Where the records lie: first byte, and the one behind the last."""
    found = _STASHES.search(body)
    at = found.end() if found else 0
    spans: list[tuple[int, int]] = []
    for raw in raws:
        start = body.index(raw, _end(_BETWEEN, body, at))
        at = start + len(raw)
        spans.append((start, at))
    return spans


def _without_records(body: bytes, spans: list[tuple[int, int]]) -> bytes:
    """What is left of a page around its records, or all of it where they do not lie one behind the other."""
    if not spans or any(not _BETWEEN.fullmatch(body, before[1], behind[0]) for before, behind in pairwise(spans)):
        return body
    return body[: spans[0][0]] + body[spans[-1][1] :]


def _records(body: bytes, spans: list[tuple[int, int]]) -> tuple[Record, ...]:
    return tuple(_record(position, start, body[start:stop]) for position, (start, stop) in enumerate(spans))


def _record(position: int, offset: int, raw: bytes) -> Record:
    place = Record(position, offset, len(raw), "", False, None, 0)
    try:
        raw.decode("utf-8")
        stash = _read_stash(raw)
    except RecursionError:
        return replace(place, problem="nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        removed = _removed_stash(raw)
        if removed and not (may_repeat(raw) and repeated_keys(raw)[0] & _KEYS_OF_REMOVAL):
            return replace(place, stash_id=removed)
        return replace(place, problem=str(error))
    if problem := _problem_of(stash, raw):
        return replace(place, problem=problem)
    if not stash.id:
        return replace(place, problem="the stash has an empty id")
    league = stash.league or next((item.league for item in stash.items if item.league), None)
    return replace(
        place, stash_id=stash.id, public=stash.public, league=league, item_count=len(stash.items) * stash.public
    )


def _problem_of(stash: _Stash, raw: bytes) -> str:
    """Why a stash that can be read must be set aside all the same. Of a removal only that it is one counts."""
    if may_repeat(raw):
        own, within = repeated_keys(raw)
        twice = own | within if stash.public else own & _KEYS_OF_REMOVAL
        if twice:
            return told(twice)
    if stash.public:
        for key, value in (("accountName", stash.account), ("stash", stash.tab), ("stashType", stash.kind)):
            if bytes(value)[:1] not in (b'"', b"n"):
                return f"Expected `str | null` - at `$.{key}`"
    return ""


def _removed_stash(raw: bytes) -> str:
    """The id of a record that is no stash but a removal: whatever else it carries, everything in it is gone."""
    try:
        stash = _read_removal(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return "" if stash.public else stash.id


def _scan_damaged(body: bytes, reason: str, *, stored: bool) -> PageScan:
    """Tell the records of a page apart by its brackets alone, for one bad record makes strict readers refuse all."""
    next_id, stashes = _NEXT_ID.search(body), _STASHES.search(body)
    spans = _spans(body, stashes.end()) if stashes else None
    next_change_id = _string(next_id.group(1)) if next_id else None
    if next_change_id is None or spans is None:
        raise NotAPage(reason)
    records = _records(body, spans)
    if not stored and all(record.problem for record in records):
        raise NotAPage(reason)
    readable = _with_holes(body, records)
    if not stored:
        _check_keys_of_page(readable)
    try:
        _read_page(readable)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise NotAPage(reason) from None
    return PageScan(next_change_id, records)


def _with_holes(body: bytes, records: tuple[Record, ...]) -> bytes:
    """The page with `null` in place of every record that cannot be read: what the store will derive from."""
    pieces, at = [], 0
    for record in records:
        if record.problem:
            pieces.append(body[at : record.offset])
            at = record.offset + record.length
    return b"null".join((*pieces, body[at:]))


def _spans(body: bytes, at: int) -> list[tuple[int, int]] | None:
    """Where the elements of an array lie, empty ones too; None where the array does not end."""
    spans: list[tuple[int, int]] = []
    depth = 0
    for token in _TOKEN.finditer(body, at):
        sign = token.group()
        if depth == 0 and sign in b",]":
            start, stop = _trimmed(body, at, token.start())
            if sign == b",":
                spans.append((start, stop))
                at = token.end()
            else:
                return [*spans, (start, stop)] if spans or start < stop else spans
        elif sign in b"{[":
            depth += 1
        elif sign in b"}]":
            depth -= 1
            if depth < 0:
                return None
    return None


def _trimmed(body: bytes, start: int, stop: int) -> tuple[int, int]:
    text = body[start:stop]
    start += len(text) - len(text.lstrip())
    return start, max(start, stop - len(text) + len(text.rstrip()))


def _end(pattern: re.Pattern[bytes], body: bytes, at: int) -> int:
    found = pattern.match(body, at)
    return found.end() if found else at


def _string(literal: bytes) -> str | None:
    try:
        return msgspec.json.decode(literal, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
