"""Reads Snapshots back from `poe_ingest_status`: the newest, the one at a time, and those before and after it.

Harvesters that share a store run different queues. Each writes its whole Snapshot on the row of its first queue, so
the first queues tell the harvesters apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from harvester.snapshot import Snapshot
from harvester.snapshot_json import SnapshotUnreadableError, decode_snapshot
from harvester.snapshot_merge import merge_snapshots
from harvester.snapshot_source import without_countdowns
from harvester.store.handle import Handle

MEMORY_SECONDS = 86_400.0
"""A harvester that has said nothing for so long is no part of the picture any more, unless it is the only one."""
LAST_SECOND = 9_000_000_000.0
"""Times beyond it (the year 2255) no table can hold."""
_SPANS_SECONDS = (3600.0, MEMORY_SECONDS, LAST_SECOND)
"""Nearer times are tried first: the table is in time order, and most steps are short."""


class StoredSnapshots:
    """Reads on one handle, from one thread. Times are epoch seconds."""

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.remark = ""
        """What the reader of the newest answer should know: of another version, or left out. Else empty."""

    def at_or_before(self, at: float, *, queue_key: str | None = None) -> Snapshot | None:
        """The harvest as it was last known at a time; with `queue_key`, only the harvester that runs this queue.

        None where nothing so old is kept. What only the living know is None in it.

        Raises:
            StoreError: the store cannot be asked.
        """
        newest = self.before(at, inclusive=True)
        if newest is None:
            return None
        found = self._snapshots(newest - MEMORY_SECONDS, newest)
        if queue_key is not None:
            found = [one for one in found if any(queue.queue_key == queue_key for queue in one.queues)]
        return without_countdowns(merge_snapshots(found)) if found else None

    def newest(self, now: float) -> float | None:
        """When the newest Snapshot was taken, by a clock that may be ahead of ours; None where there is none."""
        return self._nearest("max", "taken_at <= {late} AND taken_at >= {early}", LAST_SECOND, now, -1)

    def before(self, at: float, *, inclusive: bool = False) -> float | None:
        """When the last Snapshot before a time was taken; None where there is none."""
        condition = f"taken_at {'<=' if inclusive else '<'} {{late}} AND taken_at >= {{early}}"
        return self._nearest("max", condition, at, at, -1)

    def after(self, at: float) -> float | None:
        """When the next Snapshot after a time was taken; None where there is none."""
        return self._nearest("min", "taken_at > {early} AND taken_at <= {late}", at, at, 1)

    # Inside ------------------------------------------------------------------------------------------------------

    def _nearest(self, choice: str, condition: str, bound: float, start: float, way: int) -> float | None:
        """The nearest instant from `start` on, backwards or forwards, in spans that grow; `bound` is the other end."""
        start = max(0.0, min(start, LAST_SECOND))
        for span in _SPANS_SECONDS:
            early, late = sorted((_milliseconds(bound), _milliseconds(start + way * span)))
            found = self._handle.value(
                f"SELECT {choice}OrNull(toUnixTimestamp64Milli(taken_at)) FROM poe_ingest_status WHERE "
                + condition.format(early=_instant("early"), late=_instant("late")),
                {"early": early, "late": late},
            )
            if found is not None:
                return int(found) / 1000
        return None

    def _snapshots(self, since: float, until: float) -> list[Snapshot]:
        """The newest Snapshot of each harvester in a span of time, those whose queues others took over left out."""
        last_rows = self._handle.rows(
            "SELECT queue_key, max(toUnixTimestamp64Milli(taken_at)) FROM poe_ingest_status"
            f" WHERE taken_at >= {_instant('since')} AND taken_at <= {_instant('until')} GROUP BY queue_key",
            {"since": _milliseconds(since), "until": _milliseconds(until)},
        )
        rows = self._handle.rows(
            "SELECT snapshot FROM poe_ingest_status PREWHERE queue_key IN {keys:Array(String)} AND taken_at IN"
            " (SELECT fromUnixTimestamp64Milli(arrayJoin({instants:Array(Int64)}), 'UTC')) WHERE snapshot != ''",
            {"keys": [key for key, _ in last_rows], "instants": sorted({int(instant) for _, instant in last_rows})},
        )
        return self._decoded([str(text) for (text,) in rows])

    def _decoded(self, texts: Sequence[str]) -> list[Snapshot]:
        self.remark = ""
        found = []
        for text in texts:
            try:
                decoded = decode_snapshot(text.encode())
            except SnapshotUnreadableError as error:
                self.remark = f"A stored Snapshot is left out: {error}"
            else:
                found.append(decoded.snapshot)
                self.remark = decoded.remark or self.remark
        return found


def _instant(name: str) -> str:
    """A parameter in milliseconds as the type of `taken_at`."""
    return f"fromUnixTimestamp64Milli({{{name}:Int64}}, 'UTC')"


def _milliseconds(at: float) -> int:
    """As `taken_at` is kept; see `harvester.clock.utc`."""
    return round(max(0.0, min(at, LAST_SECOND)) * 1000)
