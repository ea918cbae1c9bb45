"""Snapshots as JSON: between processes, and in the store.

Written by one version and read by another: unknown fields are ignored, missing ones take their defaults, and a part
that this version cannot read is left out and named. Only what nothing can be shown without is refused.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

import msgspec

from harvester.snapshot import SNAPSHOT_FORMAT, Snapshot

LONGEST_BYTES = 2 << 20
"""A Snapshot takes some 30 kB; what is longer than this is none."""

_WHOLE = msgspec.json.Decoder(Snapshot)
_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_FIELD_TYPES = get_type_hints(Snapshot, include_extras=True)


class SnapshotUnreadableError(Exception):
    """These bytes are no Snapshot, or one that this version can show nothing of; the message says which."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A Snapshot as far as it could be read."""

    snapshot: Snapshot
    remark: str = ""
    """What the reader should know, in words; empty where all is well."""


def encode_snapshot(snapshot: Snapshot) -> bytes:
    """One line of JSON, without the line's end."""
    return msgspec.json.encode(snapshot)


def decode_snapshot(data: bytes) -> Decoded:
    """A Snapshot from JSON of any version.

    Raises:
        SnapshotUnreadableError: nothing can be shown of it.
    """
    if len(data) > LONGEST_BYTES:
        raise SnapshotUnreadableError(f"{len(data):,} bytes are no Snapshot: the longest is {LONGEST_BYTES:,}")
    try:
        snapshot = _WHOLE.decode(data)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        return _decode_parts(data, error)
    return Decoded(snapshot, _foreign(snapshot.format))


def _decode_parts(data: bytes, cause: Exception) -> Decoded:
    """What can be read of a Snapshot that cannot be read as a whole."""
    try:
        parts = _PARTS.decode(data)
        found = _number(parts.get("format"))
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        raise SnapshotUnreadableError(f"this is no Snapshot: {error}") from error
    values: dict[str, Any] = {}
    left_out = []
    for field in fields(Snapshot):
        if field.name not in parts:
            continue
        try:
            values[field.name] = msgspec.json.decode(parts[field.name], type=_FIELD_TYPES[field.name])
        except (msgspec.DecodeError, RecursionError, ValueError):
            left_out.append(field.name)
    needed = [field.name for field in fields(Snapshot) if field.default is MISSING and field.name not in values]
    if needed:
        raise SnapshotUnreadableError(f"{_foreign(found)} {', '.join(needed)} cannot be read: {cause}".strip())
    remark = f"{_foreign(found)} Left out, for it cannot be read: {', '.join(left_out)}."
    return Decoded(Snapshot(**values), remark.strip())


def _number(raw: msgspec.Raw | None) -> int:
    return SNAPSHOT_FORMAT if raw is None else msgspec.json.decode(raw, type=int)


def _foreign(found: int) -> str:
    if found == SNAPSHOT_FORMAT:
        return ""
    return (
        f"This is from another version of the program (format {found}, this one reads {SNAPSHOT_FORMAT}): "
        "figures may be missing or mean something else."
    )
