"""What the harvest under fire is fed: a seeded stream that is the same in every process, with a bad record here and there."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import replace

from harvester.simulator.river import River, RiverPage

LONGEST = 20_000
"""Pages after which the stream ends where no earlier end is asked for."""
_SPOIL_EVERY = 9


class Stream:
    """A river of small pages; one page in nine holds a record whose `public` is no boolean."""

    realm = "pc"

    def __init__(self, seed: int, pages: int = LONGEST) -> None:
        self._river = River(
            seed,
            self.realm,
            pages=pages,
            stashes_per_page=12,
            items_per_stash=5.0,
            population=150,
            empty_pages=0.03,
            keep_pages=LONGEST,
        )

    def page(self, change_id: str, now: float) -> RiverPage:
        """See `harvester.simulator.river.Source`."""
        page = self._river.page(change_id, now)
        if zlib.crc32(page.change_id.encode()) % _SPOIL_EVERY:
            return page
        return replace(page, body=page.body.replace(b'"public":true', b'"public":"true"', 1))

    def head(self, now: float) -> str:
        """See `harvester.simulator.river.Source`."""
        return self._river.head(now)

    def walk(self) -> Iterator[RiverPage]:
        """Every page from the start, as a client that never fails gets them."""
        change_id = ""
        while not (page := self.page(change_id, 0.0)).at_end:
            yield page
            change_id = page.next_change_id
