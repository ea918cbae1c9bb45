"""`python -m benchmarks`: the screen, what hashing names costs, latency by page size, and whether costs stay flat."""

from __future__ import annotations

import argparse

from benchmarks.account_names import cost_of_hashing
from benchmarks.commit import latency_by_size, page_after_page
from benchmarks.screen import screen_costs


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("what", nargs="?", choices=["all", "screen", "names", "latency", "flat"], default="all")
    parser.add_argument("--pages", type=int, default=1000, help="of the flatness run; 10,000 is the full proof")
    parser.add_argument("--samples", type=int, default=50, help="pages per size of the latency run")
    options = parser.parse_args()
    if options.what in ("all", "screen"):
        screen_costs(options.samples)
    if options.what in ("all", "names"):
        cost_of_hashing(options.samples)
    if options.what in ("all", "latency"):
        latency_by_size(options.samples)
    if options.what in ("all", "flat"):
        page_after_page(options.pages)


main()
