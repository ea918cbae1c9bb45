"""What taking names out of a page costs: processor time, whatever else the machine does."""

from __future__ import annotations

import time

from benchmarks.market import Market
from harvester.feeds.account_names import without_names
from harvester.store.name_guard import hashed_name

PAGES = {"1 MB": (200, 7), "5 MB": (1000, 7), "5 MB, 5,000 tabs": (5000, 1)}
"""Tabs and items of each."""


def cost_of_hashing(samples: int) -> None:
    """Print milliseconds a page and a megabyte, the least of `samples`."""
    for name, (stashes, items) in PAGES.items():
        body = Market(stashes, items).page(stashes)
        least = min(_seconds(body) for _ in range(samples))
        megabytes = len(body) / 1e6
        print(
            f"names hashed  {name:18} {megabytes:5.1f} MB {stashes:6,} names"
            f"  {least * 1e3:6.1f} ms  {least * 1e3 / megabytes:5.1f} ms/MB"
        )


def _seconds(body: bytes) -> float:
    began = time.process_time()
    without_names(body, lambda name: hashed_name(b"salt" * 8, name))
    return time.process_time() - began
