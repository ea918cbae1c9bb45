"""`poe-ledger --monitor` in a terminal follows a headless harvest in another process, through a server that comes and
goes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli_bench import Home, end, simulated_api, until
from tests.http_front.process import ServerProcess
from tests.tui.pty_terminal import ALTERNATE_SCREEN_LEFT, Terminal

pytestmark = pytest.mark.soak


def test_the_monitor_follows_loses_and_finds_a_harvest(tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "data") as server, simulated_api(None, limit="2:1:60") as (_, environ):
        environ |= {"POE_CLICKHOUSE_URL": server.url, "POE_CURSOR_DIR": str(tmp_path / "cursors")}
        home = Home(tmp_path, environ)
        harvest = home.start("--headless", "harvest")
        until(home.cursor_file.exists, harvest)
        terminal = Terminal(tmp_path, "--monitor", **environ)
        try:
            terminal.until(b"HARVESTING")
            terminal.until(b"STORED")
            terminal.forget()
            server.kill()
            terminal.until(b"DISCONNECTED")
            terminal.forget()
            server.start()
            terminal.until(b"HARVESTING")
            terminal.press_until(b"[", b"THE PAST")  # as soon as a second picture is stored
            terminal.forget()
            terminal.press(b"T")
            terminal.until(b"STORED")
            left = terminal.leave(b"q")
        finally:
            terminal.close()
            done, _ = end(harvest, signal.SIGTERM)
    assert left.code == 0
    assert ALTERNATE_SCREEN_LEFT in left.after
    assert done.code == 0
