"""The progress of a headless harvest: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from harvester.commands.fill_progress import Filled, FillProgress
from harvester.commands.json_lines import JsonLines
from harvester.commands.output import printable, say
from harvester.events import Event, EventLog, Level
from harvester.lag import LagLevel
from harvester.snapshot import QueueSnapshot, Snapshot
from harvester.supervisor import Goal

LINE_EVERY_SECONDS = 10.0
_LEVEL_STYLE = {LagLevel.OK: "green", LagLevel.AMBER: "yellow", LagLevel.RED: "bold red", LagLevel.UNKNOWN: ""}
_SIGN = {LagLevel.OK: "", LagLevel.AMBER: "! ", LagLevel.RED: "!! ", LagLevel.UNKNOWN: ""}


class Display(Protocol):
    """Shows a harvest while it runs."""

    def tick(self) -> None:
        """Called a few times a second."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def make_display(
    err: TextIO, snapshot: Callable[[], Snapshot], events: EventLog, goal: Goal, log_format: str = "human"
) -> Display:
    """The display that fits where `err` goes. `log_format`: `human`, `json`, or `auto`, json where nobody reads."""
    if log_format == "json" or (log_format == "auto" and not err.isatty()):
        return _LineDisplay(snapshot, events, JsonLines(err))
    return (
        _LiveDisplay(err, snapshot, events, goal) if err.isatty() else _LineDisplay(snapshot, events, _PlainLines(err))
    )


class _Lines(Protocol):
    """How a display without a screen writes."""

    def event(self, event: Event) -> None:
        """What happened."""

    def queue(self, queue: QueueSnapshot, snapshot: Snapshot, filled: Filled | None) -> None:
        """How a queue stands."""


class _PlainLines:
    """For people."""

    def __init__(self, err: TextIO) -> None:
        self._err = err

    def event(self, event: Event) -> None:
        say(self._err, event_line(event))

    def queue(self, queue: QueueSnapshot, snapshot: Snapshot, filled: Filled | None) -> None:
        say(self._err, f"{_time(snapshot.taken_at)} {queue_line(queue, snapshot)}")
        if filled:
            say(self._err, f"{_time(snapshot.taken_at)} {queue.queue_key}: {filled.words()}")


class _LineDisplay:
    """Events as they come, and a line per queue every ten seconds."""

    def __init__(self, snapshot: Callable[[], Snapshot], events: EventLog, lines: _Lines) -> None:
        self._snapshot = snapshot
        self._lines = lines
        self._next_line = time.monotonic() + LINE_EVERY_SECONDS
        self._fills = FillProgress()
        events.listen(lines.event)

    def tick(self) -> None:
        snapshot = self._snapshot()
        if time.monotonic() < self._next_line:
            for queue in snapshot.queues:
                self._fills.of(queue, snapshot.taken_at)  # a fill begins when it begins, not at the next line
            return
        self._next_line += LINE_EVERY_SECONDS
        for queue in snapshot.queues:
            self._lines.queue(queue, snapshot, self._fills.of(queue, snapshot.taken_at))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class _LiveDisplay:
    """A table that renews itself; events scroll by above it."""

    def __init__(self, err: TextIO, snapshot: Callable[[], Snapshot], events: EventLog, goal: Goal) -> None:
        self._snapshot = snapshot
        self._goal = goal
        self._console = Console(file=err, markup=False, highlight=False, emoji=False)
        self._fills = FillProgress()
        self._live = Live(console=self._console, refresh_per_second=4, transient=True)
        events.listen(self._event)

    def tick(self) -> None:
        snapshot = self._snapshot()
        table = Table(box=None, pad_edge=False)
        for column in ("queue", "state", "lag", "pages", "stashes", "items", "spool"):
            table.add_column(column, justify="left" if column in ("queue", "state") else "right", no_wrap=True)
        for queue in snapshot.queues:
            table.add_row(
                queue.queue_key,
                queue.state.value,
                Text(_SIGN[queue.level] + _lag(queue), style=_LEVEL_STYLE[queue.level]),
                f"{queue.pages:,}" + (f" of {self._goal.pages:,}" if self._goal.pages else ""),
                f"{queue.stashes:,}",
                f"{queue.items:,}",
                str(queue.spool_pages),
            )
        requests = snapshot.requests
        figures = (
            f"{requests.per_second:.2f} requests/s   429: {requests.rate_limited}   "
            f"other errors: {requests.refused + requests.server_errors + requests.network_errors}   Ctrl-C stops"
        )
        troubles = [
            Text(printable(f"{queue.queue_key}: {queue.trouble.line(snapshot.taken_at)}"), style="yellow")
            for queue in snapshot.queues
            if queue.trouble
        ]
        bars = Table(box=None, pad_edge=False, show_header=False)
        for queue in snapshot.queues:
            if filled := self._fills.of(queue, snapshot.taken_at):
                bar = ProgressBar(total=filled.total, completed=filled.done, width=24)
                bars.add_row(queue.queue_key, bar, filled.words())
        parts = [table, bars] if bars.row_count else [table]
        self._live.update(Group(*parts, *troubles, Text(figures, style="dim")))

    def _event(self, event: Event) -> None:
        style = {Level.WARNING: "yellow", Level.ERROR: "bold red"}.get(event.level, "")
        self._console.print(Text(printable(event_line(event)), style=style))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()


def event_line(event: Event) -> str:
    """An event with its time, as every headless output shows it."""
    mark = {Level.WARNING: "! ", Level.ERROR: "!! "}.get(event.level, "")
    return f"{_time(event.at)} {mark}{event.line()}"


def queue_line(queue: QueueSnapshot, snapshot: Snapshot) -> str:
    """One queue in one line of words and figures."""
    requests = snapshot.requests
    trouble = f"  {queue.trouble.line(snapshot.taken_at)}" if queue.trouble else ""
    return (
        f"{queue.queue_key} {_SIGN[queue.level]}{queue.state}  lag {_lag(queue)}  pages {queue.pages:,}  "
        f"stashes {queue.stashes:,}  items {queue.items:,}  spool {queue.spool_pages}  "
        f"{requests.per_second:.2f} requests/s  429: {requests.rate_limited}{trouble}"
    )


def _lag(queue: QueueSnapshot) -> str:
    return "–" if queue.lag_seconds is None else f"{queue.lag_seconds:.0f} s"


def _time(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%H:%M:%SZ")
