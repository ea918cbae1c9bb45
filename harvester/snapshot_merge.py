"""Several harvesters on one screen: their Snapshots of about one instant, as one.

Each harvester runs queues of its own (a lease sees to that), so queues are put side by side, what is counted is
summed, and what was said last stays. A harvester that has fallen silent stays too, and its queues show it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

from harvester.lag import lag_level
from harvester.snapshot import (
    History,
    QueueSnapshot,
    QueueState,
    RequestsSnapshot,
    Snapshot,
    SpoolSnapshot,
    ThroughputSnapshot,
    Trouble,
)

SILENT_AFTER_SECONDS = 20.0
"""A harvester speaks every five seconds; four times in vain is no accident."""
GONE_AFTER_SECONDS = 600.0
"""One that ended as it was told is forgotten by a screen that shows others, after so long."""
_AT_REST = frozenset((QueueState.STOPPED, QueueState.FAILED))


def merge_snapshots(snapshots: Sequence[Snapshot]) -> Snapshot:
    """One Snapshot of several harvesters, at the instant of the newest. One alone comes back as it is.

    Raises:
        ValueError: there are none.
    """
    ordered = sorted(snapshots, key=lambda snapshot: snapshot.taken_at, reverse=True)
    if not ordered:
        raise ValueError("no Snapshots to merge")
    newest = ordered[0]
    members = [one for one in ordered if one is newest or not _left(one, newest.taken_at)]
    if len(members) == 1:
        return newest
    queues: dict[str, QueueSnapshot] = {}
    for member in members:
        for queue in member.queues:
            queues.setdefault(queue.queue_key, _as_of(queue, member, newest.taken_at))
    speaking = [one for one in members if newest.taken_at - one.taken_at <= SILENT_AFTER_SECONDS]
    return replace(
        newest,
        started_at=min(one.started_at for one in members),
        requests=_requests(members, speaking),
        queues=tuple(queues[key] for key in sorted(queues)),
        pacers=tuple(pacer for one in speaking for pacer in one.pacers),
        events=tuple(sorted((event for one in members for event in one.events), key=lambda event: event.at))[-50:],
        throughput=_throughput(speaking),
        throttles=tuple(sorted((t for one in members for t in one.throttles), key=lambda throttle: throttle.at))[-20:],
        store=next((one.store for one in members if one.store.reachable), newest.store),
        schema=next((one.schema for one in members if one.schema), None),
        spool=SpoolSnapshot(
            sum(one.spool.pages for one in members),
            sum(one.spool.bytes for one in members),
            sum(one.spool.budget_bytes for one in members),
        ),
    )


def silent_since(snapshot: Snapshot, now: float) -> float | None:
    """Since when a harvester says nothing though it should; None while it speaks, or where it ended as it was told."""
    resting = snapshot.queues and all(queue.state in _AT_REST for queue in snapshot.queues)
    return None if resting or now - snapshot.taken_at <= SILENT_AFTER_SECONDS else snapshot.taken_at


def _left(snapshot: Snapshot, now: float) -> bool:
    return silent_since(snapshot, now) is None and now - snapshot.taken_at > GONE_AFTER_SECONDS


def _as_of(queue: QueueSnapshot, member: Snapshot, now: float) -> QueueSnapshot:
    """A queue of a Snapshot that is older than the picture: its lag has grown, and silence is trouble."""
    elapsed = now - member.taken_at
    if elapsed <= SILENT_AFTER_SECONDS or queue.state in _AT_REST:
        return queue
    lag = None if queue.lag_seconds is None else queue.lag_seconds + elapsed
    who = member.harvester
    silence = Trouble(
        f"no word from process {who.pid} on {who.host}", member.taken_at, 0, None, "See whether it still runs there."
    )
    return replace(
        queue,
        state=QueueState.UNKNOWN,
        lag_seconds=lag,
        level=lag_level(lag, member.amber_seconds, member.red_seconds),
        stalled_since=queue.stalled_since or member.taken_at,
        trouble=silence,
    )


def _requests(members: Sequence[Snapshot], speaking: Sequence[Snapshot]) -> RequestsSnapshot:
    every = [one.requests for one in members]
    slowest_p50 = [one.requests.p50_ms for one in speaking if one.requests.p50_ms is not None]
    slowest_p95 = [one.requests.p95_ms for one in speaking if one.requests.p95_ms is not None]
    return RequestsSnapshot(
        total=sum(one.total for one in every),
        per_second=sum(one.requests.per_second for one in speaking),
        ok=sum(one.ok for one in every),
        rate_limited=sum(one.rate_limited for one in every),
        refused=sum(one.refused for one in every),
        server_errors=sum(one.server_errors for one in every),
        network_errors=sum(one.network_errors for one in every),
        p50_ms=max(slowest_p50, default=None),
        p95_ms=max(slowest_p95, default=None),
        wire_bytes=sum(one.wire_bytes for one in every),
        cancelled=sum(one.cancelled for one in every),
        rate=_sum([one.requests.rate for one in speaking]),
    )


def _throughput(speaking: Sequence[Snapshot]) -> ThroughputSnapshot:
    every = [one.throughput for one in speaking]
    return ThroughputSnapshot(
        pages_per_second=sum(one.pages_per_second for one in every),
        stashes_per_second=sum(one.stashes_per_second for one in every),
        items_per_second=sum(one.items_per_second for one in every),
        bytes_per_second=sum(one.bytes_per_second for one in every),
        pages=_sum([one.pages for one in every]),
        stashes=_sum([one.stashes for one in every]),
        items=_sum([one.items for one in every]),
        bytes=_sum([one.bytes for one in every]),
    )


def _sum(histories: Sequence[History]) -> History:
    """Step by step from the newest; their steps end within one step of another, which no screen can show."""
    known = [history for history in histories if history.values]
    if not known:
        return History()
    columns = zip_longest(*(reversed(history.values) for history in known))
    summed = [None if all(v is None for v in column) else sum(v or 0.0 for v in column) for column in columns]
    return replace(known[0], values=tuple(reversed(summed)))
