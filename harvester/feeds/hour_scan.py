"""The door of the currency exchange: reads an hour just far enough to know that it is one, and which markets are good.

An hour is an object with an unsigned `next_change_id` and an array `markets`. A market that cannot be read does not
condemn the hour: it is marked, and set aside when the hour is stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated

import msgspec

from harvester.feeds.page_scan import NotAPage

HIGHEST = 2**64
"""Numbers of a market are below it, and sums are taken modulo it, as the engine takes them."""

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Counts = dict[str, _Count]


@dataclass(frozen=True, slots=True)
class Market:
    """One market and where it lies in the body."""

    position: int
    """Index in `markets`, from 0."""
    offset: int
    """First byte in the body."""
    length: int
    league: str = ""
    pair: tuple[str, str] = ("", "")
    number_sum: int = 0
    """Of every number it holds, modulo `HIGHEST`: what the engine must read too."""
    problem: str = ""
    """Why the market must be set aside; empty for a good one."""


@dataclass(frozen=True, slots=True)
class HourScan:
    """What the door knows of an hour."""

    next_change_id: int
    markets: tuple[Market, ...]

    @property
    def rejected(self) -> tuple[Market, ...]:
        """The markets to set aside."""
        return tuple(market for market in self.markets if market.problem)


class _Market(msgspec.Struct):
    league: str
    market_id: str = ""
    market_pair: list[str] = msgspec.field(default_factory=list)
    volume_traded: _Counts = msgspec.field(default_factory=dict)
    lowest_stock: _Counts = msgspec.field(default_factory=dict)
    highest_stock: _Counts = msgspec.field(default_factory=dict)
    lowest_ratio: _Counts = msgspec.field(default_factory=dict)
    highest_ratio: _Counts = msgspec.field(default_factory=dict)


class _Hour(msgspec.Struct):
    next_change_id: _Count
    markets: list[msgspec.Raw]


_read_hour = msgspec.json.Decoder(_Hour).decode
_read_market = msgspec.json.Decoder(_Market).decode
_MARKETS = re.compile(rb'"markets"\s*:\s*\[')
_NEXT_ID = re.compile(rb'"next_change_id"\s*:\s*([0-9]{1,18})\b')


def scan_hour(body: bytes) -> HourScan:
    """Read an hour at the door.

    Raises:
        NotAPage: the body is not JSON of this shape, or is cut short.
    """
    try:
        hour = _read_hour(body)
    except RecursionError:
        raise NotAPage("nested too deeply") from None
    except msgspec.ValidationError as error:
        raise NotAPage(f"wrong shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotAPage(str(error)) from None
    found = _MARKETS.search(body)
    at = found.end() if found else 0
    markets: list[Market] = []
    seen: set[tuple[str, tuple[str, str]]] = set()
    for position, raw in enumerate(map(bytes, hour.markets)):
        at = body.index(raw, at)
        market = _market(position, at, raw)
        if not market.problem and (market.league, market.pair) in seen:
            market = replace(market, problem="the market stands twice in this hour")
        seen.add((market.league, market.pair))
        markets.append(market)
        at += len(raw)
    return HourScan(hour.next_change_id, tuple(markets))


def next_hour_in_head(body: bytes) -> int | None:
    """The next hour that a body names which may be broken elsewhere; None where it names none."""
    found = _NEXT_ID.search(body)
    return int(found.group(1)) if found else None


def keep_markets_of(body: bytes, scan: HourScan, leagues: frozenset[str]) -> bytes:
    """The hour without the markets of other leagues: a new body, cut from the old one.

    Markets that cannot be read stay, to be set aside where everybody sees them.
    """
    kept = [market for market in scan.markets if market.problem or market.league in leagues]
    if len(kept) == len(scan.markets):
        return body
    head = body[: scan.markets[0].offset]
    last = scan.markets[-1]
    pieces = [body[market.offset : market.offset + market.length] for market in kept]
    return head + b",".join(pieces) + body[last.offset + last.length :]


def _market(position: int, offset: int, raw: bytes) -> Market:
    place = Market(position, offset, len(raw))
    try:
        raw.decode("utf-8")
        market = _read_market(raw)
    except RecursionError:
        return replace(place, problem="nested too deeply")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return replace(place, problem=str(error))
    pair = tuple(market.market_pair or market.market_id.split("|"))
    if not market.league:
        return replace(place, problem="the market names no league")
    if len(pair) != 2 or not all(pair) or pair[0] == pair[1]:
        return replace(place, problem="the market is not between two currencies")
    sides = (
        market.volume_traded,
        market.lowest_stock,
        market.highest_stock,
        market.lowest_ratio,
        market.highest_ratio,
    )
    total = 0
    for counts in sides:
        for key, count in counts.items():
            if key not in pair:
                return replace(place, problem="a number belongs to neither currency of the pair")
            if count >= HIGHEST:
                return replace(place, problem="a number is too large")
            total += count
    return replace(place, league=market.league, pair=pair, number_sum=total % HIGHEST)
