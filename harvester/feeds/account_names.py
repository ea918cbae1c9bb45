"""Takes account names out of a public stash page, or puts others in their place, and changes no other byte.

A name is the value of a key `accountName` or `lastCharacterName`, wherever in the page it stands and however key and
value are escaped. Where a text is not JSON, nobody can say where a name in it begins and ends: what cannot be told
apart is withheld, and a description stands in its place.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator

import msgspec

from harvester.feeds.page_scan import BYTE_ORDER_MARK, NotAPage, PageScan, Record, scan_page

NAME_KEYS = ("accountName", "lastCharacterName")
"""The keys whose values are names. The second is in pages up to 2022."""

OtherName = Callable[[str], str]
"""What stands in a page instead of a name."""

_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_VALUE = rb"\s*:\s*(" + _STRING + rb"|.)"


def _escaped(name: str) -> bytes:
    """A pattern of a key in which any letter may be written as an escape."""
    return b"".join(rb"(?:%c|\\u00(?i:%02x))" % (letter, letter) for letter in name.encode())


_NAMED = re.compile(b'"(?:' + b"|".join(key.encode() for key in NAME_KEYS) + b')"' + _VALUE, re.DOTALL)
_NAMED_ESCAPED = re.compile(b'"(?:' + b"|".join(map(_escaped, NAME_KEYS)) + b')"' + _VALUE, re.DOTALL)
_ESCAPED_LETTER = re.compile(rb"\\u00[467]")
_SCALAR = re.compile(rb"[^\s,\]}]*")
_TOKEN = re.compile(_STRING + rb"|[\[\]{}]", re.DOTALL)


def without_names(body: bytes, other_name: OtherName) -> bytes:
    """The page with other names: strings become what `other_name` makes of them, `null` and `""` stay.

    A value that is no string becomes `""`. A record that is not JSON is replaced by a description of it, which is
    set aside as the record would have been.

    Raises:
        NotAPage: the names cannot be told from the rest; `withheld` is all that may be kept.
    """
    if _is_json(body):
        return _replaced(body, other_name)
    scan = scan_page(body, stored=True)
    clean = b"".join(_pieces(body, scan, other_name))
    after = scan_page(clean, stored=True)
    if (len(after.records), after.next_change_id) != (len(scan.records), scan.next_change_id):
        raise NotAPage("its records cannot be told apart")
    return clean


def withheld(body: bytes, reason: str) -> bytes:
    """What is kept of bytes that may hold names nobody can find: a JSON object that says how many they were and why."""
    return json.dumps(
        {"withheld": reason, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}, separators=(",", ":")
    ).encode()


def _pieces(body: bytes, scan: PageScan, other_name: OtherName) -> Iterator[bytes]:
    """A page whose records could be told apart by brackets only; around them it is sound."""
    at = 0
    for record in scan.records:
        yield _replaced(body[at : record.offset], other_name)
        at = record.offset + record.length
        yield _of_record(record, body[record.offset : at], other_name)
    yield _replaced(body[at:], other_name)


def _of_record(record: Record, raw: bytes, other_name: OtherName) -> bytes:
    return _replaced(raw, other_name) if _is_json(raw) else withheld(raw, record.problem)


def _is_json(text: bytes) -> bool:
    """Whether strings, keys and brackets are where they seem to be, odd numbers and broken characters aside."""
    text = text.removeprefix(BYTE_ORDER_MARK)
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            json.loads(text.decode("utf-8", "surrogateescape"), strict=False)
        except (ValueError, RecursionError):
            return False
    return True


def _replaced(text: bytes, other_name: OtherName) -> bytes:
    """Sound JSON, or a sound part of it, with other names."""
    pieces: list[bytes] = []
    at = 0
    pattern = _NAMED_ESCAPED if _ESCAPED_LETTER.search(text) else _NAMED
    found = pattern.search(text)
    while found is not None:
        start, stop = found.span(1)
        if text[found.start() - 1 : found.start()] != b"\\":  # else the end of a longer key
            stop = _end_of_value(text, start, stop)
            pieces += text[at:start], _other_value(text[start:stop], other_name)
            at = stop
        found = pattern.search(text, stop)
    return b"".join((*pieces, text[at:])) if pieces else text


def _end_of_value(text: bytes, start: int, stop: int) -> int:
    """Where the value at `start` ends, of which a string, or one character of anything else, reaches to `stop`."""
    first = text[start:stop]
    if first.startswith(b'"'):
        return stop
    if first not in (b"{", b"["):
        found = _SCALAR.match(text, start)
        return found.end() if found else stop
    depth = 0
    for token in _TOKEN.finditer(text, start):
        sign = token.group()
        depth += (sign in b"{[") - (sign in b"}]")
        if depth == 0:
            return token.end()
    return len(text)


def _other_value(value: bytes, other_name: OtherName) -> bytes:
    if value in (b"null", b'""'):
        return value
    if not value.startswith(b'"'):
        return b'""'
    try:
        name = msgspec.json.decode(value, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        name = json.loads(value.decode("utf-8", "surrogateescape"), strict=False)
    return json.dumps(other_name(name)).encode()
