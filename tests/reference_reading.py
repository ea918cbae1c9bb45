"""An independent reading of stash pages: what the present-state views must show, in plain Python.

It shares nothing with the product: the JSON module reads the page, the rules below
are the written ones. Tests hold the engine's answer against it, on the simulator's pages and on real ones.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]
Price = tuple[str | None, float | None, float | None, str | None]
ListingKey = tuple[str, str]
"""Stash id, and item id; for an item without id its place in the stash, beginning with `~`."""

NO_PRICE: Price = (None, None, None, None)

_SLUGS = {
    "alch": "alchs alchemy",
    "alt": "alts alteration alterations",
    "chaos": "c",
    "chisel": "chisels cartographer cartographers",
    "chrome": "chromes chrom chroms chromatic chromatics",
    "divine": "div divs divines",
    "exalted": "exa exas exalt exalts",
    "fusing": "fuse fuses fusings",
    "gcp": "gcps gemcutter gemcutters",
    "jewellers": "jew jews jeweller",
    "mirror": "mir mirs mirrors",
    "regal": "regals",
    "regret": "regrets",
    "scour": "scours scouring",
    "vaal": "vaals",
}
_SLUG_OF = {word: slug for slug, words in _SLUGS.items() for word in (slug, *words.split())}

_FRAMES = (
    "Normal",
    "Magic",
    "Rare",
    "Unique",
    "Gem",
    "Currency",
    "DivinationCard",
    "Quest",
    "Prophecy",
    "Foil",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The present state after some pages."""

    stashes: dict[str, Row]
    """`v_stashes_current` by stash id, without `realm`."""
    listings: dict[ListingKey, Row]
    """`v_listings_current`, without `realm`; `item_id` is None where the API gives none."""


def read_pages(pages: Iterable[tuple[Any, bytes]]) -> Reading:
    """What stands after pages of one realm, given as (fetch time, body) in the order of the stream.

    Records that are none (no id, `public` no boolean, `items` no list) are left out, as dead letters are.
    """
    stashes: dict[str, Row] = {}
    listings: dict[str, dict[str, Row]] = {}
    home: dict[str, str] = {}
    first_seen: dict[ListingKey, Any] = {}
    for fetched_at, body in pages:
        sighted: list[ListingKey] = []
        for record in _records_that_count(json.loads(body)):
            stash_id = record["id"]
            for gone in listings.pop(stash_id, {}):
                home.pop(gone, None)
            stashes.pop(stash_id, None)
            if not record["public"]:
                continue
            stashes[stash_id] = _stash_row(record, fetched_at)
            listed: dict[str, Row] = {}
            for position, item in enumerate(record["items"]):
                key = _text(item, "id") or _place(item, position)
                if (stash_id, key) not in first_seen:
                    sighted.append((stash_id, key))
                seen = first_seen.setdefault((stash_id, key), fetched_at)
                listed[key] = _listing_row(record, item, seen, fetched_at)
                if _text(item, "id"):
                    former = home.get(key)
                    if former not in (None, stash_id):
                        listings[former].pop(key, None)
                    home[key] = stash_id
            listings[stash_id] = listed
        for stash_id, key in sighted:  # what a later sighting of the same page overrules was none
            if key not in listings.get(stash_id, ()):
                del first_seen[stash_id, key]
    return Reading(stashes, {(stash_id, key): row for stash_id, rows in listings.items() for key, row in rows.items()})


def _records_that_count(page: Any) -> list[Row]:
    """Of a stash that stands twice in a page only the later record counts."""
    latest: dict[str, Row] = {}
    for record in page["stashes"]:
        readable = (
            isinstance(record, dict)
            and isinstance(record.get("id"), str)
            and record["id"]
            and isinstance(record.get("public"), bool)
            and (record["public"] is False or _items_are_objects(record))
        )
        if readable:
            latest.pop(record["id"], None)  # the later place in the page counts too
            latest[record["id"]] = record
    return list(latest.values())


