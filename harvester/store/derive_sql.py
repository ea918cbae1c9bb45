"""The SQL that turns pages into silver, read from `schema/derive/` and put together once.

The files are the truth and are meant to be read; `${name}` stands for another file or for a list made here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from harvester.store.quoting import quote_text
from harvester.store.schema_files import schema_directory

SILVER_TABLES = ("silver_stashes", "silver_items", "silver_listings", "silver_stash_state", "silver_item_homes")
"""Every table that derivation writes."""
SHADOW_PREFIX = "rebuild_"
"""What the names of the tables begin with in which a rebuild derives silver anew."""
HOMES_KEPT_DAYS = 30
"""Days of page time after an item has left a stash for which it counts when it was first seen there."""


@cache
def derivation(name: str, *, holes: bool = False, shadow: bool = False) -> str:
    """The statement `schema/derive/{name}.sql`, complete. Parameters: `realm` String, `seq` UInt64.

    `holes`: records of the page were set aside as dead letters; the text is derived around them.
    `shadow`: the statement reads and writes the shadow of every silver table.
    """
    text = _Fragments(holes=holes).text(name)
    return in_shadow(text) if shadow else text


def renaming_derivation(name: str, accounts: Mapping[str, str]) -> str:
    """`derivation(name)` with other accounts for stashes outside the page, by stash id.

    They stand in the text: parameters travel in the URL, whose length servers bound.
    """
    stashes, others = (f"[{', '.join(map(quote_text, texts))}]" for texts in (accounts, accounts.values()))
    account = f"transform(stash_id, {stashes}, {others}, account) AS account"
    return _Fragments(holes=False, left_behind_account=account).text(name)


def in_shadow(sql: str) -> str:
    """The statement with every silver table replaced by its shadow."""
    return _SILVER_NAME.sub(rf"{SHADOW_PREFIX}\g<0>", sql)


_SILVER_NAME = re.compile(rf"\b(?:{'|'.join(SILVER_TABLES)})\b")
_FRAGMENT = re.compile(r"\$\{(\w+)\}")
_TEXTS = ("page_text", "currency_hour_text")
"""Fragments that give the text to derive from, each with a twin that leaves holes."""


class _Fragments:
    """Substitutes `${…}` in the files, each file loaded when it is first named."""

    def __init__(self, *, holes: bool, left_behind_account: str = "account") -> None:
        self._holes = holes
        words = currency_words()
        aliases = {word: slug for word, slug in words.items() if word != slug}
        self._made = {
            "homes_kept_days": str(HOMES_KEPT_DAYS),
            "left_behind_account": left_behind_account,
            "words": _sql_list([*aliases, *_NO_CURRENCIES]),
            "slugs": _sql_list([*aliases.values(), *("" for _ in _NO_CURRENCIES)]),
            "number": _in_sql(r"([0-9]*[1-9][0-9]*\.?[0-9]*|[0-9]*\.[0-9]*[1-9][0-9]*)"),
            "word": _in_sql(r"[\pL\pN_-]*\pL[\pL\pN_-]*"),
            "long_names": _alternatives([word for word in words if not re.fullmatch(r"[a-z0-9-]+", word)]),
        }

    def text(self, name: str) -> str:
        text = (schema_directory() / "derive" / f"{name}.sql").read_text("utf-8")
        return _FRAGMENT.sub(lambda found: self[found.group(1)], text)

    def __getitem__(self, name: str) -> str:
        if name in _TEXTS and self._holes:
            return self.text(f"{name}_with_holes")
        return self._made[name] if name in self._made else self.text(name)


_NO_CURRENCIES = ("offer", "offers")


@cache
def currency_words() -> dict[str, str]:
    """Every word by which a note may name a currency, to the slug of the trade site."""
    words: dict[str, str] = {}
    for line in (schema_directory() / "currency_words.tsv").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        slug, _, others = line.partition("\t")
        for word in (slug, *others.split(",")):
            words[word.strip()] = slug
    return words


def _alternatives(names: list[str]) -> str:
    """A pattern for names of more than one word, the longest first, that ends where the name ends."""
    ordered = sorted(names, key=len, reverse=True)
    return _in_sql("(?:" + "|".join(re.escape(name).replace(r"\ ", " ") for name in ordered) + r")\b")


def _in_sql(pattern: str) -> str:
    """A pattern as it stands inside a SQL string."""
    return pattern.replace("\\", "\\\\").replace("'", "\\'")


def _sql_list(values: list[str]) -> str:
    """A constant list, as one text that the engine cuts up: it reads a literal of hundreds of texts slowly."""
    joined = "|".join(values).replace("\\", "\\\\").replace("'", "\\'")
    return f"splitByChar('|', '{joined}')"
