"""One line below the header that says what is wrong or being done; not there while all is well."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from harvester.snapshot import QueueSnapshot, QueueState
from poe_ledger_tui.messages import Stage
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.queue_words import state_words
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import date_time, duration

_DOING = {Stage.COLD, Stage.OPENING, Stage.MIGRATING, Stage.CLOSING}
_API_TROUBLE = {QueueState.RETRYING, QueueState.FAILED}


class Banner(Static):
    """Says the worst thing there is to say, in words."""

    def __init__(self) -> None:
        super().__init__("", markup=False, id="banner")
        self._shown: tuple[str, str] | None = None

    def draw(self, picture: Picture) -> None:
        """Show what there is to say about a Picture, or nothing."""
        words, role = banner_words(picture)
        self.display = bool(words)
        self.set_class(role == "red", "-red")
        self.set_class(role == "amber", "-amber")
        shown = words, style(self.app.current_theme, role)
        if shown != self._shown:
            self._shown = shown
            self.update(Text(*shown, no_wrap=True, overflow="ellipsis"), layout=False)


def banner_words(picture: Picture) -> tuple[str, str]:
    """What to say, and in which role: `red`, `amber`, `accent`; empty where all is well."""
    room = picture.room
    todo = f" — {clean(room.todo)}" if room.todo else ""
    if room.stage in _DOING:
        return f"… {clean(room.words) or 'starting'}", "accent"
    if room.stage is Stage.LOST:
        tries = "1 try" if room.tries == 1 else f"{room.tries} tries"
        return f"!! STORE LOST: {clean(room.words)} — {tries}, {_next_try(room.next_try_at, picture.at)}{todo}", "red"
    if room.stage in (Stage.BLOCKED, Stage.BROKEN):
        return f"!! NOT HARVESTING: {clean(room.words)}{todo}", "red"
    if picture.source_trouble:
        return f"!! DISCONNECTED: {clean(picture.source_trouble)} — asked again every second{todo}", "red"
    if picture.past and picture.snapshot is not None:
        remark = f"{clean(picture.remark)} " if picture.remark else ""
        return f"◂ {remark}THE PAST, as it was at {date_time(picture.snapshot.taken_at)} — [ ] step, T is now", "amber"
    lost = [queue for queue in picture.queues if queue.state is QueueState.STORE_LOST]
    if lost:
        return _trouble("!! STORE LOST", lost, picture), "red"
    api = [queue for queue in picture.queues if queue.state in _API_TROUBLE and queue.trouble]
    moving = [queue for queue in picture.queues if queue.state not in _API_TROUBLE | {QueueState.STOPPED}]
    if api and not moving:
        word, role = state_words(api[0])
        return _trouble(word, api, picture), role
    if picture.remark:
        return f"! {clean(picture.remark)}", "amber"
    return "", ""


def _trouble(name: str, queues: list[QueueSnapshot], picture: Picture) -> str:
    trouble = queues[0].trouble
    if trouble is None:
        return name
    tries = "1 try" if trouble.tries == 1 else f"{trouble.tries} tries"
    todo = f" — {clean(trouble.todo)}" if trouble.todo else ""
    since = duration(picture.at - trouble.since)
    return f"{name} for {since}: {clean(trouble.what)} — {tries}, {_next_try(trouble.next_try_at, picture.at)}{todo}"


def _next_try(at: float | None, now: float) -> str:
    return "not tried again by itself" if at is None else f"next try in {duration(max(0.0, at - now))}"
