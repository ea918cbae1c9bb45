"""What is traded: a small catalogue of bases with the shape their items have."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Base:
    """A kind of item. `rarity` is empty where the game gives none (currency, gems, cards) and for plain."""

    name: str
    kind: str
    category: str
    worth: float
    """Chaos for one, in the middle."""
    frame: int
    """`frameType`: 0 normal, 1 magic, 2 rare, 3 unique, 4 gem, 5 currency, 6 card."""
    frame_id: str
    subcategory: str = ""
    rarity: str = ""
    unique: str = ""
    w: int = 1
    h: int = 1
    ilvl: int = 0
    """0: no item level; else it is rolled."""
    max_stack: int = 0
    text: str = ""
    properties: tuple[tuple[str, str, int], ...] = ()
    """Name, value with `#` for a roll, type."""


def _currency(name: str, worth: float, max_stack: int) -> Base:
    text = "Right click this item then left click another one to use it. Shift click to unstack."
    size = (("Stack Size", f"#/{max_stack}", 32),)
    return Base(name, "currency", "currency", worth, 5, "Currency", max_stack=max_stack, text=text, properties=size)


def _card(name: str, worth: float, max_stack: int) -> Base:
    size = (("Stack Size", f"#/{max_stack}", 32),)
    return Base(name, "card", "cards", worth, 6, "DivinationCard", max_stack=max_stack, properties=size)


def _gem(name: str, worth: float) -> Base:
    text = "Place into an item socket of the right colour to gain this skill. Right click to remove it."
    properties = (
        ("Spell, AoE, Physical", "", 0),
        ("Level", "#", 5),
        ("Mana Cost", "#", 0),
        ("Quality", "+#%", 6),
    )
    return Base(name, "gem", "gems", worth, 4, "Gem", text=text, properties=properties)


_FRAMES = {"": (0, "Normal"), "Magic": (1, "Magic"), "Rare": (2, "Rare"), "Unique": (3, "Unique")}
_ARMOUR = (("Quality", "+#%", 6), ("Armour", "#", 16), ("Energy Shield", "#", 18))
_WEAPON = (("Bow", "", 0), ("Physical Damage", "#-#", 9), ("Critical Strike Chance", "6.#%", 12))
_FLASK = (("Lasts # Seconds", "", 30), ("Consumes # of # Charges on use", "", 30))


def _gear(kind: str, name: str, worth: float, rarity: str, unique: str = "", *, size: tuple[int, int] = (1, 1)) -> Base:
    category, _, sub = kind.partition("/")
    frame, frame_id = _FRAMES[rarity]
    properties = {"weapons": _WEAPON, "armour": _ARMOUR, "flasks": _FLASK}.get(category, ())
    return Base(
        name,
        "gear" if category in ("weapons", "armour") else "trinket",
        category,
        worth,
        frame,
        frame_id,
        sub,
        rarity,
        unique,
        *size,
        ilvl=1,
        properties=properties,
    )


BASES = (
    _currency("Chaos Orb", 1.0, 20),
    _currency("Divine Orb", 180.0, 20),
    _currency("Exalted Orb", 14.0, 20),
    _currency("Orb of Alchemy", 0.2, 20),
    _currency("Orb of Fusing", 0.3, 20),
    _currency("Vivid Crystallised Lifeforce", 0.02, 50_000),
    _currency("Mirror Shard", 4_500.0, 20),
    _card("The Wretched", 0.7, 6),
    _card("Rain of Chaos", 0.2, 8),
    _card("House of Mirrors", 9_000.0, 9),
    _gem("Leap Slam", 1.0),
    _gem("Vaal Reave", 2.0),
    _gem("Awakened Multistrike Support", 700.0),
    _gear("armour/chest", "Vaal Regalia", 8.0, "Rare", size=(2, 3)),
    _gear("armour/helmet", "Nightmare Bascinet", 2.0, "Unique", "Devoto's Devotion", size=(2, 2)),
    _gear("armour/gloves", "Titan Gauntlets", 3.0, "Rare", size=(2, 2)),
    _gear("armour/chest", "Simple Robe", 20.0, "Unique", "Tabula Rasa", size=(2, 3)),
    _gear("armour/chest", "Astral Plate", 0.5, "", size=(2, 3)),
    _gear("weapons/bow", "Spine Bow", 6.0, "Rare", size=(2, 4)),
    _gear("weapons/bow", "Imperial Bow", 30.0, "Unique", "Windripper", size=(2, 4)),
    _gear("accessories/ring", "Amethyst Ring", 2.0, "Unique", "Ming's Heart"),
    _gear("accessories/ring", "Vermillion Ring", 12.0, "Rare"),
    _gear("accessories/amulet", "Onyx Amulet", 5.0, "Rare"),
    _gear("accessories/belt", "Heavy Belt", 350.0, "Unique", "Mageblood", size=(2, 1)),
    _gear("jewels", "Crimson Jewel", 4.0, "Rare"),
    _gear("jewels", "Cobalt Jewel", 1.0, "Magic"),
    _gear("jewels", "Large Cluster Jewel", 40.0, "Rare"),
    _gear("flasks", "Quicksilver Flask", 1.0, "Magic", size=(1, 2)),
    _gear("maps", "Burial Chambers Map", 3.0, "Rare"),
)

LINES = (
    "+# to maximum Life",
    "+# to maximum Mana",
    "+#% to Fire Resistance",
    "+#% to Cold Resistance",
    "+#% to Lightning Resistance",
    "+#% to Chaos Resistance",
    "+# to Strength",
    "+# to all Attributes",
    "#% increased Physical Damage",
    "#% increased Attack Speed",
    "Adds # to # Physical Damage to Attacks",
    "Adds # to # Cold Damage to Spells",
    "+#% to Global Critical Strike Multiplier",
    "#% increased Movement Speed",
    "#% increased Rarity of Items found",
    "Regenerate # Life per second",
    "0.#% of Physical Attack Damage Leeched as Mana",
    "#% increased Energy Shield",
    "Gain # Life per Enemy Killed",
    "+# to Level of all Lightning Skill Gems",
    "#% chance to Trigger Level # Summon Spectral Wolf on Kill\nCannot be used with Chaos Inoculation",
)
