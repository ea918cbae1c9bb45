"""A Snapshot outlives its process: every one comes back as it was, and one of another version shows what it can."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from enum import Enum
from random import Random
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.events import Event, Level
from harvester.lag import LagLevel
from harvester.snapshot import (
    SNAPSHOT_FORMAT,
    History,
    QueueSnapshot,
    QueueState,
    Snapshot,
    StoreSnapshot,
    ThroughputSnapshot,
)
from harvester.snapshot_json import LONGEST_BYTES, SnapshotUnreadableError, decode_snapshot, encode_snapshot
from tests.snapshot_bench import NOW, full_snapshot, queue_snapshot

TEXTS = ("", "psapi:pc", "[red]x[/]\x1b[31m", "\x00\n\u2028\u202e", "Ünïcødé 🜁", '"\\', "x" * 500)
NUMBERS = (0, 1, 59, 4711, 2**53, 2**63 - 1)
FLOATS = (0.0, 1e-9, 0.1 + 0.2, 59.999, NOW, 253_402_300_799.0)


def any_of(kind: Any, random: Random) -> Any:
    """Some value of a type as the Snapshot's parts name them."""
    if kind is None or kind is type(None):
        return None
    if isinstance(kind, type) and is_dataclass(kind):
        types = get_type_hints(kind, include_extras=True)
        return kind(**{field.name: any_of(types[field.name], random) for field in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return random.choice(list(kind))
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return any_of(arguments[0], random)
    if origin is tuple:
        return tuple(any_of(arguments[0], random) for _ in range(random.choice((0, 1, 3))))
    if arguments:  # a union
        return any_of(random.choice(arguments), random)
    return random.choice({str: TEXTS, bool: (False, True), int: NUMBERS, float: FLOATS}[kind])


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_every_snapshot_comes_back_as_it_was(seed: int) -> None:
    snapshot = any_of(Snapshot, Random(seed))
    encoded = encode_snapshot(snapshot)
    decoded = decode_snapshot(encoded)
    assert decoded.snapshot == snapshot
    assert (decoded.remark == "") == (snapshot.format == SNAPSHOT_FORMAT)
    assert b"\n" not in encoded


def test_a_full_one_comes_back_as_it_was_and_stays_small() -> None:
    assert decode_snapshot(encode_snapshot(full_snapshot())).snapshot == full_snapshot()
    assert len(encode_snapshot(full_snapshot())) < 40_000


def changed(**changes: Any) -> bytes:
    parts = json.loads(encode_snapshot(full_snapshot()))
    for name, value in changes.items():
        if value is None:
            del parts[name]
        else:
            parts[name] = value
    return json.dumps(parts).encode()


def test_what_a_later_version_adds_is_ignored_and_what_an_older_one_lacks_is_default() -> None:
    parts = json.loads(encode_snapshot(full_snapshot()))
    parts["weather"] = {"sun": [1, 2]}
    parts["queues"][0]["mood"] = "fine"
    assert decode_snapshot(json.dumps(parts).encode()).snapshot == full_snapshot()

    older = decode_snapshot(changed(throughput=None, store=None, schema=None, throttles=None, harvester=None))
    assert older.remark == ""
    assert older.snapshot.throughput == ThroughputSnapshot()
    assert (older.snapshot.store, older.snapshot.schema) == (StoreSnapshot(), None)
    assert older.snapshot.queues == full_snapshot().queues


def test_another_format_is_told_and_shown_as_far_as_it_can_be_read() -> None:
    same = decode_snapshot(changed(format=SNAPSHOT_FORMAT + 1))
    assert f"another version of the program (format {SNAPSHOT_FORMAT + 1}" in same.remark
    assert same.snapshot.queues == full_snapshot().queues

    decoded = decode_snapshot(changed(format=7, throttles={"now": "an object"}, spool="12 pages"))
    assert decoded.snapshot.throttles == ()
    assert decoded.snapshot.requests == full_snapshot().requests
    assert "format 7" in decoded.remark
    assert "throttles, spool" in decoded.remark

    with pytest.raises(SnapshotUnreadableError, match=r"format 8.*queues cannot be read"):
        decode_snapshot(changed(format=8, queues={"psapi:pc": {}}))


def test_words_of_another_version_become_unknown() -> None:
    parts = json.loads(encode_snapshot(full_snapshot()))
    parts["queues"][0] |= {"state": "dreaming", "level": "purple"}
    parts["events"][0]["level"] = "shout"
    snapshot = decode_snapshot(json.dumps(parts).encode()).snapshot
    assert (snapshot.queues[0].state, snapshot.queues[0].level) == (QueueState.UNKNOWN, LagLevel.UNKNOWN)
    assert snapshot.events[0].level is Level.WARNING


@pytest.mark.parametrize(
    "rubbish",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"taken_at": 1e400}',
        b"[" * 100_000,
        b'{"format": ' + b"[" * 100_000,
        b'{"format": "one"}',
        b" " * (LONGEST_BYTES + 1),
        changed(taken_at=-1),
        changed(taken_at=1e300),
        changed(taken_at="noon"),
        changed(queues=[{"queue_key": 1}]),
    ],
    ids=lambda rubbish: repr(rubbish[:20]),
)
def test_what_is_no_snapshot_is_refused_in_words(rubbish: bytes) -> None:
    with pytest.raises(SnapshotUnreadableError) as refused:
        decode_snapshot(rubbish)
    assert len(str(refused.value)) < 500


@pytest.mark.parametrize("at", [-5.0, 1e300])
def test_times_that_no_calendar_knows_never_come_in(at: float) -> None:
    """They would break whoever draws them."""
    assert decode_snapshot(changed(events=[{"at": at, "level": "info", "queue_key": "", "what": "x"}])).remark
    parts = json.loads(encode_snapshot(full_snapshot()))
    parts["queues"][0]["last_progress_at"] = at
    with pytest.raises(SnapshotUnreadableError):
        decode_snapshot(json.dumps(parts).encode())


def test_defaults_are_what_is_not_known() -> None:
    assert History().values == ()
    assert StoreSnapshot().reachable is None
    queue = queue_snapshot()
    assert isinstance(queue, QueueSnapshot)
    assert Event(NOW, Level.INFO, "", "x").todo == ""
