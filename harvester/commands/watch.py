"""The same answer again and again on a terminal, in place, until somebody ends it: `--watch`."""

from __future__ import annotations

import io
import shutil
import time
from collections.abc import Callable
from typing import TextIO

from harvester.clock import Clock, SystemClock, utc

_SLICE = 0.1
"""Seconds in which a signal is noticed."""
_ENTER = "\x1b[?1049h\x1b[?7l\x1b[?25l"
"""Another screen, long lines cut, no cursor."""
_LEAVE = "\x1b[?25h\x1b[?7h\x1b[?1049l"


class Frame(io.StringIO):
    """Collects what is printed, as a terminal would get it."""

    def isatty(self) -> bool:
        return True


def watch(
    print_answer: Callable[[TextIO], object],
    every: float,
    leave: Callable[[], bool],
    *,
    out: TextIO,
    clock: Clock | None = None,
    pause: Callable[[float], None] = time.sleep,
    lines: Callable[[], int] = lambda: shutil.get_terminal_size().lines,
) -> None:
    """Print the answer now and every `every` seconds, until `leave` says so; the last one stays on the terminal.

    Args:
        print_answer: prints to the stream it is given; an answer that comes late is asked for again at once.
        every: seconds from one answer to the next.
        leave: asked ten times a second.
        out: the terminal.
        clock: what `every` is measured with.
        pause: sleeps for some seconds.
        lines: the height of the terminal.
    """
    clock = clock or SystemClock()
    text = ""
    out.write(_ENTER)
    try:
        while not leave():
            began = clock.monotonic()
            frame = Frame()
            print_answer(frame)
            text = frame.getvalue()
            head = f"{utc(clock.now()):%Y-%m-%d %H:%M:%S}Z  every {every:g} s, Ctrl-C ends"
            _draw(out, [head, "", *text.splitlines()], lines())
            while not leave() and (left := began + every - clock.monotonic()) > 0:
                pause(min(_SLICE, left))
    finally:
        out.write(_LEAVE)
        out.write(text)
        out.flush()


def _draw(out: TextIO, shown: list[str], height: int) -> None:
    if len(shown) > height:
        hidden = len(shown) - height + 1
        shown = [*shown[: height - 1], f"… {hidden} more lines: make the window higher"]
    # Over the old picture, line by line: a cleared screen would flicker.
    out.write("\x1b[H" + "\n".join(f"{line}\x1b[K" for line in shown) + "\x1b[J")
    out.flush()
