"""What can be wrong with the store and the disk."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.http_front.process import ServerProcess
from tests.soak.operators_week.day import APP, Day, NotHere
from tests.soak.operators_week.runbook import section

KEEPER_SECONDS = 7.0
"""In which a harvest comes to set its retention."""


def store_down(day: Day) -> None:
    """The server is not there at the start; it is killed while harvesting until the spool is full; it comes back."""
    down, full = section("ClickHouse is down"), section("Spool full")
    with ServerProcess(day.desk.home.directory / "server") as server:
        day.desk.home.environ |= {"POE_CLICKHOUSE_URL": server.url, "POE_SPOOL_MAX_BYTES": "12KB"}
        day.begin()
        day.inject("the server is killed", server.kill)
        day.recognise(down.says("ClickHouse: unreachable"), APP.says("!! STORE LOST"))
        day.cure(down.says("start ClickHouse. The spool drains by itself"), server.start)
        day.inject("the server is killed, and stays away", server.kill)
        day.recognise(APP.says("!! SPOOL FULL"))
        day.cure(full.says("bring ClickHouse back"), lambda: (server.start(), day.desk.press(b"r")))
        day.desk.leave()
        server.kill()
        day.inject("the server is away at the start", day.desk.open)
        day.recognise(APP.says("!! STORE LOST"))
        day.cure(down.says("start ClickHouse"), lambda: (server.start(), day.desk.press(b"r")))
        day.count()


def disk_full(day: Day) -> None:
    """The disk of the spool is full, then that of the embedded store."""
    book, home = section("Disk full"), day.desk.home.directory
    with small_disk(home / "spool", "2m") as spool, small_disk(home / "store", "96m") as store:
        day.desk.home.environ |= {"POE_SPOOL_DIR": str(spool), "POE_CLICKHOUSE_URL": f"chdb://{store}/clickhouse"}
        day.begin()
        day.inject("the disk of the spool is full", lambda: fill(spool))
        day.recognise(book.says("the spool cannot be written: No space left on device"), f"in {spool}")
        day.cure(book.says("Make room; it goes on by itself"), (spool / "filler").unlink)
        day.inject("the disk of the store is full", lambda: fill(store))
        day.recognise(book.says("ClickHouse: disk full"), APP.says("!! STORE LOST"))
        time.sleep(KEEPER_SECONDS)
        day.cure(book.says("Make room; it goes on by itself"), (store / "filler").unlink)
        day.count()
        day.begin()  # the store can be opened again: nothing was defined on the full disk
        day.desk.leave()


@contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """A file system of its own with so much room.

    Raises:
        NotHere: this process may not mount.
    """
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(directory)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NotHere("there is no mount command") from error
    if done.returncode:
        raise NotHere(f"no small disk can be mounted: {done.stderr.strip()}")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=False)


def fill(directory: Path) -> None:
    """Take all the room there is."""
    with contextlib.suppress(OSError), (directory / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
