"""Whether a harvest is well, from one Snapshot: judged by progress, never by attempts."""

from __future__ import annotations

from dataclasses import dataclass

from harvester.lag import LagLevel, lag_level
from harvester.snapshot import QueueSnapshot, QueueState, Snapshot

_ON_PURPOSE = frozenset((QueueState.PAUSED, QueueState.WAITING, QueueState.STOPPING, QueueState.STOPPED))
_NOT_YET = frozenset((QueueState.STARTING, QueueState.RECOVERING))


@dataclass(frozen=True, slots=True)
class Health:
    """A verdict and its reasons, one line each; good ones have none."""

    good: bool
    reasons: tuple[str, ...]

    @staticmethod
    def of(reasons: list[str]) -> Health:
        """Good where there is no reason against it."""
        return Health(not reasons, tuple(reasons))


def progress_health(snapshot: Snapshot) -> Health:
    """Whether every queue moves: bad from a red lag on, counted from the start where nothing has moved yet."""
    return Health.of([line for queue in snapshot.queues if (line := _standstill(queue, snapshot))])


def readiness(snapshot: Snapshot) -> Health:
    """Whether the harvest has begun and its store takes pages."""
    reasons = [f"{queue.queue_key}: {queue.state}" for queue in snapshot.queues if queue.state in _NOT_YET]
    if not snapshot.store.reachable:
        why = snapshot.store.trouble if snapshot.store.reachable is False else ""
        reasons.append(f"store: {why or ('not asked yet' if snapshot.store.reachable is None else 'away')}")
    return Health.of(reasons)


def level_of(queue: QueueSnapshot, snapshot: Snapshot) -> LagLevel:
    """How worrying a queue is: not at all where a person wanted it to stand, red where it failed, else by progress."""
    if queue.state in _ON_PURPOSE:
        return LagLevel.OK
    if queue.state is QueueState.FAILED:
        return LagLevel.RED
    return lag_level(_standing_for(queue, snapshot), snapshot.amber_seconds, snapshot.red_seconds)


def _standing_for(queue: QueueSnapshot, snapshot: Snapshot) -> float:
    """Seconds without progress, counted from the start where nothing has moved yet."""
    return snapshot.taken_at - snapshot.started_at if queue.lag_seconds is None else queue.lag_seconds


def _standstill(queue: QueueSnapshot, snapshot: Snapshot) -> str:
    if level_of(queue, snapshot) is not LagLevel.RED:
        return ""
    if queue.state is QueueState.FAILED:
        return f"{queue.queue_key}: failed"
    trouble = f": {queue.trouble.what}" if queue.trouble else ""
    return f"{queue.queue_key}: no progress for {_standing_for(queue, snapshot):.0f} s{trouble}"
