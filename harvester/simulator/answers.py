"""Answers on their way: status, headers, a body in pieces with the time each piece takes, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

Headers = tuple[tuple[str, str], ...]

JSON = "application/json"
HTML = "text/html; charset=UTF-8"


class Ending(StrEnum):
    """How an answer ends on the wire."""

    WHOLE = "whole"
    CUT = "cut"
    """The connection closes before the promised length."""
    RESET = "reset"
    """The connection is torn down by the peer."""
    STUCK = "stuck"
    """Nothing more comes, and nothing closes."""
    NO_ADDRESS = "no address"
    """The name cannot be looked up: nothing reaches the server."""
    NO_CONNECTION = "no connection"
    """Nobody takes the connection."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a body, `after` seconds behind the one before."""

    after: float
    data: bytes


@dataclass(frozen=True, slots=True)
class SimResponse:
    """One answer. A status of 0 means that no headers come: only the `ending` happens."""

    status: int
    headers: Headers
    chunks: tuple[Chunk, ...]
    ending: Ending = Ending.WHOLE

    @property
    def body(self) -> bytes:
        """All that is sent of the body, as on the wire."""
        return b"".join(chunk.data for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Latency:
    """How long things take, in seconds; each range is rolled evenly. All zero: at once."""

    upstream: tuple[float, float] = (0.0, 0.0)
    """From the client to the server: the rules count at the end of it."""
    thinking: tuple[float, float] = (0.0, 0.0)
    """From there to the headers at the client."""
    bytes_per_second: float = 0.0
    """Of the body on the wire; 0: no limit."""


def roll(dice: Random, span: tuple[float, float]) -> float:
    """A duration from a range."""
    low, high = span
    return low if high <= low else dice.uniform(low, high)


def in_pieces(body: bytes, bytes_per_second: float, piece: int = 65_536) -> tuple[Chunk, ...]:
    """A body as the network brings it."""
    view = memoryview(body)
    pieces: Sequence[memoryview] = [view[at : at + piece] for at in range(0, len(body), piece)]
    pace = 1 / bytes_per_second if bytes_per_second > 0 else 0.0
    return tuple(Chunk(len(part) * pace, bytes(part)) for part in pieces)


def error_body(code: int, message: str) -> bytes:
    """The API's error object."""
    return json.dumps({"error": {"code": code, "message": message}}).encode()
