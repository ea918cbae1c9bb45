"""Tells a person when a queue turns amber or red, and when it has recovered; how often is bounded."""

from __future__ import annotations

from dataclasses import dataclass, field

from harvester.events import moment
from harvester.health import level_of
from harvester.lag import LagLevel
from harvester.model import Epoch, Seconds
from harvester.snapshot import Snapshot

RECOVERED = "recovered"
_SEVERITY = {LagLevel.OK: 0, LagLevel.UNKNOWN: 0, LagLevel.AMBER: 1, LagLevel.RED: 2}
_WORDS = {0: RECOVERED, 1: "amber", 2: "red"}


@dataclass(frozen=True, slots=True)
class Alert:
    """A change worth a person's attention."""

    queue_key: str
    level: str
    """`amber`, `red` or `recovered`."""
    before: str
    """What was told last: `amber`, `red`, or `ok` where nothing was."""
    at: Epoch
    lag_seconds: Seconds | None
    what: str
    """The cause as the screen shows it; empty where none is known."""
    harvester: str
    """The machine and the process that harvests."""

    def text(self) -> str:
        """The alert as one line."""
        lag = "" if self.lag_seconds is None else f", no progress for {self.lag_seconds:,.0f} s"
        if self.level == RECOVERED:
            lag = ""
        cause = f": {self.what}" if self.what and self.level != RECOVERED else ""
        return f"poe-ledger {self.queue_key} {self.level} (was {self.before}{lag}){cause} [{self.harvester}]"

    def fields(self) -> dict[str, object]:
        """What a hook gets, as JSON: `text` and `content` are the line, under the names that chats read."""
        return {
            "text": self.text(),
            "content": self.text(),
            "queue": self.queue_key,
            "level": self.level,
            "before": self.before,
            "at": moment(self.at, 0.0),
            "lag_seconds": self.lag_seconds,
            "cause": self.what,
            "harvester": self.harvester,
        }


@dataclass(slots=True)
class _Told:
    severity: int = 0
    at: Epoch = float("-inf")
    highest: int = 0
    """Of what was told within the interval."""


@dataclass(slots=True)
class AlertWatch:
    """Compares each queue with what was told of it last.

    A turn for the worse is told at once. Anything else waits until `interval` seconds have passed since the last word
    on that queue, and is told as it stands then: a queue that flickers tells one alert an interval.
    """

    interval: Seconds
    _told: dict[str, _Told] = field(default_factory=dict)

    def look(self, snapshot: Snapshot) -> list[Alert]:
        """What is to be told now."""
        now = snapshot.taken_at
        alerts = []
        for queue in snapshot.queues:
            told = self._told.setdefault(queue.queue_key, _Told())
            severity, quiet = _SEVERITY[level_of(queue, snapshot)], now - told.at >= self.interval
            if severity == told.severity or not (quiet or severity > told.highest):
                continue
            alerts.append(
                Alert(
                    queue.queue_key,
                    _WORDS[severity],
                    _WORDS[told.severity] if told.severity else "ok",
                    now,
                    queue.lag_seconds,
                    queue.trouble.line(now) if queue.trouble else "",
                    f"{snapshot.harvester.host}, process {snapshot.harvester.pid}",
                )
            )
            told.highest = severity if quiet else max(told.highest, severity)
            told.severity, told.at = severity, now
        return alerts
