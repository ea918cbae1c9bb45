"""What can go wrong on the way, asked for request by request.

`Faults` is the seam for fault plans; `ScriptedFaults` plays a list.
An `Override` replaces or spoils one answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from harvester.simulator.answers import HTML, JSON, Ending, Headers

_CHALLENGE = b"<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>Checking</body></html>"


@dataclass(frozen=True, slots=True)
class Override:
    """How one answer differs from the right one. What is not set stays right."""

    name: str
    """As it stands in the truth."""
    status: int | None = None
    """Set: the request is answered with this and `body`, and the API itself is not asked."""
    headers: Headers = ()
    """Added; a header of the same name is replaced."""
    body: bytes | None = None
    """Instead of the right body; the headers of the right answer stay, `X-Next-Change-Id` too."""
    transform: Callable[[bytes], bytes] | None = None
    """Makes the body from the right one (before compression)."""
    wire: bytes | None = None
    """The bytes of the body exactly as they go over the wire, with no compression of ours."""
    next_id: str | None = None
    """Named as the next id in header and body, whatever the right one is."""
    same_id: bool = False
    """The next id in header and body is the id asked for."""
    bare: bool = False
    """No rate-limit headers, and the limits do not count the request: it never reached them."""
    keep: int | None = None
    """Only so many bytes of the body go out before `ending`."""
    ending: Ending = Ending.WHOLE
    silent: bool = False
    """No headers either: the `ending` happens at once."""
    delay: float = 0.0
    """Seconds more until the headers."""
    bytes_per_second: float = 0.0
    """Of the body on the wire; 0: as the latency says."""


class Faults(Protocol):
    """Asked once for each request that reaches the server."""

    def override(self, now: float, method: str, path: str, query: Mapping[str, str]) -> Override | None:
        """What is to go wrong with this one; None: nothing."""


class NoFaults:
    """All goes well."""

    def override(self, now: float, method: str, path: str, query: Mapping[str, str]) -> Override | None:  # noqa: ARG002
        return None


@dataclass(slots=True)
class ScriptedFaults:
    """Plays a list, one entry for each request whose path contains `on`; after its end all goes well."""

    script: Iterable[Override | None]
    on: str = "public-stash-tabs"
    _left: list[Override | None] = field(init=False)

    def __post_init__(self) -> None:
        self._left = list(self.script)

    def override(self, now: float, method: str, path: str, query: Mapping[str, str]) -> Override | None:  # noqa: ARG002
        return self._left.pop(0) if self._left and self.on in path else None


def answer(status: int, body: bytes = b"", *headers: tuple[str, str], kind: str = JSON, bare: bool = False) -> Override:
    """Any status with any body; `bare` without rate-limit headers."""
    return Override(f"status {status}", status, (("Content-Type", kind), *headers), body, bare=bare)


def edge(status: int, body: bytes = _CHALLENGE, *headers: tuple[str, str]) -> Override:
    """An answer of the edge before the API: HTML without rate-limit headers (52x, 1015, a challenge)."""
    return answer(status, body, *headers, kind=HTML, bare=True)


def wrong_body(body: bytes) -> Override:
    """Status 200 and the right headers, with a body that is something else."""
    return Override("wrong body", body=body)


def changed(transform: Callable[[bytes], bytes]) -> Override:
    """Status 200 and the right headers, with a body made from the right one."""
    return Override("changed body", transform=transform)


def cut(keep: int) -> Override:
    """The connection closes after so many bytes of the body."""
    return Override("cut", keep=keep, ending=Ending.CUT)


def reset(keep: int = 0) -> Override:
    """The connection is reset after the headers and so many bytes of the body."""
    return Override("reset", keep=keep, ending=Ending.RESET)


def refused() -> Override:
    """The connection is reset before any header."""
    return Override("refused", silent=True, ending=Ending.RESET)


def stuck(keep: int = 0) -> Override:
    """The headers and so many bytes come, and then nothing for ever."""
    return Override("stuck", keep=keep, ending=Ending.STUCK)


def same_id() -> Override:
    """The right stashes, under a next id that is the id asked for."""
    return Override("same id", same_id=True)
