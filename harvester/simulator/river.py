"""The river: an endless, seeded stream of stash records, cut into pages by cursors as the API cuts them.

Every change of the world takes one place in the stream and moves one of five counters by one; a cursor is the
five counters, so its sum tells the place. A few places hold no change: there the API answers an empty page
that goes on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Protocol

from harvester.simulator.items import Age
from harvester.simulator.world import Record, World

_CURSOR = re.compile(r"\d{1,18}(-\d{1,18}){4}")
_SHARDS = 5
_BLOCK = 1_024
_REACH = 200_000
"""How far an endless river may be asked ahead of what was ever served, in changes."""
_NOTHING = Record(b"", (), Age.OLD, b"", 0)
"""Stands where a place holds no change."""


class EndOfStream(StrEnum):
    """How the API says that there is nothing new."""

    EMPTY = "empty"
    """As documented: no stashes."""
    SAME_ID = "same-id"
    """As seen: the id asked for comes back, with the last stashes once more."""


class BadCursorError(ValueError):
    """The text is no cursor; the API answers 400."""


@dataclass(frozen=True, slots=True)
class RiverPage:
    """One page as published."""

    change_id: str
    """The cursor asked with, in the river's own writing; empty for the very start."""
    next_change_id: str
    body: bytes
    stashes: int
    items: int
    at_end: bool
    """Nothing new was there: the answer is no page of the stream but its end."""


class Source(Protocol):
    """What the simulated API serves stash pages from."""

    realm: str

    def page(self, change_id: str, now: float) -> RiverPage:
        """The page for a cursor at a time; raises `BadCursorError`."""

    def head(self, now: float) -> str:
        """The newest cursor."""


