"""Price notes as players write them, and the hidden prices behind them.

`Market` knows what everything is worth; sellers ask for about that. The words they use follow the game's
grammar most of the time and break it in every way that was seen.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from random import Random

CHAOS_VALUES = {
    "chaos": 1.0,
    "divine": 180.0,
    "exalted": 14.0,
    "mirror": 90_000.0,
    "alch": 0.2,
    "alt": 0.1,
    "fusing": 0.3,
    "jewellers": 0.08,
    "chrome": 0.12,
    "chisel": 0.4,
    "gcp": 0.9,
    "regal": 0.4,
    "regret": 0.9,
    "scour": 0.4,
    "vaal": 0.9,
    "ancient-orb": 9.0,
    "orb-of-horizons": 0.3,
}
"""What one of each currency is worth in chaos, before a league's own mood."""

_WORDS = {
    "chaos": ("chaos", "chaos", "chaos", "c"),
    "divine": ("divine", "divine", "div", "divines"),
    "exalted": ("exalted", "exa", "exalt"),
    "mirror": ("mirror", "mir"),
    "alch": ("alch", "alchemy"),
    "alt": ("alt", "alts", "alteration"),
    "fusing": ("fuse", "fusing", "fusings"),
    "jewellers": ("jew", "jeweller", "jewellers"),
    "chrome": ("chrome", "chrom", "chromatic"),
    "chisel": ("chisel", "cartographer", "chisels"),
    "gcp": ("gcp", "gemcutter"),
    "regal": ("regal",),
    "regret": ("regret", "regrets"),
    "scour": ("scour",),
    "vaal": ("vaal",),
    "ancient-orb": ("ancient-orb",),
    "orb-of-horizons": ("orb-of-horizons",),
}

_SMALL_CHANGE = (
    "alch",
    "alt",
    "fusing",
    "jewellers",
    "chrome",
    "chisel",
    "gcp",
    "regal",
    "regret",
    "scour",
    "vaal",
)

_ODD_NOTES = (
    "~price  chaos",
    "~price 1/0 chaos",
    "~b/o 13..1 chaos",
    "~price 13//1 exa",
    "~price 10/5000 divine",
    "~price 0 alt",
    "~b/o 0 chaos",
    "~price 5 offer",
    "~b/o .5 exa",
    "~price 050 chaos",
    "~price 01.323 divine",
    "~price 1.5 exalted",
    "~gb/o 12 chaos",
    "~c/o 4 div",
    "~price 22/10 chaos",
    "~price 1/190 divine",
    "~price 3 sacred-grove-lifeforce",
    "~price 2 Chaos",
    "~b/o 661668 divine",
    "~price 1 mirror and a smile",
    "~b/o",
    "~price",
    "~price 5",
    "~b/o chaos 5",
    "~price -5 chaos",
    "make an offer",
    "not for sale, thanks",
    "цена договорная",
)

_PLAIN_TABS = (
    "1",
    "$",
    "sell",
    "Dump",
    "Maps",
    "DIV CARDS",
    "Торговля",
    "판매",
    "出售",
    "Verkäufe",
    "qqq",
    "♥ trade ♥",
    "~",
)
_ODD_TABS = (
    "~price 30 chaos (C)",
    "~b/o 2 chaos | 75+",
    "~b/o 1 fuse",
    "~price 0 alt",
    "~price 22/10 chaos",
    "~price 1/5 divine bulk",
    "~gb/o 3 exa",
    "~skip ",
    "~b/o 5 chaos  rings",
    "~price  chaos",
    "cheap ~price 5 chaos",
)
_HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;owned\x07title",
    "[bold red]markup[/bold red]",
    "[link=https://example.org]click[/link]",
    "\u202eevil\u202c",
    "a\u0000b",
    "'; DROP TABLE silver_items; --",
    '{{ seven }} ${HOME} %s \\ "quoted"',
    "zero\u200bwidth\ufeff",
)


@dataclass(frozen=True, slots=True)
class Market:
    """The hidden prices: what things are worth in a league. Whatever shows prices asks here."""

    seed: int

    def mood(self, league: str) -> float:
        """How dear currency is in a league against the base values: 0.6 to 1.6."""
        return 0.6 + (zlib.crc32(f"{self.seed}:{league}".encode()) % 1000) / 1000

    def chaos_value(self, slug: str, league: str) -> float:
        """Worth of one `slug` in chaos."""
        base = CHAOS_VALUES[slug]
        return base if slug == "chaos" else base * self.mood(league)

    def asking(self, rng: Random, worth: float, league: str) -> tuple[int | float, str]:
        """An amount and a currency slug that a seller of something worth `worth` chaos would write."""
        wanted = worth * rng.uniform(0.8, 1.3)
        divine = self.chaos_value("divine", league)
        if wanted >= divine and rng.random() < 0.8:
            return _round(wanted / divine, rng), "divine"
        if wanted < 1.0 or rng.random() < 0.05:
            slug = rng.choice(_SMALL_CHANGE)
            return max(1, round(wanted / self.chaos_value(slug, league))), slug
        if rng.random() < 0.03:
            slug = rng.choice(("exalted", "mirror", "ancient-orb", "orb-of-horizons"))
            return max(1, round(wanted / self.chaos_value(slug, league))), slug
        return _round(wanted, rng), "chaos"


def _round(amount: float, rng: Random) -> int | float:
    if amount < 10 and rng.random() < 0.15:
        return max(0.1, round(amount, 1))
    return max(1, round(amount))


def item_note(rng: Random, market: Market, worth: float, league: str, *, stack: int, oddities: float) -> str:
    """A note for one item; about one in twenty is odd at `oddities` 1."""
    if rng.random() < 0.05 * oddities:
        return rng.choice(_ODD_NOTES)
    if rng.random() < 0.004:
        return "~skip "
    if stack > 1 and rng.random() < 0.25:
        lot = rng.choice((2, 5, 10, 20, 100, stack))
        amount, slug = market.asking(rng, worth * lot, league)
        return f"~price {max(1, round(amount))}/{lot} {rng.choice(_WORDS[slug])}"
    amount, slug = market.asking(rng, worth, league)
    kind = "b/o" if rng.random() < 0.35 else "price"
    return f"~{kind} {amount} {rng.choice(_WORDS[slug])}"


def forum_note(rng: Random, market: Market, worth: float, league: str) -> str:
    """A forum note: a price, or just words."""
    if rng.random() < 0.3:
        return "you can find me in game"
    amount, slug = market.asking(rng, worth, league)
    return f"~b/o {amount} {rng.choice(_WORDS[slug])}"


def tab_name(rng: Random, market: Market, league: str, oddities: float) -> str | None:
    """The name of a tab: words, a number, a price for all that is in it, nothing, or trouble."""
    luck = rng.random()
    if luck < 0.25:
        amount, slug = market.asking(rng, rng.choice((1.0, 2.0, 5.0, 10.0, 400.0)), league)
        return f"~{rng.choice(('price', 'b/o'))} {amount} {rng.choice(_WORDS[slug])}"
    if luck < 0.25 + 0.06 * oddities:
        return rng.choice(_ODD_TABS)
    if luck < 0.25 + 0.07 * oddities:
        return rng.choice(_HOSTILE)
    if luck < 0.36:
        return ""
    return rng.choice(_PLAIN_TABS) if rng.random() < 0.5 else str(rng.randrange(1, 60))


def hostile_text(rng: Random) -> str:
    """Text that harms whoever shows or stores it without care: escapes, markup, bidi controls, quotes."""
    return rng.choice(_HOSTILE)
