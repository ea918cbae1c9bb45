"""What a demo shows at its end: that real data lies in the store, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from harvester.commands.hints import program
from harvester.commands.output import print_table, say
from harvester.commands.store_access import engine_of
from harvester.settings import Settings
from harvester.store.errors import StoreError

QUERY = """\
SELECT if(name = '', type_line, concat(name, ' ', type_line)) AS item, league, price_currency AS currency,
       count() AS listings, round(median(price_amount / price_lot), 2) AS median
FROM v_listings_current
WHERE price_kind IN ('price', 'b/o')
GROUP BY item, league, currency
ORDER BY listings DESC, item
LIMIT 5"""
EXCHANGE_QUERY = """\
SELECT league, currency_b AS currency, round(price, 2) AS chaos, round(lowest_price, 2) AS lowest,
       round(highest_price, 2) AS highest, volume_b AS traded
FROM v_currency_latest
WHERE code_a = 'chaos' AND price IS NOT NULL
ORDER BY volume_a DESC
LIMIT 1 BY currency
LIMIT 5"""
QUESTIONS = (
    ("What is listed most just now, and for how much:", QUERY),
    ("What the exchange dealt in most in the last hour, and what one of it cost:", EXCHANGE_QUERY),
)


def report_demo(settings: Settings, *, command: str, leftover: Path | None, out: TextIO, err: TextIO) -> None:
    """A first question to the data of a demo, with its answer, and the commands that look at the rest.

    `command` begins them. `leftover` is the directory of a demo that no later demo will remove.
    """
    try:
        with engine_of(settings).open(writes=False) as handle:
            answers = [(title, query, *handle.table(query)) for title, query in QUESTIONS]
    except StoreError as error:
        say(err, f"The demo's data cannot be read: {error} {error.hint}".strip())
        return
    for title, query, columns, rows in answers:
        if rows:
            _answer(title, query, columns, rows, out, err)
    say(err, "")
    if leftover is None:
        say(err, "Look at the demo's data (it stays until the next demo):")
    else:
        say(err, f"Another demo was running, so this one's data lies in {leftover}.")
        say(err, "Delete that directory when you are done. Until then, look at it:")
    say(err, f"    {command} status")
    say(err, f"    {command} sanity")
    say(err, f"    {command} migrate            one migration was left for you: add --apply")
    say(err, f"Then your own market: cp .env.example .env, fill it in, and {program()} --headless harvest")


def _answer(
    title: str, query: str, columns: Sequence[str], rows: Sequence[Sequence[object]], out: TextIO, err: TextIO
) -> None:
    say(out, "")
    say(out, title)
    say(out, "")
    print_table(out, columns, [[str(value) for value in row] for row in rows])
    say(err, "")
    say(err, "That was:")
    say(err, "")
    for line in query.splitlines():
        say(err, f"    {line}")
