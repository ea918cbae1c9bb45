"""Progress of long work: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.progress import Progress, ProgressColumn

from harvester.commands.output import say

LINE_EVERY_SECONDS = 5.0


class BarOrLines:
    """Use it as a context; `update` says when a line is due."""

    def __init__(self, err: TextIO, *columns: ProgressColumn, task: str, **fields: Any) -> None:
        """`columns` make the bar; `task` is its first description, and `fields` what else its columns show."""
        self._err = err
        self._next_line = time.monotonic() + LINE_EVERY_SECONDS
        self._bar: Progress | None = None
        if err.isatty():
            console = Console(file=err, markup=False, highlight=False, emoji=False)
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(task, total=None, **fields)

    def update(self, description: str, completed: float, total: float, **fields: Any) -> bool:
        """Show it on the bar; True where there is none and a line is due."""
        if self._bar is not None:
            self._bar.update(self._task, description=description, completed=completed, total=total, **fields)
            return False
        due = time.monotonic() >= self._next_line
        if due:
            self._next_line = time.monotonic() + LINE_EVERY_SECONDS
        return due

    def say(self, line: str) -> None:
        """A line to the same place."""
        say(self._err, line)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