def _items_are_objects(record: Row) -> bool:
    items = record.get("items")
    return isinstance(items, list) and all(isinstance(item, dict) for item in items)


def _stash_row(record: Row, fetched_at: Any) -> Row:
    return {
        "stash_id": record["id"],
        "league": _text(record, "league"),
        "account": _text(record, "accountName"),
        "stash_name": _text(record, "stash"),
        "stash_type": _text(record, "stashType"),
        "item_count": len(record["items"]),
        "last_seen": fetched_at,
    }


def _listing_row(record: Row, item: Row, first_seen: Any, last_seen: Any) -> Row:
    kind, amount, lot, currency = price_of(item, _text(record, "stash"))
    return {
        "league": _text(record, "league") or _text(item, "league"),
        "stash_id": record["id"],
        "item_id": _text(item, "id") or None,
        "name": _unmarked(_text(item, "name")),
        "type_line": _unmarked(_text(item, "typeLine")),
        "base_type": _unmarked(_text(item, "baseType")),
        "rarity": _rarity(item),
        "ilvl": item.get("ilvl") or 0,
        "stack_size": item.get("stackSize") or 0,
        "corrupted": item.get("corrupted") is True,
        "note": _text(item, "note"),
        "price_kind": kind,
        "price_amount": amount,
        "price_lot": lot,
        "price_currency": currency,
        "account": _text(record, "accountName"),
        "first_seen": first_seen,
        "last_seen": last_seen,
    }


def price_of(item: Row, tab_name: str) -> Price:
    """The price of an item: of its note, else of a forum note that begins with `~`, else of the tab's name.

    What is present but says no valid price does not fall back.
    """
    note, forum = _text(item, "note"), _text(item, "forum_note")
    if note:
        return read_price(note)
    if forum.lstrip().startswith("~"):
        return read_price(forum)
    kind, amount, lot, currency = read_price(tab_name)
    return NO_PRICE if kind != "skip" and "/" in _amount_text(tab_name) else (kind, amount, lot, currency)


def read_price(text: str) -> Price:
    """Kind, amount, lot and currency slug of a note; all None where it says no valid price."""
    words = text.split()
    if not words:
        return NO_PRICE
    kind = words[0].lower()
    if kind == "~skip":
        return "skip", None, None, None
    if kind not in ("~price", "~b/o", "~gb/o", "~c/o") or len(words) < 3:
        return NO_PRICE
    amount_text, slash, lot_text = words[1].partition("/")
    amount, lot = _positive(amount_text), _positive(lot_text) if slash else 1.0
    currency = _currency(" ".join(words[2:]))
    if amount is None or lot is None or currency is None:
        return NO_PRICE
    return kind[1:], amount, lot, currency


def _amount_text(text: str) -> str:
    words = text.split()
    return words[1] if len(words) > 1 else ""


def _positive(text: str) -> float | None:
    if not re.fullmatch(r"[0-9]+\.?[0-9]*|\.[0-9]+", text):
        return None
    return float(text) or None


def _currency(text: str) -> str | None:
    """The slug of the first word; long names are known by their telling word."""
    telling = re.sub(r"^(orbs?|scrolls?) of ", "", text.lower().replace("’", "'"))
    found = re.match(r"[\w-]+", telling)
    if found is None or not any(letter.isalpha() for letter in found[0]):
        return None
    word = found[0]
    return None if word in ("offer", "offers") else _SLUG_OF.get(word, word)


def _place(item: Row, position: int) -> str:
    """Where an item without id lies."""
    if "x" not in item and "y" not in item:
        return f"~{position}"
    return f"~{item.get('inventoryId')} {item.get('x')} {item.get('y')}"


def _rarity(item: Row) -> str:
    said = _text(item, "rarity") or _text(item, "frameTypeId")
    if said:
        return said
    frame = item.get("frameType")
    if not isinstance(frame, int) or not 0 <= frame <= 10:
        return ""
    return _FRAMES[min(frame, 9)]


def _text(fields: Row, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _unmarked(name: str) -> str:
    return re.sub(r"<<set:[^>]*>>", "", name)
