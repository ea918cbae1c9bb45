"""Leaving, in a real (pseudo) terminal: whatever hangs, the process ends, and the terminal is as it was."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tui.pty_terminal import ALTERNATE_SCREEN_LEFT, Left, Terminal


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never answers: a request or a query that hangs."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def clean(left: Left) -> bool:
    return left.code == 0 and ALTERNATE_SCREEN_LEFT in left.after and b"Traceback" not in left.after and left.modes_kept


WAYS = [
    b"q",
    signal.SIGTERM,
    *(pytest.param(way, marks=pytest.mark.soak) for way in (b"\x03", b"\x1b[21~", signal.SIGHUP)),
]


@pytest.mark.parametrize("how", WAYS, ids=str)
def test_it_leaves_a_store_that_hangs(
    how: bytes | signal.Signals, terminals: list[Terminal], silent_server: str, tmp_path: Path
) -> None:
    terminal = Terminal(tmp_path, POE_CLICKHOUSE_URL=silent_server)
    terminals.append(terminal)
    terminal.until(b"opening the store")
    left = terminal.leave(how)

    assert clean(left), left
    assert b"Nothing is lost" in left.after


def test_a_second_quit_leaves_at_once(terminals: list[Terminal], silent_server: str, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, POE_CLICKHOUSE_URL=silent_server)
    terminals.append(terminal)
    terminal.until(b"opening the store")
    left = terminal.leave(b"qq")

    assert clean(left), left
    assert b"Left at once" not in left.after  # that is what is said when patience is over


def test_it_leaves_a_demo_in_full_harvest_with_what_to_look_at(terminals: list[Terminal], tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "--demo")
    terminals.append(terminal)
    terminal.until(b"HARVESTING")
    left = terminal.leave(b"q")

    assert clean(left), left
    spool = list((tmp_path / ".cache" / "poe-ledger" / "demo" / "cursors").rglob("*.tmp"))
    assert spool == []


def test_a_setting_that_cannot_be_used_ends_with_2_and_its_name(terminals: list[Terminal], tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, POE_REALMS="atlantis")
    terminals.append(terminal)
    left = terminal.leave(b"")

    assert left.code == 2
    assert ALTERNATE_SCREEN_LEFT in left.after
    assert b"POE_REALMS" in left.after
