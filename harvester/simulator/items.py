"""Items: a stock of encoded bodies in the shapes of three ages, and the item that fills a body in.

Encoding a thousand items anew for each page would be too slow: a `Template` is encoded once, and an `Item` is
written by joining its pieces with what is the item's own (id, league, note, stack, place).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from random import Random
from typing import Any, NamedTuple

import msgspec

from harvester.simulator.goods import BASES, LINES, Base

encode = msgspec.json.Encoder().encode


class Age(IntEnum):
    """Which shape an item has; all of them are found in stored histories."""

    OLD = 0
    """2018: no `baseType`, `category` as text or object, marks before names, mods as text, `frameType`."""
    MIDDLE = 1
    """2022: `baseType`, `extended.category`, mods as text, `frameType`, no `rarity`."""
    NEW = 2
    """2026: mods as objects, `rarity`, `frameTypeId`, mostly without `frameType`."""


class Item(NamedTuple):
    """One thing in a stash. What is not here is the template's."""

    number: int
    """Makes the id; unique in a river. Negative: the item has no id."""
    template: int
    stack: int
    place: int
    """Cell of the tab; `x` is `place // 12`, which passes 255 in stacked tabs."""
    note: bytes = b""
    """Encoded JSON text, or nothing."""
    forum_note: bytes = b""


@dataclass(frozen=True, slots=True)
class Template:
    """An encoded body with gaps."""

    worth: float
    """Chaos for one."""
    max_stack: int
    """0: does not stack."""
    head: bytes
    middle: bytes
    tail: bytes
    end: bytes


def item_id(seed: int, number: int) -> bytes:
    """The 64 hex digits of an item: always the same for the same number."""
    return hashlib.blake2b(b"%d item %d" % (seed, number), digest_size=32).hexdigest().encode()


