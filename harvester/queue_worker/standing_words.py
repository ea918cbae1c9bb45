"""What a start found in the spool, as events: one for each thing that is wrong, however many pages it concerns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harvester.events import Level
from harvester.queue_worker.telling import Teller
from harvester.store.commit import Damage, Fate, Standing

DAMAGED_TODO = "Check the disk."


def tell_spool(standing: Standing, shown: Callable[[str], str], teller: Teller) -> None:
    """Say what became of spool files that are damaged, of no use or of another queue. `shown`: a cursor in words."""
    again = [damage for damage in standing.damaged if damage.fate is Fate.ASKED_AGAIN]
    if again:
        _tell_asked_again(again, standing, shown, teller)
    for fate, then in (
        (Fate.RESTORED, "the store has begun with the page: its file is written anew from there"),
        (Fate.COMMITTED, "nothing is missing: the store has what it held. It is set aside"),
    ):
        if those := [damage for damage in standing.damaged if damage.fate is fate]:
            teller.say(Level.WARNING, _files(those), f"{then} ({those[0].path})", DAMAGED_TODO)
    first = again[0].seq if again else float("inf")
    if useless := [seq for seq in standing.discarded if seq < first]:
        which = f"spooled page {useless[0]} does not"
        if len(useless) > 1:
            which = f"{len(useless)} spooled pages, {useless[0]} to {useless[-1]}, do not"
        then = "set aside; the stream is asked from where the store stands"
        teller.say(Level.WARNING, f"{which} continue what the store holds", then)
    for what in standing.foreign:
        teller.say(
            Level.ERROR,
            f"the spool holds a page of another queue: {what}",
            "it is set aside, with all its bytes; the stream is asked from where the store stands",
            "Look how it came there; put it where it belongs, or delete it.",
        )


def _tell_asked_again(again: Sequence[Damage], standing: Standing, shown: Callable[[str], str], teller: Teller) -> None:
    behind = sum(seq > again[0].seq for seq in standing.discarded)
    one = len(again) == 1
    these = "it" if one else "they"
    if behind:
        these += f" and {'the page' if behind == 1 else f'{behind} pages'} behind"
    are = "is" if one and not behind else "are"
    then = f"{these} {are} set aside, and asked for again from {shown(standing.cursor or '')}"
    teller.say(Level.WARNING, f"{_files(again)} ({again[0].path})", then, DAMAGED_TODO)


def _files(damaged: Sequence[Damage]) -> str:
    first = damaged[0]
    if len(damaged) == 1:
        return f"the spool file of page {first.seq} is damaged: {first.reason}"
    return f"{len(damaged)} spool files are damaged, that of page {first.seq} and on: {first.reason}"
