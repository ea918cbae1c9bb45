"""The door: reads a public stash page just far enough to know that it is one, and to count what it holds.

A page is an object with a string `next_change_id` and an array `stashes` whose records can be told apart. A single
record that cannot be read does not condemn the page: it is marked, and set aside when the page is stored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import msgspec


class NotAPage(ValueError):  # noqa: N818 - it is an outcome, told by its name
    """The body is no page; the message says why."""


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


class _Page(msgspec.Struct):
    next_change_id: str
    stashes: list[msgspec.Raw]


_read_page = msgspec.json.Decoder(_Page).decode
_read_stash = msgspec.json.Decoder(_Stash).decode
_BETWEEN = re.compile(rb"[\s,]*")
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_HEAD = re.compile(rb'\A\s*\{\s*"next_change_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_NEXT_ID = re.compile(rb'"next_change_id"\s*:\s*("(?:[^"\\]|\\.)*")')
_STASHES = re.compile(rb'"stashes"\s*:\s*\[')


def scan_page(body: bytes) -> PageScan:
    """Read a page at the door.

    Raises:
        NotAPage: the body is not JSON of this shape, is cut short, or not one of its records can be read.
    """
    try:
        page = _read_page(body)
    except RecursionError:
        return _scan_damaged(body, "nested too deeply")
    except msgspec.ValidationError as error:
        raise NotAPage(f"wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _scan_damaged(body, str(error))
    return PageScan(page.next_change_id, tuple(_records(body, (bytes(raw) for raw in page.stashes))))


def next_id_in_head(body: bytes) -> str | None:
    """The next cursor from the first key of a body that may be broken behind it; None where it is not there."""
    found = _HEAD.match(body)
    return _string(found.group(1)) if found else None


def keep_leagues(body: bytes, scan: PageScan, leagues: frozenset[str], known: Callable[[list[str]], set[str]]) -> bytes:
    """The page without the records of other leagues: a new body, cut from the old one.

    Removals always stay. A record of another league becomes a removal when its stash is `known` to the store (a set
    of those ids that are public there now), so that a tab that moved to another league leaves no phantom. Records
    that cannot be read stay, to be set aside where everybody sees them.
    """
    out = [r for r in scan.records if not r.problem and r.public and r.league is not None and r.league not in leagues]
    if not out:
        return body
    moved = known([record.stash_id for record in out])
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


def _records(body: bytes, raws: Iterator[bytes]) -> Iterator[Record]:
    found = _STASHES.search(body)
    at = found.end() if found else 0
    for position, raw in enumerate(raws):
        at = body.index(raw, _end(_BETWEEN, body, at))
        yield _record(position, at, raw)
        at += len(raw)


def _record(position: int, offset: int, raw: bytes) -> Record:
    place = Record(position, offset, len(raw), "", False, None, 0)
    try:
        stash = _read_stash(raw)
        raw.decode("utf-8")
    except RecursionError:
        return replace(place, problem="nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return replace(place, problem=str(error))
    if not stash.id:
        return replace(place, problem="the stash has an empty id")
    league = stash.league or next((item.league for item in stash.items if item.league), None)
    return replace(
        place, stash_id=stash.id, public=stash.public, league=league, item_count=len(stash.items)
    )


def _scan_damaged(body: bytes, reason: str) -> PageScan:
    """Tell the records of a page apart by its brackets alone, for one bad record makes strict readers refuse all."""
    next_id, stashes = _NEXT_ID.search(body), _STASHES.search(body)
    if next_id is None or stashes is None:
        raise NotAPage(reason)
    next_change_id = _string(next_id.group(1))
    spans = _spans(body, stashes.end())
    if next_change_id is None or spans is None:
        raise NotAPage(reason)
    records = tuple(
        _record(position, start, body[start:stop]) for position, (start, stop) in enumerate(spans)
    )
    if all(record.problem for record in records):
        raise NotAPage(reason)
    return PageScan(next_change_id, records)


def _spans(body: bytes, at: int) -> list[tuple[int, int]] | None:
    """Where the objects of an array lie; None where the array or the page around it does not end."""
    spans: list[tuple[int, int]] = []
    depth, start = 0, 0
    for token in _TOKEN.finditer(body, at):
        sign = token.group()
        if sign in b"{[":
            if depth == 0:
                start = token.start()
            depth += 1
        elif sign in b"}]":
            depth -= 1
            if depth == 0:
                spans.append((start, token.end()))
            elif depth < 0:
                return spans if body.rstrip().endswith(b"}") else None
    return None


def _end(pattern: re.Pattern[bytes], body: bytes, at: int) -> int:
    found = pattern.match(body, at)
    return found.end() if found else at


def _string(literal: bytes) -> str | None:
    try:
        return msgspec.json.decode(literal, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
