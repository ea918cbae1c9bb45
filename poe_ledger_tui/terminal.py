"""The terminal as it was before the app, for the exits on which the framework cannot put it back."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable

PATIENCE_SECONDS = 2.7
"""After being asked to leave, the app is gone at this time whatever still hangs."""
_RESET = (
    b"\x1b[<u"  # the keyboard protocol
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # the mouse
    b"\x1b[?2004l\x1b[?1004l\x1b[?2048l"  # paste, focus, resize reports
    b"\x1b[0m\x1b[?25h\x1b[?1049l"  # style, cursor, the alternate screen
)


class Terminal:
    """Remembers how the terminal was set. Made before the app starts."""

    def __init__(self) -> None:
        self._fd: int | None = None
        self._modes: list[object] | None = None
        with contextlib.suppress(Exception):
            import termios

            fd = sys.__stdin__.fileno() if sys.__stdin__ is not None else 0
            self._modes = termios.tcgetattr(fd)
            self._fd = fd

    def restore(self) -> None:
        """Put it back, as far as it is still there. Safe from every thread; never raises and never waits."""
        with contextlib.suppress(Exception):
            out = sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
            if os.isatty(out):
                os.set_blocking(out, False)
                try:
                    os.write(out, _RESET)
                finally:
                    os.set_blocking(out, True)
        if self._fd is not None and self._modes is not None:
            with contextlib.suppress(Exception):
                import termios

                termios.tcflush(self._fd, termios.TCIFLUSH)
                termios.tcsetattr(self._fd, termios.TCSANOW, self._modes)  # type: ignore[arg-type]


class LastResort:
    """Ends the process with the terminal put back, when what is waited for does not end. Nothing is lost by it:
    a page is safe in its spool file before its cursor advances, and the next start goes on from there."""

    def __init__(
        self,
        restore: Callable[[], None],
        leave: Callable[[int], object] = os._exit,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._restore = restore
        self._leave = leave
        self._patience = patience
        self._timer: threading.Timer | None = None

    def arm(self, code: int) -> None:
        """Leave with `code` when patience is over, unless `disarm` comes first."""
        if self._timer is None:
            self._timer = threading.Timer(self._patience, self.now, (code, "what was in hand did not end in time"))
            self._timer.daemon = True
            self._timer.start()

    def now(self, code: int, why: str = "") -> None:
        """Leave at once."""
        self._restore()
        if why:
            with contextlib.suppress(Exception):
                os.write(2, f"Left at once: {why}. Nothing is lost; the next start goes on from there.\n".encode())
        self._leave(code)
