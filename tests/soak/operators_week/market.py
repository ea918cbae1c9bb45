"""The market that is harvested: the simulated API over HTTP, with switches for what can go wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from harvester.clock import SystemClock
from harvester.simulator.api import SimulatedApi, demo_settings
from harvester.simulator.faults import Override
from harvester.simulator.http_front import HttpFront
from harvester.simulator.river import River
from harvester.simulator.rules import STASH_POLICY, Policy

LIMIT = "5:5:6"
"""A page a second, and six seconds of restriction where more is asked."""
STASHES = "public-stash-tabs"


class Switch:
    """One fault at a time, as long as it is set."""

    def __init__(self) -> None:
        self._fault: Override | Callable[[str], Override | None] | None = None
        self.struck = 0
        """Requests that it struck since it was set."""

    def set(self, fault: Override | Callable[[str], Override | None] | None) -> None:
        """Strike every request for a page with it, or with what it says for a cursor; None: all is well."""
        self.struck = 0
        self._fault = fault

    def override(self, now: float, method: str, path: str, query: Mapping[str, str]) -> Override | None:
        """See `harvester.simulator.faults.Faults`."""
        if STASHES not in path or self._fault is None:
            return None
        fault = self._fault(query.get("id", "")) if callable(self._fault) else self._fault
        self.struck += fault is not None
        return fault


class Neighbour:
    """Somebody else behind the same address, who asks five times a second while `busy`."""

    def __init__(self) -> None:
        self.busy = False
        self._asked_at = 0.0

    def hits_until(self, now: float) -> Sequence[float]:
        """See `harvester.simulator.rules.Neighbour`."""
        if not self.busy:
            self._asked_at = now
            return ()
        hits = []
        while self._asked_at + 0.2 <= now:
            self._asked_at += 0.2
            hits.append(self._asked_at)
        return hits


class Market:
    """An endless stream of small pages, and the truth about them."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.switch, self.neighbour = Switch(), Neighbour()
        river = River(3, start=clock.now(), stashes_per_page=8, items_per_stash=3.0, empty_pages=0)
        policy = Policy(STASH_POLICY, {"Ip": [LIMIT]}, neighbour=self.neighbour)
        self.api = SimulatedApi(clock, [river], policy=policy, faults=self.switch)
        self._front = HttpFront(self.api)

    @property
    def environ(self) -> dict[str, str]:
        """The settings that point a harvest here."""
        return {**demo_settings(self._front.url), "POE_FEEDS": "psapi"}

    def chain(self) -> list[str]:
        """The cursors of the pages that were answered, from the first page on in the order of the stream."""
        following = {page.change_id: page.next_change_id for page in self.api.truth.published}
        chain, cursor = [], ""
        while cursor in following and cursor not in chain:
            chain.append(cursor)
            cursor = following[cursor]
        return chain

    def __enter__(self) -> Self:
        self._front.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._front.stop()
