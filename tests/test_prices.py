"""What a note, a forum note or a tab's name says an item costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from harvester.store.derive_sql import currency_words
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from tests.reference_reading import NO_PRICE, Price, price_of
from tests.store_bench import Bench, item, open_bench, page_of, stash

Said = tuple[str | None, str | None, str | None]
"""Note, forum note, name of the tab."""

VALID: dict[str, Price] = {
    "~b/o 5 exa": ("b/o", 5, 1, "exalted"),
    "~price 5 chaos": ("price", 5, 1, "chaos"),
    "~gb/o 12 chaos": ("gb/o", 12, 1, "chaos"),
    "~c/o 4 div": ("c/o", 4, 1, "divine"),
    "~price 1/8500 divine": ("price", 1, 8500, "divine"),
    "~price 22/10 chaos": ("price", 22, 10, "chaos"),
    "~price 10/5000 divine": ("price", 10, 5000, "divine"),
    "~price 1.5/.5 chaos": ("price", 1.5, 0.5, "chaos"),
    "~price .5 exa": ("price", 0.5, 1, "exalted"),
    "~price 050 chaos": ("price", 50, 1, "chaos"),
    "~price 01.323 divine": ("price", 1.323, 1, "divine"),
    "~price 5. chaos": ("price", 5, 1, "chaos"),
    "~price 0.05 chaos": ("price", 0.05, 1, "chaos"),
    "~b/o 661668 divine": ("b/o", 661668, 1, "divine"),
    "~PRICE 5 CHAOS": ("price", 5, 1, "chaos"),
    "~B/O 2 Exalted": ("b/o", 2, 1, "exalted"),
    "  ~price 5 chaos": ("price", 5, 1, "chaos"),
    "~price  5   chaos ": ("price", 5, 1, "chaos"),
    "~price\t5\tchaos": ("price", 5, 1, "chaos"),
    "~price 5 chaos\n": ("price", 5, 1, "chaos"),
    "~price 5 chaos each": ("price", 5, 1, "chaos"),
    "~price 5 chaos, or offer": ("price", 5, 1, "chaos"),
    "~price 5 chaos/ea": ("price", 5, 1, "chaos"),
    "~price 30 chaos (C)": ("price", 30, 1, "chaos"),
    "~b/o 2 chaos | 75+": ("b/o", 2, 1, "chaos"),
    "~price 1 mirror and a smile": ("price", 1, 1, "mirror"),
    "~price 10 chaos offer": ("price", 10, 1, "chaos"),
    "~price 5 Orb of Fusing": ("price", 5, 1, "fusing"),
    "~price 5 Orbs of Fusing": ("price", 5, 1, "fusing"),
    "~price 3 Jeweller's Orbs": ("price", 3, 1, "jewellers"),
    "~price 3 Jeweller’s Orb": ("price", 3, 1, "jewellers"),
    "~price 3 jeweller's": ("price", 3, 1, "jewellers"),
    "~price 1 chaos orbs": ("price", 1, 1, "chaos"),
    "~price 1 Chaos Orb each": ("price", 1, 1, "chaos"),
    "~price 2 exalted shard": ("price", 2, 1, "exalted-shard"),
    "~price 1 Mirror of Kalandra": ("price", 1, 1, "mirror"),
    "~price 4 Cartographer's Chisels": ("price", 4, 1, "chisel"),
    "~price 4 orb-of-horizons": ("price", 4, 1, "orb-of-horizons"),
    "~price 4 Orb of Horizons": ("price", 4, 1, "orb-of-horizons"),
    "~price 3 sacred-grove-lifeforce": ("price", 3, 1, "sacred-grove-lifeforce"),
    "~price 3 Wombgift": ("price", 3, 1, "wombgift"),
    "~price 3 offer-gift": ("price", 3, 1, "offer-gift"),
    "~price 3 хаос": ("price", 3, 1, "хаос"),
    "~skip": ("skip", None, None, None),
    "~skip ": ("skip", None, None, None),
    "~SKIP this one": ("skip", None, None, None),
}
INVALID = (
    "~price  chaos", "~price chaos", "~price", "~price 5", "~price 5 ", "~b/o", "~", "~ price 5 chaos",
    "~price 0 alt", "~price 0.0 alt", "~price .0 alt", "~price 00 alt", "~price 1/0 chaos", "~price 0/5 chaos",
    "~price 5/0.0 chaos", "~price 1/ chaos", "~price /5 chaos", "~price 1 / 5 chaos", "~price 1/2/3 chaos",
    "~b/o 13..1 chaos", "~price 13//1 exa", "~price 1.2.3 chaos", "~price . chaos", "~price 1,5 chaos",
    "~price 1.000,00 chaos", "~price -5 chaos", "~price +5 chaos", "~price 1e5 chaos", "~price 0x10 chaos",
    "~price ５ chaos", "~price inf chaos", "~price nan chaos", "~price five chaos", "~price 5chaos", "~price 5 offer",
    "~price 5 Offers", "~price 5 10", "~price 5 !", "~price5 chaos", "~pricee 5 chaos", "~skipping", "~b/o chaos 5",
    "~sell 5 chaos", "price 5 chaos", "cheap ~price 5 chaos", "make an offer", "5 chaos", "=a~b", "~~price 5 chaos",
)  # fmt: skip
REQUIRED_SLUGS = {
    "exalted": "exa exas exalt exalts exalted",
    "divine": "div divs divine divines",
    "fusing": "fuse fuses fusing fusings",
    "jewellers": "jew jews jeweller jewellers",
    "chrome": "chrom chroms chrome chromes chromatic chromatics",
    "gcp": "gcp gcps gemcutter gemcutters",
    "mirror": "mir mirror mirrors",
    "chisel": "chisel chisels cartographer cartographers",
    "alch": "alch alchs alchemy",
    "alt": "alt alts alteration alterations",
    "chaos": "c chaos",
    "regal": "regal regals",
    "regret": "regret regrets",
    "scour": "scour scours scouring",
    "vaal": "vaal vaals",
    "annul": "annul annulment",
    "aug": "aug augmentation",
    "blessed": "blessed",
    "chance": "chance",
    "transmute": "transmute transmutation tra",
    "wisdom": "wisdom wis",
    "portal": "portal",
    "scrap": "scrap scraps",
    "whetstone": "whetstone whetstones",
    "bauble": "bauble baubles",
    "eternal": "eternal",
    "silver": "silver",
    "engineers": "engineers",
    "ancient-orb": "ancient-orb",
    "harbingers-orb": "harbingers-orb",
    "orb-of-binding": "orb-of-binding",
    "stacked-deck": "stacked-deck",
}


@pytest.fixture
def bench(handle: Handle, engine: Engine, tmp_path: Path) -> Bench:
    return open_bench(handle, engine, tmp_path)


def prices(bench: Bench, said: Sequence[Said]) -> list[Price]:
    """What the store makes of these items, each in a tab of its own; one page for all of them."""
    records = []
    for number, (note, forum_note, tab) in enumerate(said):
        notes = {"note": note, "forum_note": forum_note}
        given_notes = {name: text for name, text in notes.items() if text is not None}
        records.append(stash(f"s{number}", item(f"i{number}", **given_notes), stash=tab))
    bench.commit(page_of(records))
    rows = bench.handle.rows(
        "SELECT item_id, price_kind, price_amount, price_lot, price_currency FROM v_listings_current"
    )
    shown: dict[str, Any] = {row[0]: row[1:] for row in rows}
    return [shown[f"i{number}"] for number in range(len(said))]


def differing(said: Sequence[Any], shown: Sequence[Price], expected: Sequence[Price]) -> list[Any]:
    return [case for case in zip(said, shown, expected, strict=True) if case[1] != case[2]][:10]


def test_what_a_note_says(bench: Bench) -> None:
    texts = [*VALID, *INVALID]
    expected = [VALID.get(text, NO_PRICE) for text in texts]

    shown = prices(bench, [(text, None, None) for text in texts])

    assert differing(texts, shown, expected) == []


def test_every_word_for_a_currency(bench: Bench) -> None:
    words = currency_words()
    texts = [f"~price 7 {word}" for word in words] + [f"~b/o 7 {word.title()} each" for word in words]
    expected: list[Price] = [("price", 7, 1, slug) for slug in words.values()]
    expected += [("b/o", 7, 1, slug) for slug in words.values()]

    shown = prices(bench, [(text, None, None) for text in texts])

    assert differing(texts, shown, expected) == []
    missing = [
        (word, slug) for slug, known in REQUIRED_SLUGS.items() for word in known.split() if words.get(word) != slug
    ]
    assert missing == []


def test_each_word_names_one_currency() -> None:
    lines = (Path(__file__).parents[1] / "schema" / "currency_words.tsv").read_text("utf-8").splitlines()[1:]
    words = [
        word.strip()
        for line in lines
        for word in (line.split("\t")[0], *line.split("\t")[1].split(","))
        if word.strip()
    ]

    assert sorted(words) == sorted(set(words))
    assert all(word == word.lower() for word in words)


WHICH_TEXT_COUNTS: dict[Said, Price] = {
    ("~price 1 chaos", "~b/o 2 exa", "~b/o 3 div"): ("price", 1, 1, "chaos"),
    ("", "~b/o 2 exa", "~b/o 3 div"): ("b/o", 2, 1, "exalted"),
    (None, "~b/o 2 exa", "~b/o 3 div"): ("b/o", 2, 1, "exalted"),
    (None, None, "~b/o 3 div"): ("b/o", 3, 1, "divine"),
    (None, "", "~b/o 3 div"): ("b/o", 3, 1, "divine"),
    (None, "you can find me in game", "~b/o 3 div"): ("b/o", 3, 1, "divine"),
    (None, "~", "~b/o 3 div"): NO_PRICE,
    (None, "~price 0 chaos", "~b/o 3 div"): NO_PRICE,
    (None, "~price 3/7 chaos", "~b/o 3 div"): ("price", 3, 7, "chaos"),
    ("not for sale", None, "~b/o 3 div"): NO_PRICE,
    ("not for sale", "~b/o 2 exa", "~b/o 3 div"): NO_PRICE,
    ("~price 0 alt", "~b/o 2 exa", "~b/o 3 div"): NO_PRICE,
    ("~skip ", "~b/o 2 exa", "~b/o 3 div"): ("skip", None, None, None),
    (None, "~skip ", "~b/o 3 div"): ("skip", None, None, None),
    (None, None, "~skip "): ("skip", None, None, None),
    (None, None, "~price 22/10 chaos"): NO_PRICE,
    (None, None, "~price 22/1 chaos"): NO_PRICE,
    (None, None, "~price 30 chaos (C)"): ("price", 30, 1, "chaos"),
    (None, None, "~b/o 2 chaos | 75+"): ("b/o", 2, 1, "chaos"),
    (None, None, "~b/o 1 fuse"): ("b/o", 1, 1, "fusing"),
    (None, None, "cheap ~price 5 chaos"): NO_PRICE,
    (None, None, ""): NO_PRICE,
    (None, None, None): NO_PRICE,
    (None, None, "Dump"): NO_PRICE,
    ("~price 22/10 chaos", None, "~price 1/5 divine"): ("price", 22, 10, "chaos"),
}


def test_which_text_counts(bench: Bench) -> None:
    shown = prices(bench, list(WHICH_TEXT_COUNTS))

    assert differing(list(WHICH_TEXT_COUNTS), shown, list(WHICH_TEXT_COUNTS.values())) == []


def some_text(rng: Random) -> str | None:
    if rng.random() < 0.25:
        return rng.choice((None, "", "sell", "~", "~skip ", "no ~price 3 chaos"))
    digits = "0123456789" * 3 + "../"
    amount = rng.choice(("5", "1.5", "22/10", "".join(rng.choices(digits, k=rng.randrange(1, 6)))))
    parts = (
        rng.choice(("", "", "", " ", "\t")),
        rng.choice(("~", "~", "~", "~", "", "~~")),
        rng.choice(("price", "b/o", "gb/o", "c/o", "Price", "skip", "bo", "")),
        rng.choice((" ", " ", " ", "  ", "", "\n")),
        amount,
        rng.choice((" ", " ", " ", "  ", "", "\t")),
        rng.choice(("chaos", "div", "exa", "Alteration", "jeweller's orbs", "Orb of Fusing", "gemcutter's prism",
                    "offer", "offers", "offer-gift", "whatever-orb", "10", "", "c", "7up", "’", "mirrors", "ÄÖ")),
        rng.choice(("", "", "", " ", ".", ",", "!", " (C)", " | 75+", ")", " each", "\n", "/ea")),
    )  # fmt: skip
    return "".join(parts)


@settings(max_examples=2, phases=[Phase.generate])  # nothing to shrink: the differences are shown
@given(seed=st.integers(0, 2**32))
def test_any_text_reads_as_the_rules_say(bench: Bench, seed: int) -> None:
    rng = Random(seed)
    said = [
        (some_text(rng) if rng.random() < 0.7 else None, some_text(rng) if rng.random() < 0.3 else None, some_text(rng))
        for _ in range(3000)
    ]
    expected = [price_of({"note": note, "forum_note": forum}, tab or "") for note, forum, tab in said]
    assert sum(price[0] not in (None, "skip") for price in expected) > 300

    shown = prices(bench, said)

    assert differing(said, shown, expected) == []
