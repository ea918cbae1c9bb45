"""Pages of a market of a wanted size, made fast: what the benchmarks store."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from random import Random


class Market:
    """`stashes` tabs of `items` things; each sighting of a tab reprices or replaces about a fifth of it."""

    def __init__(self, stashes: int, items: int, seed: int = 1) -> None:
        self._random = Random(seed)
        self._items = items
        self._stashes = stashes
        self._ids = [_hex(f"stash {seed} {n}") for n in range(stashes)]
        self._content: dict[int, list[bytes]] = {}
        self._made = 0
        self._next = 0

    def page(self, stashes: int) -> bytes:
        """A page of so many tabs: first each tab once, then any of them."""
        records = []
        for _ in range(stashes):
            number = self._next if self._next < self._stashes else self._random.randrange(self._stashes)
            self._next += 1
            records.append(self._record(number))
        head = f'{{"next_change_id":"{self._next}-0-0-0-0","stashes":['.encode()
        return head + b",".join(records) + b"]}"

    def river_page(self, fresh: int, again: int) -> bytes:
        """A page as the river brings them all along: `fresh` tabs never seen, `again` tabs that are known.

        One item has come over from a tab that is not in the page.
        """
        numbers = list(range(self._next, self._next + fresh))
        known = self._next
        self._next += fresh
        if again and known > again:
            numbers += self._random.sample(range(known), again)
            source = self._random.randrange(known)
            if source not in numbers and self._content[source]:
                moved = self._content[source].pop(self._random.randrange(len(self._content[source])))
                self._content[numbers[-1]].append(moved)
        self._ids += [_hex(f"stash {n}") for n in range(len(self._ids), self._next)]
        head = f'{{"next_change_id":"{self._next}-0-0-0-0","stashes":['.encode()
        return head + b",".join([self._record(number) for number in numbers]) + b"]}"

    def _record(self, number: int) -> bytes:
        items = self._content.setdefault(number, [])
        if not items:
            items.extend(self._item() for _ in range(self._items))
        else:
            for _ in range(max(1, self._items // 5)):
                items[self._random.randrange(len(items))] = self._item()
        head = (
            f'{{"id":"{self._ids[number]}","public":true,"accountName":"player{number}#1234",'
            f'"stash":"~b/o {number % 90 + 1} chaos","stashType":"PremiumStash","league":"Standard","items":['
        ).encode()
        return head + b",".join(items) + b"]}"

    def _item(self) -> bytes:
        self._made += 1
        roll = self._random.randrange
        item = {
            "verified": False,
            "w": 1,
            "h": 1,
            "icon": f"https://web.poecdn.com/gen/image/{_hex(str(roll(500)))}/Thing.png",
            "league": "Standard",
            "id": _hex(f"item {self._made}"),
            "name": f"Dire {roll(2000)}",
            "typeLine": f"Thing {roll(900)}",
            "baseType": f"Thing {roll(900)}",
            "rarity": "Rare",
            "identified": True,
            "ilvl": roll(100),
            "note": f"~price {roll(500) + 1} chaos",
            "properties": [{"name": "Quality", "values": [[f"+{roll(20)}%", 1]], "displayMode": 0}],
            "explicitMods": [f"+{roll(100)} to maximum Life", f"{roll(50)}% increased Damage", f"+{roll(45)}% to Fire"],
            "frameType": 2,
            "x": roll(24),
            "y": roll(24),
            "inventoryId": "Stash1",
        }
        return json.dumps(item, separators=(",", ":")).encode()


@contextmanager
def river(fresh: int, again: int, items: int) -> Iterator[Iterator[bytes]]:
    """The pages of `Market.river_page` without end, made by a process of their own.

    So neither the memory of what has been published nor the time to make it counts as the store's.
    """
    spawn = multiprocessing.get_context("spawn")
    reader, writer = spawn.Pipe(duplex=False)
    process = spawn.Process(target=_publish, args=(writer, fresh, again, items), daemon=True)
    process.start()
    writer.close()
    try:
        yield iter(reader.recv_bytes, b"")
    finally:
        reader.close()
        process.terminate()
        process.join()


def _publish(writer: Connection, fresh: int, again: int, items: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    market = Market(0, items)
    try:
        while True:
            writer.send_bytes(market.river_page(fresh, again))
    except BrokenPipeError:
        return


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
