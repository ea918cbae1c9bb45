"""What can be wrong with the schema: a newer release brings migrations, one is changed, one fails halfway."""

from __future__ import annotations

import shutil
from pathlib import Path

from harvester.store.engine import Engine
from tests.cli_bench import CHECKOUT
from tests.http_front.process import ServerProcess
from tests.soak.operators_week.day import APP, Day
from tests.soak.operators_week.desk import POE_MIGRATE
from tests.soak.operators_week.runbook import section

_NOTES = "CREATE TABLE IF NOT EXISTS week_notes (n UInt8) ENGINE = MergeTree ORDER BY n"
_MORE = "ALTER TABLE week_notes ADD COLUMN IF NOT EXISTS m UInt8"


class Release:
    """A copy of the program with migrations of its own, as a newer release is."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        leave_out = shutil.ignore_patterns("__pycache__")
        for name in ("harvester", "poe_ledger_tui", "poe_trade", "schema"):
            shutil.copytree(CHECKOUT / name, directory / name, ignore=leave_out)

    def write(self, name: str, *statements: str) -> None:
        """Write a migration."""
        text = "".join(f"{statement};\n" for statement in statements)
        (self.directory / "schema" / "migrations" / name).write_text(f"-- A migration of the week.\n\n{text}")


def schema(day: Day) -> None:
    """Pending after an upgrade, halfway, and drifted: each shown, each cured as the table says."""
    book, desk = section("Migrations: pending, halfway, drifted"), day.desk
    release = Release(desk.home.directory / "release")
    with ServerProcess(desk.home.directory / "server") as server:
        desk.home.environ["POE_CLICKHOUSE_URL"] = server.url
        day.begin()
        desk.leave()
        desk.home.environ["PYTHONPATH"] = str(release.directory)
        release.write("0090_notes.sql", _NOTES)
        day.inject("a newer release brings a migration", desk.open)
        day.recognise(APP.says("!! BLOCKED"), book.says("pending"), book.says("the schema is behind"))

        def apply() -> None:
            for line in ("poe-migrate --apply --dry-run", "poe-migrate --apply"):
                done = desk.home.run(*book.command(line), entry=POE_MIGRATE)
                assert done.code == 0, done
            book.says("goes on with space")
            desk.press(b" ")

        day.cure(book.says("poe-migrate --apply --dry-run, then poe-migrate --apply"), apply)
        with Engine(server.url, "poe_trade").open() as handle:
            handle.run("DROP TABLE week_notes SYNC")
        release.write("0091_more.sql", "CREATE TABLE IF NOT EXISTS week_more AS poe_queue_leases", _MORE)

        def apply_here() -> None:
            desk.press(b"2")
            desk.see("0091_more")
            desk.press(b"a")
            desk.see("Apply migrations")
            desk.press(b"\t\r")

        day.inject("a migration fails at its second statement", apply_here)
        day.recognise(f"!! {book.says('halfway')}", "week_notes")

        def mend() -> None:
            with Engine(server.url, "poe_trade").open() as handle:
                handle.run(_NOTES)
            apply_here()
            desk.see("Applied in")

        day.cure(book.says("mend the cause, and a resumes there"), mend)
        kept = (release.directory / "schema" / "migrations" / "0090_notes.sql").read_text()
        desk.leave()

        def edit() -> None:
            release.write("0090_notes.sql", _NOTES.replace("UInt8", "UInt16"))
            desk.open()

        day.inject("the file of an applied migration is edited", edit)
        day.recognise(APP.says("!! drifted"))
        desk.press(b"2")
        day.recognise(f"!! {book.says('changed')}")

        def restore() -> None:
            (release.directory / "schema" / "migrations" / "0090_notes.sql").write_text(kept)
            desk.press(b"2u")
            desk.see("0 drifted")

        day.cure(book.says("restore the file of your release"), restore)
        day.count()
