"""Plays the days: `python -m tests.soak.operators_week`.

Prints a table: each failure with the words by which it was recognised, the seconds that took, the runbook's words for
the cure, and pages lost and doubled at the end of the day. Exit code 1 where a day broke off, or a page is lost or
doubled.
"""

from __future__ import annotations

import argparse
import sys

DAYS = {
    "api-down": "api_days.api_down",
    "rate-limited": "api_days.rate_limited",
    "lag-alarm": "api_days.lag_alarm",
    "credentials": "api_days.credentials",
    "settings": "api_days.settings_file",
    "store-down": "store_days.store_down",
    "disk-full": "store_days.disk_full",
    "spool-file": "machine_days.spool_file",
    "held": "machine_days.held",
    "asleep": "machine_days.asleep",
    "schema": "schema_days.schema",
    "cursors": "cursor_days.cursors",
    "replay": "cursor_days.replay",
    "rubbish": "data_days.rubbish",
    "edge": "data_days.edge_answers",
    "sanity": "data_days.sanity",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.operators_week", description=__doc__)
    parser.add_argument("--day", action="append", choices=DAYS, help="play this one only (default: all); repeatable")
    parser.add_argument("--directory", help="keep the homes of the days in this fresh directory")
    parser.add_argument("--json", action="store_true", help="print the figures as one line of JSON, no table")
    options = parser.parse_args()
    from tests.soak.operators_week.week import play

    return play({name: DAYS[name] for name in options.day or DAYS}, options.directory, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