def write_item(seed: int, item: Item, template: Template, league: bytes, tab: int) -> bytes:
    """The item as it stands in a page. `league` is encoded JSON."""
    parts = [template.head]
    if template.max_stack:
        parts.append(b',"stackSize":%d,"maxStackSize":%d' % (item.stack, template.max_stack))
    parts += (b',"league":', league)
    if item.number >= 0:
        parts += (b',"id":"', item_id(seed, item.number), b'"')
    parts.append(template.middle)
    if item.note:
        parts += (b',"note":', item.note)
    if item.forum_note:
        parts += (b',"forum_note":', item.forum_note)
    parts.append(template.tail)
    parts.append(b',"x":%d,"y":%d,"inventoryId":"Stash%d"' % (item.place // 12, item.place % 12, tab))
    parts.append(template.end)
    return b"".join(parts)


@lru_cache(maxsize=8)
def stock(seed: int, per_base: int = 9) -> tuple[tuple[Template, ...], ...]:
    """The templates of each `Age`, the same for the same seed."""
    rng = Random(f"stock {seed}")
    return tuple(tuple(_template(rng, base, age) for base in BASES for _ in range(per_base)) for age in Age)


def _template(rng: Random, base: Base, age: Age) -> Template:
    head: dict[str, Any] = {"verified": False, "w": base.w, "h": base.h}
    icon = _icon(rng, base, age)
    if age is Age.OLD:
        head |= {"ilvl": base.ilvl and rng.randrange(60, 87), "icon": icon}
    else:
        head |= {"icon": icon}
    if base.kind == "gem":
        head["support"] = base.name.endswith("Support")
    middle = _identity(rng, base, age)
    tail = _body(rng, base, age)
    end = {"socketedItems": _socketed(rng)} if "sockets" in middle else {}
    return Template(
        worth=base.worth * rng.lognormvariate(0.0, 0.8 if base.rarity else 0.1),
        max_stack=base.max_stack,
        head=encode(head)[:-1],
        middle=b"," + encode(middle)[1:-1],
        tail=b"," + encode(tail)[1:-1],
        end=(b"," + encode(end)[1:]) if end else b"}",
    )


def _icon(rng: Random, base: Base, age: Age) -> str:
    art = base.name.replace(" ", "").replace("'", "")
    if age is Age.OLD:
        return (
            f"http://web.poecdn.com/image/Art/2DItems/{base.category.title()}/{art}.png"
            f"?scale=1&scaleIndex=0&w={base.w}&h={base.h}&v={rng.randbytes(16).hex()}3"
        )
    token = encode([25, 14, {"f": f"2DItems/{base.category.title()}/{art}", "w": base.w, "h": base.h, "scale": 1}])
    return f"https://web.poecdn.com/gen/image/{token.hex()}/{rng.randbytes(5).hex()}/{art}.png"


def _identity(rng: Random, base: Base, age: Age) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if age is Age.NEW and base.rarity and rng.random() < 0.1:
        fields["influences"] = {rng.choice(("shaper", "elder", "crusader", "hunter")): True}
    if base.kind == "gear":
        groups = rng.choice(((0,), (0, 0), (0, 0, 1), (0, 0, 0, 0), (0, 0, 0, 0, 0, 0)))
        colours = {"S": "R", "D": "G", "I": "B", "G": "W"}
        fields["sockets"] = [
            {"group": group, "attr": attr, "sColour": colours[attr]}
            for group, attr in ((group, rng.choice("SSDDIIG")) for group in groups)
        ]
    name = base.unique if base.rarity == "Unique" else (_rare_name(rng) if base.rarity == "Rare" else "")
    if age is Age.OLD and name:
        name = "<<set:MS>><<set:M>><<set:S>>" + name
    prefix = "Superior " if base.kind == "gear" and not base.rarity and rng.random() < 0.3 else ""
    if age is Age.OLD and prefix:
        prefix = "<<set:MS>><<set:M>><<set:S>>" + prefix
    fields |= {"name": name, "typeLine": prefix + base.name}
    if age is not Age.OLD:
        fields["baseType"] = base.name
    if age is Age.NEW and base.frame <= 3:
        fields["rarity"] = base.rarity or "Normal"
    if age is not Age.OLD:
        fields["ilvl"] = base.ilvl and rng.randrange(60, 87)
    fields["identified"] = base.kind != "gear" or rng.random() > 0.05
    if rng.random() < 0.15:
        fields["corrupted"] = True
    if base.rarity and rng.random() < 0.02:
        fields[rng.choice(("duplicated", "split", "fractured", "synthesised"))] = True
    return fields


def _body(rng: Random, base: Base, age: Age) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if base.properties:
        fields["properties"] = [
            {"name": name, "values": [[_roll(rng, text), 0]] if text else [], "displayMode": 0, "type": kind}
            for name, text, kind in base.properties
        ]
    if base.ilvl:
        needs = (
            ("Level", rng.randrange(30, 72), 62),
            (rng.choice(("Str", "Dex", "Int")), rng.randrange(40, 213), 63),
        )
        fields["requirements"] = [
            {"name": name, "values": [[str(value), 0]], "displayMode": 0, "type": kind} for name, value, kind in needs
        ]
    if base.rarity:
        fields["implicitMods"] = _mods(rng, age, 1)
        fields["explicitMods"] = _mods(rng, age, 2 if base.rarity == "Magic" else rng.randrange(4, 7))
        if age is not Age.NEW and rng.random() < 0.1:
            fields["craftedMods"] = _mods(rng, age, 1)
        if rng.random() < 0.04:
            fields["enchantMods"] = [_roll(rng, rng.choice(LINES))]
    if base.text:
        fields["descrText"] = base.text
    if base.rarity == "Unique":
        fields["flavourText"] = ["What the river takes, \r", "the river tells."]
    if age is not Age.NEW or rng.random() < 0.1:
        fields["frameType"] = base.frame
    if age is Age.NEW:
        fields["frameTypeId"] = base.frame_id
        extended: dict[str, Any] = {"category": base.category}
        if base.rarity in ("Magic", "Rare"):
            extended = {"prefixes": rng.randrange(4), "suffixes": rng.randrange(4)}
        fields["extended"] = extended
        if rng.random() < 0.02:
            fields["newFieldOfThePatch"] = {"nobody": ["knows", None, 1.5]}
    elif age is Age.MIDDLE:
        fields["extended"] = {"category": base.category, "subcategories": [base.subcategory]}
    else:
        fields["category"] = {base.category: [base.subcategory]} if base.subcategory else base.category
    return fields


def _mods(rng: Random, age: Age, count: int) -> list[Any]:
    lines = [_roll(rng, line) for line in rng.sample(LINES, count)]
    if age is not Age.NEW:
        return lines
    return [
        {"description": line, "flags": {rng.choice(("crafted", "fractured")): True}}
        if rng.random() < 0.12
        else {"description": line}
        for line in lines
    ]


def _socketed(rng: Random) -> list[Any]:
    if rng.random() > 0.05:
        return []
    gem = {
        "verified": False,
        "w": 1,
        "h": 1,
        "id": rng.randbytes(32).hex(),
        "name": "",
        "typeLine": "Arc",
        "socket": 0,
    }
    return [gem | {"identified": True, "note": "~price 999 divine", "frameType": 4, "ilvl": 0}]


def _roll(rng: Random, line: str) -> str:
    while "#" in line:
        line = line.replace("#", str(rng.randrange(3, 120)), 1)
    return line


def _rare_name(rng: Random) -> str:
    first = ("Doom", "Gale", "Rune", "Kraken", "Hypnotic", "Ölbrand", "Morbid", "Dragon")
    second = ("Bane", "Coil", "Shroud", "Whorl", "Grasp", "Knell", "Pelt", "Song")
    return f"{rng.choice(first)} {rng.choice(second)}"
