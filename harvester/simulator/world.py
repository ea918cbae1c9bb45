"""The world behind the river: stashes that live, and the record that each change publishes.

The world moves one change at a time, by its own dice only: the same seed gives the same history, whatever the
time of day and whoever asks.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from harvester.simulator.items import Age, Item, Template, encode, stock, write_item
from harvester.simulator.notes import Market, forum_note, hostile_text, item_note, tab_name

LEAGUES = (
    ("Keepers", 50),
    ("Standard", 20),
    ("Hardcore Keepers", 8),
    ("Hardcore", 4),
    ("Ruthless Keepers", 3),
    ("HC Ruthless Keepers", 1),
    ("Ruthless", 1),
)
"""Public leagues and their weights. Solo leagues trade nothing and never show up."""

_TYPES = (
    "PremiumStash", "PremiumStash", "PremiumStash", "QuadStash", "QuadStash", "NormalStash", "CurrencyStash",
    "MapStash", "FragmentStash", "DivinationCardStash", "EssenceStash", "UniqueStash", "TradeStash",
)  # fmt: skip
_FAR = 2_100
_SYLLABLES = (
    "kal",
    "dor",
    "mir",
    "zu",
    "exile",
    "Шав",
    "na",
    "rö",
    "빛",
    "gg",
    "_x",
    "wr",
    "ara",
    "tor",
    "li",
    "poe",
)


class Record(NamedTuple):
    """One stash as one page shows it. `write` gives its JSON."""

    head: bytes
    """Everything before the items."""
    items: tuple[Item, ...]
    age: Age
    league: bytes
    """Encoded JSON; of the items."""
    tab: int


@dataclass(slots=True)
class Stash:
    """A tab of somebody, as the world knows it."""

    key: str
    account: str
    league: str
    kind: str
    age: Age
    tab: int
    name: str | None
    items: list[Item] = field(default_factory=list)
    public: bool = True


class World:
    """Stashes and what happens to them.

    `population` is how many tabs are open once the world has filled up, `items_per_stash` their mean size;
    `oddities` scales everything rare and strange (0: none), `old_share` how many tabs show the shapes of
    former years.
    """

    def __init__(
        self,
        seed: int,
        realm: str,
        *,
        population: int,
        items_per_stash: float,
        oddities: float,
        old_share: float,
        leagues: Sequence[str] | None,
    ) -> None:
        self._item_seed = int.from_bytes(hashlib.blake2b(f"{seed} {realm}".encode(), digest_size=6).digest(), "big")
        self._rng = Random(f"world {seed} {realm}")
        self._market = Market(seed)
        self._stock: tuple[tuple[Template, ...], ...] = stock(seed)
        self._population = population
        self._mean_items = items_per_stash
        self._oddities = oddities
        self._old_share = old_share
        weighted = LEAGUES if leagues is None else tuple((name, 1) for name in leagues)
        if leagues is None:
            words = ("My", "Guild", "Ночь", "1v1")
            weighted += tuple((f"{word} League (PL{self._rng.randrange(10_000, 99_999)})", 1) for word in words)
        self._leagues = [name for name, _ in weighted]
        self._weights = [weight for _, weight in weighted]
        self._stashes: list[Stash] = []
        self._recent: deque[str] = deque(maxlen=200)
        self._next_item = 0
        self._next_stash = 0
        self._waiting: deque[Record] = deque()
        self._changes: tuple[tuple[Callable[[Stash], None], int], ...] = (
            (self._reprice, 25),
            (self._sell, 20),
            (self._restock, 26),
            (self._rename, 5),
            (self._nothing, 4),
            (self._empty, 2),
            (self._close, 12),
            (self._move_item, 4),
            (self._move_league, 1),
        )
        self._change_weights = [weight for _, weight in self._changes]

    def next_record(self) -> Record:
        """The record of the next change; every call moves the world on."""
        while not self._waiting:
            self._step()
        return self._waiting.popleft()

    def write(self, record: Record) -> bytes:
        """The record as JSON."""
        templates = self._stock[record.age]
        seed, league, tab = self._item_seed, record.league, record.tab
        written = [write_item(seed, item, templates[item.template], league, tab) for item in record.items]
        return b"%b%b]}" % (record.head, b",".join(written))

    def _step(self) -> None:
        rng = self._rng
        missing = self._population - len(self._stashes)
        if missing > 0 and (rng.random() < 0.75 or len(self._stashes) < 2):
            self._open()
            return
        stash = self._pick()
        if not stash.public:
            self._reopen(stash)
        else:
            change = rng.choices(self._changes, self._change_weights)[0][0]
            change(stash)

    def _pick(self) -> Stash:
        """Somebody active: the front of the list trades most. The same tab twice in a short time is rare."""
        for _ in range(4):
            stash = self._stashes[int(self._rng.random() ** 1.5 * len(self._stashes))]
            if stash.key not in self._recent or self._rng.random() < 0.02:
                break
        return stash

    def _open(self) -> None:
        rng = self._rng
        number = self._next_stash
        self._next_stash += 1
        league = rng.choices(self._leagues, self._weights)[0]
        luck = rng.random()
        age = Age.OLD if luck < self._old_share / 2 else Age.MIDDLE if luck < self._old_share else Age.NEW
        stash = Stash(
            key=hashlib.blake2b(b"%d stash %d" % (self._item_seed, number), digest_size=32).hexdigest(),
            account=self._account(),
            league=league,
            kind=rng.choice(_TYPES),
            age=age,
            tab=rng.randrange(1, 120),
            name=tab_name(rng, self._market, league, self._oddities),
        )
        size = 0 if rng.random() < 0.04 else min(600, max(1, round(rng.lognormvariate(-0.5, 1.0) * self._mean_items)))
        stash.items = [self._new_item(stash, place) for place in range(size)]
        self._stashes.append(stash)
        self._publish(stash)

    def _account(self) -> str:
        rng = self._rng
        if rng.random() < 0.002 * self._oddities:
            return hostile_text(rng) + "#0666"
        return "".join(rng.choices(_SYLLABLES, k=3)) + f"#{rng.randrange(10_000):04}"

    def _new_item(self, stash: Stash, place: int) -> Item:
        rng = self._rng
        index = rng.randrange(len(self._stock[stash.age]))
        template = self._stock[stash.age][index]
        number = self._next_item
        self._next_item += 1
        if rng.random() < 0.0015 * self._oddities:
            number = -1
        if rng.random() < 0.002 * self._oddities:
            place += _FAR + 1_000  # stacked tabs: x beyond 255
        stack = 0
        if template.max_stack:
            stack = rng.randrange(1, template.max_stack + 1)
            if rng.random() < 0.03:
                stack += template.max_stack
        forum = b""
        if rng.random() < 0.01:
            forum = encode(forum_note(rng, self._market, template.worth, stash.league))
        return Item(number, index, stack, place, self._note(stash, template, stack), forum)

    def _note(self, stash: Stash, template: Template, stack: int) -> bytes:
        rng = self._rng
        priced_by_tab = bool(stash.name) and str(stash.name).startswith("~")
        if rng.random() < (0.85 if priced_by_tab else 0.35):
            return b""
        if rng.random() < 0.001 * self._oddities:
            return encode(hostile_text(rng))
        return encode(item_note(rng, self._market, template.worth, stash.league, stack=stack, oddities=self._oddities))

    def _reprice(self, stash: Stash) -> None:
        for index in self._some(stash):
            item = stash.items[index]
            note = self._note(stash, self._stock[stash.age][item.template], item.stack)
            stash.items[index] = item._replace(note=note)
        self._publish(stash)

    def _sell(self, stash: Stash) -> None:
        for index in sorted(self._some(stash), reverse=True):
            del stash.items[index]
        self._publish(stash)

    def _restock(self, stash: Stash) -> None:
        rng = self._rng
        room = self._mean_items * 3 - len(stash.items)
        if room <= 0:
            self._sell(stash)
            return
        place = _free_place(stash)
        count = min(int(room) + 1, 1 + int(rng.expovariate(6 / self._mean_items)))
        if stash.items and rng.random() < 0.02 * self._oddities:
            twin = rng.choice(stash.items)  # seen in real pages: one id twice in a tab
            stash.items.append(twin._replace(place=place, stack=twin.stack + 1 if twin.stack else 0, note=b""))
            place += 1
        stash.items += [self._new_item(stash, place + offset) for offset in range(count)]
        self._publish(stash)

    def _rename(self, stash: Stash) -> None:
        stash.name = tab_name(self._rng, self._market, stash.league, self._oddities)
        self._publish(stash)

    def _nothing(self, stash: Stash) -> None:
        self._publish(stash)

    def _empty(self, stash: Stash) -> None:
        stash.items = []
        self._publish(stash)

    def _close(self, stash: Stash) -> None:
        stash.public = False
        self._publish(stash)
        if self._rng.random() < 0.4:
            self._stashes.remove(stash)  # for good: a new tab will take its place

    def _reopen(self, stash: Stash) -> None:
        stash.public = True
        if self._rng.random() < 0.3:
            stash.name = tab_name(self._rng, self._market, stash.league, self._oddities)
        self._publish(stash)

    def _move_league(self, stash: Stash) -> None:
        """What the end of a league does: the tab and all that is in it wake up elsewhere."""
        others = [league for league in self._leagues if league != stash.league]
        if others:
            stash.league = self._rng.choice(others)
        self._publish(stash)

    def _move_item(self, stash: Stash) -> None:
        """An item goes to another tab of the same league and age; both tabs are published, in any order."""
        rng = self._rng
        target = self._pick()
        fits = target.public and target.league == stash.league and target.age == stash.age and target is not stash
        if not fits or not stash.items:
            self._reprice(stash)
            return
        item = stash.items.pop(rng.randrange(len(stash.items)))
        target.items.append(item._replace(place=_free_place(target)))
        for changed in rng.sample((stash, target), 2):
            self._publish(changed)

    def _some(self, stash: Stash) -> list[int]:
        if not stash.items:
            return []
        count = min(len(stash.items), 1 + int(self._rng.expovariate(5 / self._mean_items)))
        return self._rng.sample(range(len(stash.items)), count)

    def _publish(self, stash: Stash) -> None:
        self._recent.append(stash.key)
        league = encode(stash.league)
        items = tuple(stash.items) if stash.public else ()
        self._waiting.append(Record(self._head(stash, league), items, stash.age, league, stash.tab))

    def _head(self, stash: Stash, league: bytes) -> bytes:
        rng = self._rng
        key = stash.key.encode()
        account, name, character = encode(stash.account), encode(stash.name), b'"Exile"'
        shown = b"" if stash.age is Age.OLD else b',"league":' + league
        if not stash.public:
            luck = rng.random()
            if luck < 0.9:
                account = name = character = b"null"
            elif luck < 0.95:
                name = b'""'
            if shown:
                shown = rng.choice((shown, b',"league":null', b""))
        elif not stash.items and rng.random() < 0.3:
            account = b"null"
        last_character = b"" if stash.age is Age.NEW else b',"lastCharacterName":' + character
        return b'{"id":"%b","public":%b,"accountName":%b%b,"stash":%b,"stashType":"%b"%b,"items":[' % (
            key,
            b"true" if stash.public else b"false",
            account,
            last_character,
            name,
            stash.kind.encode(),
            shown,
        )


def _free_place(stash: Stash) -> int:
    return max((item.place for item in stash.items if item.place < _FAR), default=-1) + 1
