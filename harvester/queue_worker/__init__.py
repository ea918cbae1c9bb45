"""The loop of one queue: pace → fetch → spool → commit → checkpoint.

Two tasks share it. The first asks and spools, ahead of the store by what the spool may hold; the second brings spooled
pages into the store, in order. Each waits out its own failures, and says so.
"""

from __future__ import annotations

from harvester.queue_worker.policy import QueueStopped, WorkerPolicy
from harvester.queue_worker.worker import QueueWorker

__all__ = ["QueueStopped", "QueueWorker", "WorkerPolicy"]
