"""What can happen to the process and its files."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.cli_bench import until
from tests.http_front.process import ServerProcess
from tests.soak.operators_week.day import APP, Day
from tests.soak.operators_week.runbook import section


def asleep(day: Day) -> None:
    """The process is stopped for a while, as a closed laptop does it, amid a commit that hangs."""
    book, desk = section("Stopped or asleep"), day.desk
    with ServerProcess(desk.home.directory / "server") as server:
        desk.home.environ["POE_CLICKHOUSE_URL"] = server.url
        day.begin()

        def sleep() -> None:
            server.freeze()
            time.sleep(3.0)  # in which a page comes to be committed
            os.kill(desk.pid, signal.SIGSTOP)
            time.sleep(8.0)
            os.kill(desk.pid, signal.SIGCONT)
            time.sleep(1.0)
            server.thaw()

        day.inject("the process is stopped for 8 s", sleep)
        day.recognise(book.says("the process was stopped or the machine slept for"))
        day.cure(book.says("Nothing is lost"))
        day.count()


def held(day: Day) -> None:
    """A second harvest finds the store held; the holder is killed, and holds nothing any more."""
    book, desk = section("The store is held"), day.desk
    day.begin()
    done = desk.shell(["--headless", "harvest", "--pages", "1"])
    assert done.code == 1, done
    said = " ".join(done.err.split())
    day.shell("a second harvest is started", said, book.says("is in use by process"), book.says("end that process"))
    assert f"is in use by process {desk.pid}" in said, said
    watched = desk.shell(book.command("poe-ledger --headless status"))
    assert watched.code == 0, watched
    os.kill(desk.pid, signal.SIGKILL)
    desk.close()
    book.says("A killed holder holds nothing")
    day.begin()
    day.count()


def spool_file(day: Day) -> None:
    """A page that waits in the spool is damaged on the disk."""
    book, down, desk = section("Damaged spool file"), section("ClickHouse is down"), day.desk
    with ServerProcess(desk.home.directory / "server") as server:
        desk.home.environ["POE_CLICKHOUSE_URL"] = server.url
        day.begin()
        server.kill()
        desk.see(APP.says("!! STORE LOST"))
        down.says("pages collect in the spool")
        desk.until(lambda _: len(pages_in(desk.cursors)) >= 2, "two pages in the spool")
        desk.leave()
        server.start()
        waiting = section("Safe replay")
        held, spooled = waiting.says("is run by"), waiting.says("pages wait in the spool")
        said = replay(day)
        day.shell(
            "the server was away when the app was left", said, held, waiting.says("ask again after half a minute")
        )
        until(lambda: held not in replay(day))
        said, begun = replay(day), waiting.says("is begun in the store")  # where the server died amid a commit
        words = begun if begun in said else spooled
        day.shell("a replay while pages are on their way", said, words, waiting.says("start the harvest once"))
        newest = pages_in(desk.cursors)[-1]  # the oldest may have begun to reach the store, which has it then

        def damage() -> None:
            newest.write_bytes(newest.read_bytes()[:-7])
            told = desk.shell(section("The doctor").command("poe-ledger --headless doctor"))
            warned = " ".join(told.out.split())
            assert "1 damaged" in warned, warned
            assert "a start sets damaged files aside" in warned, warned
            desk.open()

        day.inject("the newest page in the spool is cut off", damage)
        day.recognise(book.says("is damaged: torn or altered"))
        day.cure(book.says("A start heals it by itself"))
        day.count()


def pages_in(directory: Path) -> list[Path]:
    """The files of pages that wait, the oldest first."""
    return sorted(directory.rglob("*.page"))


def replay(day: Day) -> str:
    """What a replay from some cursor says, in one line."""
    given = section("Safe replay").command("poe-ledger --headless replay")[:-1]
    done = day.desk.shell([*given, "1-1-1-1-1"])
    return " ".join((done.out + done.err).split())
