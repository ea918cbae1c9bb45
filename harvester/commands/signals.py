"""Leaving when asked: SIGINT, SIGTERM and SIGHUP end a command cleanly; a second one ends it at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from harvester.commands.exit_codes import DONE, INTERRUPTED

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class LeaveRequest:
    """Whether somebody asked us to leave, and with which exit code."""

    exit_code: int = DONE
    asked: bool = False


@contextmanager
def leaving_on_signals(ask: Callable[[], None]) -> Iterator[LeaveRequest]:
    """Call `ask` at the first signal; at the second the process ends where it is, which loses nothing."""
    request = LeaveRequest()

    def handle(number: int, _frame: FrameType | None) -> None:
        if request.asked:
            os._exit(INTERRUPTED if number == signal.SIGINT else 128 + number)
        request.asked = True
        request.exit_code = INTERRUPTED if number == signal.SIGINT else DONE
        ask()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
