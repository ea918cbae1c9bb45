"""The commands for one queue, which the dashboard and the queue's own screen share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harvester.snapshot import QueueSnapshot, QueueState

if TYPE_CHECKING:
    from poe_ledger_tui.screens.base import LedgerScreen

    _Base = LedgerScreen
else:
    _Base = object

RESTING = frozenset({QueueState.STOPPED, QueueState.FAILED})


class QueueCommands(_Base):
    """Starting, stopping and pausing `queue_key`."""

    @property
    def queue_key(self) -> str | None:
        """The queue that is meant."""
        raise NotImplementedError

    @property
    def queue(self) -> QueueSnapshot | None:
        """It, as the Picture shows it."""
        return next((queue for queue in self.picture.queues if queue.queue_key == self.queue_key), None)

    def action_toggle_queue(self) -> None:
        """Start the queue where it rests, stop it where it runs."""
        queue = self.queue
        if queue is None:
            return
        if queue.state in RESTING:
            self.room.start_queue(queue.queue_key)
            self.ledger.say(f"Starting {queue.queue_key}.")
        else:
            self.room.stop_queue(queue.queue_key)
            self.ledger.say(f"Stopping {queue.queue_key}; the page in hand is finished.")

    def action_pause_queue(self) -> None:
        """Pause the queue, or let it go on."""
        queue = self.queue
        if queue is None or queue.state in RESTING:
            return
        if queue.state is QueueState.PAUSED:
            self.room.resume(queue.queue_key)
            self.ledger.say(f"{queue.queue_key} goes on.")
        else:
            self.room.pause(queue.queue_key)
            self.ledger.say(f"{queue.queue_key} pauses: what is in flight is finished.")
