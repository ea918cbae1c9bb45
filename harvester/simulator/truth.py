"""What really happened: what was published, what was asked, and every rule broken.

The truth keeps no bodies: a page can be had from its river again, and its sha256 proves that it is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from harvester.simulator.river import RiverPage, Source
from harvester.simulator.rules import Broken


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    at: float
    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    status: int
    """What was answered; 0 where the connection broke before."""
    fault: str = ""
    """The injected fault that shaped the answer, if any."""


@dataclass(slots=True)
class Published:
    """A page that was answered at least once, in full or in part."""

    realm: str
    change_id: str
    """Empty for the very start."""
    next_change_id: str
    first_at: float
    sha256: str
    size: int
    stashes: int
    items: int
    times: int = 1
    """How often it was asked for."""
    whole: int = 0
    """How often it was answered without a fault."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that a well-behaved client does not do, short of breaking a limit."""

    at: float
    what: str


@dataclass(slots=True)
class Truth:
    """Everything of one simulated API, in the order of time.

    One thread appends; read it when that thread rests.
    """

    asked: list[Asked] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    _published: dict[tuple[str, str], Published] = field(default_factory=dict)
    _rivers: dict[str, Source] = field(default_factory=dict)

    @property
    def published(self) -> tuple[Published, ...]:
        """The pages, in the order of their first answer. The ends of the stream are none."""
        return tuple(self._published.values())

    def complain(self, at: float, what: str) -> None:
        """Note bad manners."""
        self.complaints.append(Complaint(at, what))

    def publish(self, river: Source, page: RiverPage, at: float, *, whole: bool) -> None:
        """Note that a page was answered. A river that changes what it had published is complained of."""
        if page.at_end:
            return
        self._rivers[river.realm] = river
        digest = hashlib.sha256(page.body).hexdigest()
        key = (river.realm, page.change_id)
        known = self._published.get(key)
        if known is None:
            known = self._published[key] = Published(
                river.realm,
                page.change_id,
                page.next_change_id,
                at,
                digest,
                len(page.body),
                page.stashes,
                page.items,
                times=0,
            )
        elif known.sha256 != digest:
            self.complain(at, f"the river has forgotten the page {page.change_id or '(first)'}")
            return
        known.times += 1
        known.whole += whole

    def bodies(self, realm: str = "pc") -> Iterator[tuple[float, bytes]]:
        """The time of the first answer and the body of every published page of a realm, in that order.

        Raises `LookupError` for a page that its river has forgotten: give the river more `keep_pages`.
        """
        for page in self.published:
            if page.realm != realm:
                continue
            body = self._rivers[realm].page(page.change_id, page.first_at).body
            if hashlib.sha256(body).hexdigest() != page.sha256:
                raise LookupError(f"the river has forgotten the page {page.change_id}; give it more keep_pages")
            yield page.first_at, body

    def summary(self) -> dict[str, Any]:
        """Counts, and the first complaints and broken rules in full: for people and logs."""
        pages = self.published
        return {
            "requests": len(self.asked),
            "pages": len(pages),
            "stashes": sum(page.stashes for page in pages),
            "items": sum(page.items for page in pages),
            "bytes": sum(page.size for page in pages),
            "asked_again": sum(page.times - 1 for page in pages),
            "rules_broken": len(self.broken),
            "broken": [asdict(broken) for broken in self.broken[:20]],
            "complaints": [asdict(complaint) for complaint in self.complaints[:20]],
        }
