"""What can happen to cursors, and going back to one."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from tests.soak.operators_week.day import Day
from tests.soak.operators_week.desk import pages_of
from tests.soak.operators_week.machine_days import pages_in
from tests.soak.operators_week.runbook import section

NEWEST = "SELECT argMax(next_cursor_id, seq) FROM bronze_ingest_checkpoints"
"""Where the store goes on."""


def cursors(day: Day) -> None:
    """The cursor file is damaged, then the cursor directory lost, then the store."""
    damaged, lost = section("Damaged cursor file"), section("Lost cursor")
    desk = day.desk
    day.begin()
    desk.leave()
    file = desk.cursors / "psapi_pc.json"

    def damage() -> None:
        file.write_text("{")
        desk.open()

    day.inject("the cursor file is damaged", damage)
    day.recognise(damaged.says("psapi_pc.json cannot be read"))

    def remove() -> None:
        file.unlink()
        desk.press(b" ")

    day.cure(damaged.says("Cure: remove the file"), remove)
    desk.leave()

    def start_without(directory: Path) -> None:
        shutil.rmtree(directory)
        desk.open()

    for what, directory, cure in (
        ("the cursor directory is lost", desk.cursors, "The cursor directory is lost: start"),
        ("the store is lost", desk.data / "clickhouse", "the stream goes on from the cursor file"),
    ):
        while pages_in(desk.cursors):  # it would be committed first, and the harvest begin behind it
            day.begin()
            desk.leave()
        ((newest,),) = desk.rows(NEWEST)
        day.inject(what, partial(start_without, directory))
        day.recognise(f"{lost.says('harvesting from')} {newest}")
        day.cure(lost.says(cure))
        day.count()


def replay(day: Day) -> None:
    """The table of safe replay: what is refused, and a new store that goes on from a cursor that was written down."""
    book, desk = section("Safe replay"), day.desk
    given = book.command("poe-ledger --headless replay --queue psapi:pc 3")[:-1]

    def said(cursor: str, *more: str) -> str:
        done = desk.shell([*given, cursor, *more])
        return " ".join((done.out + done.err).split())

    day.begin()
    desk.until(lambda screen: pages_of(screen) >= 6, "six pages")
    day.shell("a harvest runs", said("1-1-1-1-1"), book.says("is already run by process"), book.says("stop it"))
    desk.leave()
    chain = [row[0] for row in desk.rows("SELECT next_cursor_id FROM bronze_ingest_checkpoints ORDER BY seq")]
    newest, stored = chain[-1], chain[1]
    first, _, rest = newest.partition("-")
    for what, cursor, words, cure in (
        ("the newest cursor is named", newest, "Nothing to do", "start the harvest"),
        ("a stored page is named", stored, "was asked with it and is stored", "go on where the store stands"),
        ("a cursor before the store", f"1-{rest}", "it lies before", "harvest into another database"),
        ("a cursor ahead", f"{int(first) + 100}-{rest}", "what is between is never fetched", "--allow-gap"),
    ):
        day.shell(what, said(cursor), book.says(words), book.says(cure))
    day.begin()
    day.count()
    ((newest,),) = desk.rows(NEWEST)
    desk.home.environ |= {"POE_CURSOR_DIR": f"{desk.data}/new", "POE_CLICKHOUSE_URL": f"chdb://{desk.data}/store"}
    words = "The store has no page of this queue"
    day.shell("store and cursors are lost", said(newest, "--yes"), book.says(words), book.says("yes"))
    day.begin()
    day.count()
