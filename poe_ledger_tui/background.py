"""Blocking work of a screen, on a thread that only posts.

    self.bench = Bench("sanity", self.post_message)          # in the screen's __init__
    self.bench.begin(lambda report: run_checks(..., report)) # on the event loop; returns at once

    @on(JobReported)
    def _progress(self, message): if self.bench.is_current(message): ...
    @on(JobEnded)
    def _ended(self, message): if self.bench.is_current(message): ...

The thread's body calls the work and posts; it touches no widget. Python cannot stop a thread: `forget` only makes the
late result count for nothing, by its generation number. Work that can be cancelled at its source (a query by its id) is
cancelled there by whoever owns it. Threads are daemons: leaving never waits for one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from textual.message import Message

from poe_ledger_tui.messages import JobEnded, JobReported

Report = Callable[[Any], None]
"""Tells how far a job is; safe from the job's thread."""


class BenchBusyError(Exception):
    """A job still runs on a bench that takes one at a time."""


class Bench:
    """One job at a time. Used from the event loop only; the work runs on a thread of its own."""

    def __init__(self, name: str, post: Callable[[Message], bool]) -> None:
        """`post` is the `post_message` of the widget or screen that handles `JobReported` and `JobEnded`."""
        self.name = name
        self._post = post
        self._generation = 0
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether the thread of the last job, forgotten or not, is still at work."""
        return self._thread is not None and self._thread.is_alive()

    def begin(self, work: Callable[[Report], Any], *, beside: bool = False) -> int:
        """Run `work(report)`; returns its generation. What an older job still reports counts for nothing.

        `beside` allows a forgotten job to be still at work: for reading. Without it a second job is refused: for what
        must never run twice at a time.

        Raises:
            BenchBusyError: a job still runs.
        """
        if self.busy and not beside:
            raise BenchBusyError(f"{self.name} is still at work")
        self._generation += 1
        self._thread = threading.Thread(
            target=_run_and_post,
            args=(self.name, self._generation, work, self._post),
            name=f"{self.name} {self._generation}",
            daemon=True,
        )
        self._thread.start()
        return self._generation

    def forget(self) -> None:
        """Whatever the running job still says counts for nothing."""
        self._generation += 1

    def is_current(self, message: JobReported | JobEnded) -> bool:
        """Whether a message is of this bench's newest job."""
        return message.bench == self.name and message.generation == self._generation


def _run_and_post(bench: str, generation: int, work: Callable[[Report], Any], post: Callable[[Message], bool]) -> None:
    """The thread's body: it only posts."""

    def report(value: Any) -> None:
        post(JobReported(bench, generation, value))

    try:
        value = work(report)
    except Exception as error:  # judged by the screen that asked
        post(JobEnded(bench, generation, None, error))
    else:
        post(JobEnded(bench, generation, value, None))
