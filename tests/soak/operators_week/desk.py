"""What an operator has: a terminal with the app, a shell beside it, and eyes."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.cli_bench import Done, Home
from tests.tui.pty_terminal import Left, Terminal

POE_MIGRATE = ("-m", "harvester.commands.poe_migrate")
SIZE = 50, 200
PATIENCE = 60.0
"""Seconds until a symptom must stand on the screen, or be gone."""
LOOK_EVERY = 0.1
SETTINGS = {
    "POE_LAG_AMBER_SECONDS": "5",
    "POE_LAG_RED_SECONDS": "10",
    "POE_RATE_LIMIT_BACKOFF_MAX": "3s",
    "POE_RATE_LIMIT_MAX_RETRIES": "2",
    "POE_REQUEST_TIMEOUT": "20s",
    "POE_ALERT_INTERVAL": "1s",
}
"""Minutes made seconds; nothing else differs from how a harvest is run."""
_PAGES = re.compile(r"since start: ([\d,]+) page")
_QUEUE = re.compile(r"psapi:pc +(\S+ ?[A-Z]* ?[A-Z]*)")


class NotSeen(AssertionError):  # noqa: N818
    """What should stand on the screen does not; the message holds the screen."""


class Desk:
    """`poe-ledger` in a home of its own, on a terminal and in a shell."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self.home = Home(directory, SETTINGS | environ)
        self._terminal: Terminal | None = None
        self._asked = ""

    @property
    def screen(self) -> str:
        """What stands on the screen now; nothing where the app is not open."""
        return self._terminal.watch(LOOK_EVERY) if self._terminal is not None else ""

    def keep(self, title: str, screen: str) -> None:
        """Write down a screen, for who wants to read it afterwards."""
        with (self.home.directory / "screens.txt").open("a", encoding="utf-8") as file:
            file.write(f"──── {title}\n{screen}\n\n")

    @property
    def pid(self) -> int:
        """Of the app."""
        return self._app.pid

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.home.directory / ".local" / "share" / "poe-ledger"

    @property
    def cursors(self) -> Path:
        """The cursor directory."""
        return self.data / "cursors"

    # The app -----------------------------------------------------------------------------------------------------

    def open(self, *arguments: str) -> None:
        """Start the app; without arguments it starts the harvest."""
        assert self._terminal is None
        directory, self._asked = self.home.directory, ""
        self._terminal = Terminal(directory, *(arguments or ("--start",)), size=SIZE, **self.home.environ)

    def leave(self) -> Left:
        """Leave the app, as `q` does."""
        terminal, self._terminal = self._app, None
        try:
            return terminal.leave(b"q")
        finally:
            terminal.close()

    def close(self) -> None:
        """End the app where it runs."""
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None

    def press(self, keys: bytes) -> None:
        """Type."""
        self._app.press(keys)

    def until(self, there: Callable[[str], bool], what: str, within: float = PATIENCE) -> str:
        """Wait until the screen is so; returns it.

        Raises:
            NotSeen: it does not come.
        """
        give_up_at = time.monotonic() + within
        while not there(screen := self.screen):
            if time.monotonic() > give_up_at:
                raise NotSeen(f"{what} is not on the screen within {within:.0f} s:\n{screen}")
        return screen

    def see(self, *words: str, within: float = PATIENCE) -> str:
        """Wait until all of these stand on the screen at once; returns it."""
        return self.until(lambda screen: all(word in screen for word in words), " and ".join(words), within)

    def well(self, within: float = PATIENCE) -> str:
        """Wait until pages come in and nothing is said to be wrong with the harvest."""
        self.press(b"1")
        before = pages_of(self.screen)

        def is_well(screen: str) -> bool:
            came = pages_of(screen) >= before + 2 or 2 <= pages_of(screen) < before  # started anew
            return "● HARVESTING" in screen and state_of(screen) == "OK" and came

        return self.until(is_well, "a harvest that is well", within)

    def ask(self, sql: str, *shown: str) -> str:
        """Run a query in the app's editor; asks again until its result shows all of these. Back to the dashboard."""
        self.press(b"3")
        self.see("Query (e)")
        self.press(b"e")
        if self._asked:
            self.until(self._emptied, "an empty editor")
        else:
            self.see("F5 runs")
        self._asked = sql.strip().splitlines()[-1]  # where the editor is scrolled to
        self.press(b"\x1b[200~" + sql.encode() + b"\x1b[201~")
        self.see(self._asked)
        give_up_at = time.monotonic() + PATIENCE
        while True:
            self.press(b"\x1b[15~")  # F5
            screen = self.until(lambda screen: bool(re.search(r"\d+ rows? in ", screen)), "a result")
            if all(word in screen for word in shown):
                break
            if time.monotonic() > give_up_at:
                raise NotSeen(f"the query does not show {' and '.join(shown)}:\n{screen}")
            time.sleep(1.0)
        self.keep("the answer of a query", screen)
        self.press(b"\x1b")  # out of the editor
        time.sleep(1.0)  # else the terminal takes what follows for the rest of a key
        self.press(b"1")
        return screen

    def _emptied(self, screen: str) -> bool:
        """Whether the editor holds no earlier query any more; selects and removes it where it does."""
        if self._asked not in screen:
            return True
        self.press(b"\x1b[18~")  # F7 selects all
        self.press(b"\x7f")
        return False

    # A shell -----------------------------------------------------------------------------------------------------

    def shell(self, words: Sequence[str], **environ: str) -> Done:
        """Run `poe-ledger` to its end."""
        return self.home.run(*words, **environ)

    def rows(self, sql: str) -> list[list[str]]:
        """Ask the store from a shell; nobody else may hold it."""
        done = self.shell(["--headless", "query", "--format", "csv", "--rows", "100000", sql])
        assert done.code == 0, done.err
        return list(csv.reader(io.StringIO(done.out)))[1:]

    @property
    def _app(self) -> Terminal:
        assert self._terminal is not None, "the app is not open"
        return self._terminal


def state_of(screen: str) -> str:
    """The state word of the queue, as its row has it; empty where there is none."""
    found = _QUEUE.search(screen)
    return found[1].strip() if found else ""


def pages_of(screen: str) -> int:
    """Pages committed since the harvest was started."""
    found = _PAGES.search(screen)
    return int(found[1].replace(",", "")) if found else 0
