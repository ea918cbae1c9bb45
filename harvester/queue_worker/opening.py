"""Opening a queue's store, however long that takes, and where the harvest goes on from."""

from __future__ import annotations

from harvester.clock import Clock
from harvester.events import Level
from harvester.feeds.base import Feed
from harvester.queue_store import Opened, QueueStore
from harvester.queue_worker.disk_words import disk_words
from harvester.queue_worker.policy import QueueStopped
from harvester.queue_worker.standing_words import tell_spool
from harvester.queue_worker.telling import Side, Teller
from harvester.store.cursor_file import CursorFileDamaged
from harvester.store.errors import StoreError
from harvester.store.name_salt import SaltUnusable
from harvester.store.spool import DamagedPage

SLOW_OPENING_SECONDS = 15.0
FIRST_PAGE_TODO = (
    "The store has no page yet that it could follow: move the file away, then start again. Check the disk."
)


async def open_store(store: QueueStore, teller: Teller, clock: Clock) -> Opened:
    """Open the store; failures that waiting can mend are waited out.

    Raises:
        QueueStopped: a person has to mend something first.
    """
    tries, since = 0, clock.now()
    while True:
        try:
            async with teller.patiently("opening", SLOW_OPENING_SECONDS, "the store is being opened", "waiting for it"):
                opened = await store.open()
        except CursorFileDamaged as error:
            raise QueueStopped(str(error), "Mend or remove the file, then start again.") from error
        except DamagedPage as error:
            raise QueueStopped(f"the spool file {error.path} is damaged: {error.reason}", FIRST_PAGE_TODO) from error
        except SaltUnusable as error:
            raise QueueStopped(str(error), error.todo) from error
        except StoreError as error:
            if not error.retryable:
                raise QueueStopped(str(error), error.hint) from error
            tries += 1
            await teller.store_pause(error, tries, since, "the spool keeps what is there")
        except OSError as error:
            tries += 1
            what, todo = disk_words("the spool or the cursor file cannot be used", error, store.spool_directory)
            await teller.retry_pause(what, tries, since, side=Side.STORE, todo=todo)
        else:
            teller.over(Side.STORE)
            return opened


def tell_standing(opened: Opened, feed: Feed, teller: Teller, now: float) -> str:
    """Say what was found, and return the cursor to go on from; empty for the start of the stream.

    Raises:
        QueueStopped: the cursor that was saved cannot be asked with.
    """
    standing, last = opened.standing, opened.last
    tell_spool(standing, feed.shown, teller)
    if standing.to_commit:
        waiting = len(standing.to_commit)
        what = "1 page waits" if waiting == 1 else f"{waiting:,} pages wait"
        teller.say(Level.INFO, f"{what} in the spool", "committed first")
    in_store = last.next_cursor_id if last else None
    if opened.saved_cursor and standing.cursor and opened.saved_cursor not in (standing.cursor, in_store):
        teller.say(
            Level.WARNING,
            f"the cursor file says {opened.saved_cursor}, the store {standing.cursor}",
            "the store is believed",
        )
    cursor = (standing.cursor if standing.cursor is not None else opened.saved_cursor) or feed.first_cursor(now)
    if cursor and (problem := feed.cursor_problem(cursor, now)):
        raise QueueStopped(f"cannot go on from the saved cursor: {problem}", "Mend or remove the cursor file.")
    teller.say(Level.INFO, f"harvesting from {feed.shown(cursor)}")
    return cursor