class River:
    """A living world of stashes behind cursors. Not thread-safe: one thread asks.

    With `pages` the stream ends after that many full pages. With `stash_rate` (changes per second) it grows
    from `backlog_pages` at `start` on; without, all of it is there at once. What was answered for a cursor is
    answered again byte for byte, as far back as `keep_pages`; an older one gets the oldest page still kept.
    """

    def __init__(
        self,
        seed: int = 1,
        realm: str = "pc",
        start: float = 0.0,
        *,
        pages: int | None = None,
        stashes_per_page: int = 80,
        items_per_stash: float = 17.0,
        population: int | None = None,
        stash_rate: float | None = None,
        backlog_pages: int = 0,
        delay: float = 0.0,
        end: EndOfStream = EndOfStream.EMPTY,
        empty_pages: float = 0.01,
        oddities: float = 1.0,
        old_share: float = 0.15,
        leagues: Sequence[str] | None = None,
        keep_pages: int = 5_000,
    ) -> None:
        """`empty_pages`: share of answers that are empty and go on; `delay`: seconds until a change shows."""
        self.realm = realm
        self._seed = f"{seed} {realm}"
        self._start = start
        self._per_page = stashes_per_page
        self._rate = stash_rate
        self._delay = delay
        self._end = end
        self._gap_every = max(2, round(1 / empty_pages)) * stashes_per_page if empty_pages > 0 else 0
        self._keep = keep_pages * stashes_per_page
        self._world = World(
            seed,
            realm,
            population=population or max(400, 5 * stashes_per_page),
            items_per_stash=items_per_stash,
            oddities=oddities,
            old_share=old_share,
            leagues=leagues,
        )
        self._dice = Random(f"shards {self._seed}")
        base = (3_278_000_000, 3_203_000_000, 3_129_000_000, 3_479_000_000, 3_367_000_000)
        start_counters = tuple(counter + self._dice.randrange(900_000) for counter in base)
        self._counters = [start_counters]
        self._shards = bytearray()
        self._records: dict[int, Record] = {}
        self._oldest = 0
        self._ends: dict[int, int] = {}
        self._gaps: dict[int, tuple[int, int]] = {}
        self._total = self._walk(pages) if pages is not None else None
        self._backlog = self._walk(backlog_pages)

    def page(self, change_id: str, now: float) -> RiverPage:
        """The page for a cursor at a time.

        No cursor, `""` or `"0"`: the oldest page kept. A cursor beyond the newest change: an empty page.
        Raises `BadCursorError`.
        """
        place = self._place(change_id)
        available = self._available(now)
        if place >= available:
            return self._the_end(change_id, place, available)
        place = max(place, self._oldest)
        end = self._ends.get(place)
        if end is None:
            end = self._ends[place] = min(self._full_end(place), available)
        return self._written(change_id if _CURSOR.fullmatch(change_id) else "", place, end, self._cursor(end))

    def head(self, now: float) -> str:
        """The newest cursor: what the trade site's change-ids endpoint tells."""
        return self._cursor(self._available(now))

    def walk(self, now: float, change_id: str = "") -> list[RiverPage]:
        """All pages from a cursor to the end, as a client that never fails would get them."""
        pages = []
        while not (page := self.page(change_id, now)).at_end:
            pages.append(page)
            change_id = page.next_change_id
        return pages

    def _place(self, change_id: str) -> int:
        if change_id in ("", "0"):
            return 0
        if not _CURSOR.fullmatch(change_id):
            raise BadCursorError(change_id)
        return max(0, sum(int(part) for part in change_id.split("-")) - sum(self._counters[0]))

    def _cursor(self, place: int) -> str:
        while len(self._shards) < place:
            block = bytes(self._dice.choices(range(_SHARDS), k=_BLOCK))
            self._shards += block
            before = self._counters[-1]
            self._counters.append(tuple(before[shard] + block.count(shard) for shard in range(_SHARDS)))
        number, rest = divmod(place, _BLOCK)
        passed = self._shards[place - rest : place]
        counters = self._counters[number]
        return "-".join(str(counters[shard] + passed.count(shard)) for shard in range(_SHARDS))

    def _available(self, now: float) -> int:
        if self._rate is None:
            return self._total if self._total is not None else self._oldest + len(self._records) + _REACH
        grown = self._backlog + max(0, int((now - self._delay - self._start) * self._rate))
        return grown if self._total is None else min(grown, self._total)

    def _walk(self, pages: int) -> int:
        place = 0
        for _ in range(pages):
            place = self._full_end(place)
        return place

    def _full_end(self, place: int) -> int:
        """Where a full page that begins here ends: sizes vary by a quarter, gaps stand alone."""
        first, after = self._gap(place)
        if first <= place < after:
            return after
        size = round(self._per_page * Random(f"size {self._seed} {place}").uniform(0.75, 1.25))
        end = place + max(1, size)
        if place >= after:
            first, _ = self._gap(end)
        return first if place < first < end else end

    def _gap(self, place: int) -> tuple[int, int]:
        """First place of the gap in this stretch of the stream, and the place after it."""
        if not self._gap_every:
            return -1, -1
        stretch = place // self._gap_every
        if stretch not in self._gaps:
            dice = Random(f"gap {self._seed} {stretch}")
            margin = self._per_page // 2 + 2
            first = stretch * self._gap_every + dice.randrange(margin, self._gap_every - 8)
            self._gaps[stretch] = first, first + dice.randrange(1, 6)
        return self._gaps[stretch]

    def _is_gap(self, place: int) -> bool:
        first, after = self._gap(place)
        return first <= place < after

    def _reach(self, place: int) -> None:
        """Let the world live until the change before `place`, and forget what nobody asks for any more."""
        newest = self._oldest + len(self._records)
        for at in range(newest, place):
            self._records[at] = _NOTHING if self._is_gap(at) else self._world.next_record()
        keep_from = place - self._keep
        while self._oldest < keep_from:
            del self._records[self._oldest]
            self._ends.pop(self._oldest, None)
            self._oldest += 1

    def _written(self, change_id: str, place: int, end: int, next_id: str, at_end: bool = False) -> RiverPage:
        self._reach(end)
        records = [record for at in range(place, end) if (record := self._records[at]) is not _NOTHING]
        written = b",".join([self._world.write(record) for record in records])
        body = b'{"next_change_id":"%b","stashes":[%b]}' % (next_id.encode(), written)
        items = sum(len(record.items) for record in records)
        return RiverPage(change_id, next_id, body, len(records), items, at_end)

    def _the_end(self, change_id: str, place: int, available: int) -> RiverPage:
        asked = change_id if _CURSOR.fullmatch(change_id) else self._cursor(0)
        if self._end is EndOfStream.SAME_ID and place == available:
            first = max(self._oldest, available - max(1, self._per_page // 4))
            return self._written(change_id, first, available, asked, at_end=True)
        body = b'{"next_change_id":"%b","stashes":[]}' % asked.encode()
        return RiverPage(change_id, asked, body, 0, 0, at_end=True)
