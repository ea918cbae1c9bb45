"""The spool: what it takes stays, what it gives back is what it took, and damage is told."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from harvester.model import Page, Queue, SpooledPage
from harvester.store.spool import DamagedPage, Spool

QUEUE = Queue("psapi", "pc")


def page(seq: int, body: bytes = b'{"next_change_id":"b","stashes":[]}', rejected: str = "") -> SpooledPage:
    """A page at a place of the queue."""
    return SpooledPage(seq, Page(QUEUE, f"c{seq}", f"c{seq + 1}", 1_767_225_600.125, body, 200, 312.5, rejected))


def file_of(spool: Spool) -> Path:
    """The only page file there is."""
    (path,) = spool.directory.glob("*.page")
    return path


BODIES = {
    "small": b"{}",
    "empty": b"",
    "lines": b"\n\n{}\n",
    "every byte": bytes(range(256)),
    "noise": Random(1).randbytes(300_000),
    "long": b"a" * 5_000_000,
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_page_comes_back_as_it_went_in(tmp_path: Path, body: bytes) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(7, body, rejected="кракозябра \n \x00"))

    assert spool.get(7) == page(7, body, rejected="кракозябра \n \x00")
    assert Spool(tmp_path, QUEUE).get(7) == spool.get(7)


def test_pages_are_listed_in_the_order_of_their_places(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    for seq in (1000, 9, 10, 100, 2):
        spool.put(page(seq))
    spool.remove(9)

    assert spool.sequences == [2, 10, 100, 1000]
    assert Spool(tmp_path, QUEUE).sequences == [2, 10, 100, 1000]


def test_the_size_is_what_the_files_take(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    for seq in (1, 2, 3):
        spool.put(page(seq, Random(seq).randbytes(1000 * seq)))
    spool.put(page(2, b""))
    on_disk = sum(path.stat().st_size for path in spool.directory.glob("*.page"))

    assert spool.total_bytes == on_disk == Spool(tmp_path, QUEUE).total_bytes
    for seq in (1, 2, 3):
        spool.remove(seq)
        spool.remove(seq)
    assert spool.total_bytes == 0
    assert spool.sequences == []


def test_queues_do_not_see_each_other(tmp_path: Path) -> None:
    Spool(tmp_path, QUEUE).put(page(1))

    assert Spool(tmp_path, Queue("psapi", "xbox")).sequences == []


def test_the_page_is_on_the_disk_before_it_has_its_name_and_the_name_before_put_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, QUEUE)
    synced: list[str] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        there = (spool.directory / "000000000001.page").exists()
        synced.append(f"{path.name} {'named' if there else 'unnamed'}")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    spool.put(page(1))

    assert synced == ["000000000001.page.tmp unnamed", "psapi_pc named"]


@pytest.mark.parametrize("failing", ["write", "fsync"])
def test_a_disk_that_refuses_leaves_nothing_of_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))

    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, failing, refuse)
        with pytest.raises(OSError, match="No space left"):
            spool.put(page(2))

    assert [path.name for path in spool.directory.iterdir()] == ["000000000001.page"]
    assert spool.sequences == [1]
    spool.put(page(2))
    assert spool.get(2) == page(2)


def test_a_disk_that_takes_a_few_bytes_at_a_time_still_gets_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path, QUEUE)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:100]))

    spool.put(page(1, Random(2).randbytes(2000)))

    assert len(spool.get(1).page.body) == 2000


def test_what_a_killed_process_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))
    torn = spool.directory / "000000000002.page.tmp"
    torn.write_bytes(b"poe-ledger pa")

    restarted = Spool(tmp_path, QUEUE)
    assert restarted.sequences == [1]
    assert torn.exists(), "merely looking at a spool must not disturb the process that writes it"
    restarted.remove_torn()

    assert not torn.exists()
    assert restarted.get(1) == page(1)


@pytest.mark.parametrize("keep", [0, 1, 17, 18, 50, 83, 84, 120, -1])
def test_a_torn_file_is_told(tmp_path: Path, keep: int) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))
    whole = file_of(spool).read_bytes()
    file_of(spool).write_bytes(whole[:keep])

    with pytest.raises(DamagedPage, match=r"000000000001\.page") as damaged:
        spool.get(1)
    assert damaged.value.path == file_of(spool)


def test_a_change_of_any_single_byte_is_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))
    whole = file_of(spool).read_bytes()
    for place in range(len(whole)):
        altered = bytearray(whole)
        altered[place] ^= 1
        file_of(spool).write_bytes(altered)
        with pytest.raises(DamagedPage):
            spool.get(1)


def test_bytes_behind_the_page_are_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))
    with file_of(spool).open("ab") as file:
        file.write(b"more")

    with pytest.raises(DamagedPage):
        spool.get(1)


def test_a_page_under_the_name_of_another_is_told(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))
    file_of(spool).rename(spool.directory / "000000000002.page")

    with pytest.raises(DamagedPage, match="holds page 1"):
        Spool(tmp_path, QUEUE).get(2)


def test_a_page_of_another_queue_is_told_and_left_where_it_lies(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))
    other = Queue("psapi", "xbox")
    taken = file_of(spool).rename(Spool(tmp_path, other).directory / "000000000001.page")

    with pytest.raises(DamagedPage, match=f"a page of {QUEUE.key}"):
        Spool(tmp_path, other).get(1)
    assert taken.exists()


def test_a_page_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(DamagedPage, match="No such file"):
        Spool(tmp_path, QUEUE).get(3)


def test_a_page_set_aside_keeps_its_bytes_out_of_the_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(page(1))
    spool.put(page(2))
    whole = (spool.directory / "000000000001.page").read_bytes()

    aside = spool.set_aside(1, "damaged")

    assert aside.read_bytes() == whole
    assert spool.sequences == Spool(tmp_path, QUEUE).sequences == [2]
