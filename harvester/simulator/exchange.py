"""The currency exchange of the simulated world: hours of trade, made from the same hidden prices as the river's notes.

An hour is made from seed, realm and time alone, so that it is the same whoever asks and whenever. Prices swing a little
around what the market knows a currency to be worth.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from random import Random

from harvester.simulator.goods import BASES
from harvester.simulator.notes import CHAOS_VALUES, Market

HOUR = 3600
PATHS_SINCE = 1_780_272_000
"""2026-06-01: from this hour on keys are paths of the game, before they were short codes."""
PUBLISHED_AFTER = 1.0
"""Seconds after its end at which an hour is there."""
LEAGUES = (
    ("Keepers", 40),
    ("Standard", 25),
    ("Hardcore Keepers", 10),
    ("Hardcore", 7),
    ("Ruthless Keepers", 6),
    ("Ruthless", 5),
    ("HC Ruthless Keepers", 4),
    ("Hardcore Ruthless", 3),
)
"""Eight, as one sees in an hour of PC, and how many of a hundred markets each has."""
_WORTH_BY_NAME = {base.name: base.worth for base in BASES if base.category in ("currency", "cards")}
_IDLE = 0.25
"""Share of markets in which nothing is traded in an hour."""


@dataclass(frozen=True, slots=True)
class Good:
    """Something that is exchanged."""

    code: str
    """Short code, as prices in notes name it."""
    name: str
    path: str
    """How the game names it, and the exchange since 2026."""


_PATHS = {
    "chaos": ("Chaos Orb", "RerollRare"),
    "divine": ("Divine Orb", "ModValues"),
    "exalted": ("Exalted Orb", "AddModToRare"),
    "mirror": ("Mirror of Kalandra", "Duplicate"),
    "alch": ("Orb of Alchemy", "UpgradeToRare"),
    "alt": ("Orb of Alteration", "RerollMagic"),
    "fusing": ("Orb of Fusing", "RerollSocketLinks"),
    "jewellers": ("Jeweller's Orb", "RerollSocketNumbers"),
    "chrome": ("Chromatic Orb", "RerollSocketColours"),
    "chisel": ("Cartographer's Chisel", "MapQuality"),
    "gcp": ("Gemcutter's Prism", "GemQuality"),
    "regal": ("Regal Orb", "UpgradeMagicToRare"),
    "regret": ("Orb of Regret", "PassiveRefund"),
    "scour": ("Orb of Scouring", "ConvertToNormal"),
    "vaal": ("Vaal Orb", "Corrupt"),
    "ancient-orb": ("Ancient Orb", "RerollUnique"),
    "orb-of-horizons": ("Orb of Horizons", "RerollMapType"),
}
GOODS = tuple(Good(code, name, f"Metadata/Items/Currency/Currency{path}") for code, (name, path) in _PATHS.items())
"""The currencies that price notes name: what the river and the exchange have in common."""


class NotYet(StrEnum):
    """How the exchange says that an hour is not over."""

    NOT_FOUND = "404"
    """A 404 whose body still names the next hour."""
    SAME_ID = "same-id"
    """A 200 with the hour that was asked for, and no markets."""


class CurrencyExchange:
    """The hours of one realm. Not thread-safe: one thread asks."""

    def __init__(
        self,
        seed: int = 1,
        realm: str = "pc",
        *,
        oldest: int,
        markets: int = 200,
        goods: Sequence[Good] = GOODS,
        leagues: Sequence[str] | None = None,
        not_yet: NotYet = NotYet.NOT_FOUND,
        paths_since: int = PATHS_SINCE,
    ) -> None:
        """`oldest` is the first hour that is kept, as a Unix time; `markets` their number in an hour, as far as the
        `goods` go round; an hour of PC has 1,300 to 1,600.
        """
        self.realm = realm
        self.oldest = oldest
        self.not_yet = not_yet
        self.served: Counter[int] = Counter()
        """How often each finished hour was handed out."""
        self._seed = seed
        self._market = Market(seed)
        self._goods = {good.code: good for good in goods}
        self._paths_since = paths_since
        weighted = LEAGUES if leagues is None else tuple((name, 1) for name in leagues)
        total = sum(weight for _, weight in weighted)
        self._pairs = [
            (league, a, b)
            for league, weight in weighted
            for a, b in self._pairs_of(league, max(1, round(markets * weight / total)))
        ]

    def answer(self, hour: int | None, now: float) -> tuple[int, bytes]:
        """Status and body for an hour; without one the oldest that is kept."""
        if hour is None:
            hour = self.oldest
        if hour < self.oldest:
            return 404, _nothing(self.oldest)
        if now < hour + HOUR + PUBLISHED_AFTER:
            return (404, _nothing(hour + HOUR)) if self.not_yet is NotYet.NOT_FOUND else (200, _nothing(hour))
        self.served[hour] += 1
        return 200, self.body(hour)

    def body(self, hour: int) -> bytes:
        """A finished hour as JSON."""
        dice = Random(f"hour {self._seed} {self.realm} {hour}")
        paths = hour >= self._paths_since
        markets = [self._traded(dice, hour, league, a, b, paths=paths) for league, a, b in self._pairs]
        return json.dumps({"next_change_id": hour + HOUR, "markets": markets}, separators=(",", ":")).encode()

    def worth(self, code: str, league: str, hour: int) -> float:
        """Chaos for one, in this hour: within a tenth of what the market holds it to be worth."""
        base = self._worth(code, league)
        phase = zlib.crc32(f"{self._seed} {code} {league}".encode()) % 1000 / 1000
        return base * (1 + 0.08 * math.sin(2 * math.pi * (hour / (168 * HOUR) + phase))) if code != "chaos" else base

    def _worth(self, code: str, league: str) -> float:
        if code in CHAOS_VALUES:
            return self._market.chaos_value(code, league)
        known = _WORTH_BY_NAME.get(self._goods[code].name)
        if known is None:
            known = math.exp(Random(f"worth {self._seed} {code}").uniform(math.log(0.02), math.log(400)))
        return known * self._market.mood(league)

    def _pairs_of(self, league: str, count: int) -> list[tuple[str, str]]:
        """Which currencies are exchanged for which: against chaos first, then against divine, then the rest."""
        dice = Random(f"pairs {self._seed} {self.realm} {league}")
        others = [code for code in self._goods if code not in ("chaos", "divine")]
        common = [code for code in others if code in CHAOS_VALUES]
        rest = [code for code in others if code not in CHAOS_VALUES]
        dice.shuffle(rest)
        others = common + rest
        pairs = [("chaos", "divine"), *(("chaos", code) for code in others), *(("divine", code) for code in others)]
        half = count // 2
        chosen = pairs[: count - half] + pairs[len(others) + 1 :][:half]
        return [(a, b) if dice.random() < 0.5 or a == "chaos" == b else (b, a) for a, b in dict.fromkeys(chosen)]

    def _traded(self, dice: Random, hour: int, league: str, a: str, b: str, *, paths: bool) -> dict[str, object]:
        key_a, key_b = (self._goods[a].path, self._goods[b].path) if paths else (a, b)
        a_for_b = Fraction(self.worth(b, league, hour) / self.worth(a, league, hour)).limit_denominator(60)
        middle = a_for_b or Fraction(1, 60)
        volume = low = high = (0, 0)
        if dice.random() >= _IDLE:
            # Dear things change hands less often, and nothing as much as the two that all others are priced in.
            busy = 200.0 if {a, b} == {"chaos", "divine"} else 1.0
            lots = max(
                1, round(busy * dice.lognormvariate(7, 1.5) / (middle.denominator * self.worth(b, league, hour)))
            )
            volume = middle.numerator * lots, middle.denominator * lots
            lowest, highest = middle * Fraction(97, 100), middle * Fraction(103, 100)
            low, high = (lowest.numerator, lowest.denominator), (highest.numerator, highest.denominator)
        stock = tuple(round(dice.lognormvariate(5, 2)) for _ in range(2))
        most = tuple(count + dice.randrange(1 + count) for count in stock)
        market: dict[str, object] = {"league": league, "market_id": f"{key_a}|{key_b}"}
        if paths:
            market["market_pair"] = [key_a, key_b]
        for name, (of_a, of_b) in (
            ("volume_traded", volume),
            ("lowest_stock", stock),
            ("highest_stock", most),
            ("lowest_ratio", low),
            ("highest_ratio", high),
        ):
            market[name] = {key_a: of_a, key_b: of_b}
        return market


def _nothing(following: int) -> bytes:
    return b'{"next_change_id":%d,"markets":[]}' % following
