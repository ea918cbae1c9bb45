"""Every small file that must outlast a power loss: on the disk before it has its name, its name before we go on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harvester.api.restrictions import RestrictionFile, SavedLimits
from harvester.files import create_directory
from harvester.model import Page, Queue, SpooledPage
from harvester.store.cursor_file import CursorFile
from harvester.store.spool import Spool

QUEUE = Queue("psapi", "pc")


@pytest.fixture
def synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """What was synced, below `tmp_path`, with the names that were in its directory then."""
    notes: list[tuple[str, list[str]]] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        directory = path if path.is_dir() else path.parent
        notes.append((str(path.relative_to(tmp_path)), sorted(entry.name for entry in directory.iterdir())))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    return notes


def write_cursor(directory: Path) -> None:
    CursorFile(directory, QUEUE).write("1-2-3-4-5", 1.0)


def write_limits(directory: Path) -> None:
    RestrictionFile(directory).save(SavedLimits())


@pytest.mark.parametrize(
    ("write", "name"), [(write_cursor, "psapi_pc.json"), (write_limits, "rate-limits.json")], ids=["cursor", "limits"]
)
def test_what_is_written_is_on_the_disk_before_it_has_its_name(
    write: Callable[[Path], None], name: str, tmp_path: Path, synced: list[tuple[str, list[str]]]
) -> None:
    write(tmp_path)

    assert synced == [(f"{name}.tmp", [f"{name}.tmp"]), (".", [name])]


def test_a_page_set_aside_has_its_new_name_on_the_disk(tmp_path: Path, synced: list[tuple[str, list[str]]]) -> None:
    spool = Spool(tmp_path, QUEUE)
    spool.put(SpooledPage(1, Page(QUEUE, "a", "b", 1.0, b"{}")))
    synced.clear()
    spool.set_aside(1, "damaged")

    assert synced == [("psapi_pc", ["000000000001.damaged"])]


def test_a_new_directory_is_on_the_disk_with_its_parents(tmp_path: Path, synced: list[tuple[str, list[str]]]) -> None:
    create_directory(tmp_path / "a" / "b")

    assert synced == [(".", ["a"]), ("a", ["b"])]
