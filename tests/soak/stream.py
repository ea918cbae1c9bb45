"""What the harvest under fire is fed: a seeded stream that is the same in every process, made for trouble."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from harvester.simulator.river import River, RiverPage

LONGEST = 20_000
"""Pages after which the stream ends where no earlier end is asked for."""
_SPOIL_EVERY = 7
_WANDERERS = 12
_TABS = 4


class Stream:
    """A river of small pages. One page in seven holds a record whose `public` is no boolean; every page that is not
    empty holds one of four tabs between which a dozen items wander, so that stashes outside a page lose items to it.
    """

    realm = "pc"

    def __init__(self, seed: int, pages: int = LONGEST) -> None:
        self._river = River(
            seed,
            self.realm,
            pages=pages,
            stashes_per_page=6,
            items_per_stash=5.0,
            population=60,
            empty_pages=0.03,
            keep_pages=LONGEST,
        )

    def page(self, change_id: str, now: float) -> RiverPage:
        """See `harvester.simulator.river.Source`."""
        page = self._river.page(change_id, now)
        if not page.stashes:
            return page
        number = zlib.crc32(page.change_id.encode())
        body = page.body
        if number % _SPOIL_EVERY == 0:
            body = body.replace(b'"public":true', b'"public":"true"', 1)
        tab, items = _tab_of_wanderers(number)
        return replace(page, body=b"%b,%b]}" % (body[:-2], tab), stashes=page.stashes + 1, items=page.items + items)

    def head(self, now: float) -> str:
        """See `harvester.simulator.river.Source`."""
        return self._river.head(now)

    def walk(self) -> Iterator[RiverPage]:
        """Every page from the start, as a client that never fails gets them."""
        change_id = ""
        while not (page := self.page(change_id, 0.0)).at_end:
            yield page
            change_id = page.next_change_id


def _tab_of_wanderers(number: int) -> tuple[bytes, int]:
    """One of the tabs with the items that are in it now, and how many they are."""
    dice = Random(number)
    items = [
        {"id": f"wanderer {name}", "typeLine": "Wanderer", "note": f"~price {dice.randrange(1, 9)} chaos"}
        for name in dice.sample(range(_WANDERERS), dice.randrange(_WANDERERS // 2))
    ]
    tab = {"id": f"tab of wanderers {dice.randrange(_TABS)}", "public": True, "league": "Standard", "items": items}
    return json.dumps(tab).encode(), len(items)
