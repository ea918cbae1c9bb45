"""The cursor file: readable, replaced whole, and never mistaken for "no cursor"."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harvester.model import Queue
from harvester.store.cursor_file import CursorFile, CursorFileDamaged, SavedCursor

QUEUE = Queue("psapi", "pc")
NOW = 1_767_225_600.0


def test_what_is_written_is_read_and_can_be_read_by_people(tmp_path: Path) -> None:
    file = CursorFile(tmp_path / "new" / "place", QUEUE)
    assert file.read() is None

    file.write("1-2-3-4-5", NOW)
    file.write("2-3-4-5-6", NOW + 1)

    assert file.read() == SavedCursor("psapi:pc", "2-3-4-5-6", "2026-01-01T00:00:01+00:00")
    assert file.path.name == "psapi_pc.json"
    assert json.loads(file.path.read_text())["cursor"] == "2-3-4-5-6"
    assert [path.name for path in file.path.parent.iterdir()] == ["psapi_pc.json"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 100,
        b"{",
        b'{"queue":"psapi:pc","cursor":"1-2-3',
        b'{"queue":"psapi:pc","cursor":"","saved_at":""}',
        b'{"queue":"psapi:pc","cursor":null,"saved_at":""}',
        b'{"queue":"psapi:pc","saved_at":""}',
        b'{"queue":"psapi:pc","cursor":"\xff","saved_at":""}',
        b"1-2-3-4-5",
        b"null",
        b"[]",
    ],
)
def test_an_unreadable_file_is_never_no_cursor(tmp_path: Path, content: bytes) -> None:
    file = CursorFile(tmp_path, QUEUE)
    file.path.write_bytes(content)

    with pytest.raises(CursorFileDamaged, match=r"psapi_pc\.json.*remove it"):
        file.read()


def test_a_file_of_another_queue_is_refused(tmp_path: Path) -> None:
    other = CursorFile(tmp_path, Queue("psapi", "xbox"))
    other.write("1-2-3-4-5", NOW)
    file = CursorFile(tmp_path, QUEUE)
    other.path.rename(file.path)

    with pytest.raises(CursorFileDamaged, match="belongs to psapi:xbox, not to psapi:pc"):
        file.read()


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    file = CursorFile(tmp_path, QUEUE)
    file.path.mkdir()

    with pytest.raises(CursorFileDamaged, match="Is a directory"):
        file.read()


def test_a_write_that_fails_leaves_the_old_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = CursorFile(tmp_path, QUEUE)
    file.write("1-2-3-4-5", NOW)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full_disk:
        full_disk.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            file.write("2-3-4-5-6", NOW)

    saved = file.read()
    assert saved is not None
    assert saved.cursor == "1-2-3-4-5"
