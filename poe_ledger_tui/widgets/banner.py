"""One line below the header that says what is wrong or being done; not there while all is well."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from harvester.lag import LagLevel
from harvester.snapshot import QueueSnapshot, QueueState
from poe_ledger_tui.messages import Stage
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.theme import style
from poe_ledger_tui.words import date_time, duration, tries_words

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
        tries = f"{_next_try(room.next_try_at, picture.at)}{tries_words(room.tries)}"
        return f"!! STORE LOST, {tries}: {clean(room.words)}{todo}", "red"
    if room.stage in (Stage.BLOCKED, Stage.BROKEN):
        return f"!! NOT HARVESTING: {clean(room.words)}{todo}", "red"
    if picture.source_trouble:
        return f"!! DISCONNECTED: {clean(picture.source_trouble)} — asked again every second{todo}", "red"
    if picture.past and picture.snapshot is not None:
        remark = f"{clean(picture.remark)} " if picture.remark else ""
        return f"◂ {remark}THE PAST, as it was at {date_time(picture.snapshot.taken_at)} — [ ] step, T is now", "amber"
    if words := _of_queues(picture):
        return words
    if picture.remark:
        return f"! {clean(picture.remark)}", "amber"
    return "", ""


def _of_queues(picture: Picture) -> tuple[str, str] | None:
    """What keeps all queues, or the worst of them, from moving."""
    queues = picture.queues
    if not queues:
        return None
    from poe_ledger_tui.queue_words import lag_words, state_words  # behind the first paint

    lost = [queue for queue in queues if queue.state is QueueState.STORE_LOST]
    if lost:
        return _trouble("!! STORE LOST", lost[0], picture), "red"
    api = [queue for queue in queues if queue.state in _API_TROUBLE and queue.trouble]
    moving = [queue for queue in queues if queue.state not in _API_TROUBLE | {QueueState.STOPPED}]
    late = [queue for queue in queues if queue.level in (LagLevel.AMBER, LagLevel.RED)]
    restricted = [queue for queue in late if queue.state is QueueState.RESTRICTED and queue.trouble]
    for queue in (api[:1] if not moving else []) + restricted:
        word, role = state_words(queue)
        return _trouble(word, queue, picture), role
    for queue in late:
        if queue.level is LagLevel.RED and queue.state is QueueState.HARVESTING and not queue.trouble:
            lag = lag_words(queue, picture.snapshot.taken_at if picture.snapshot else picture.at, picture.at)
            why = "waiting for an answer, or for leave to ask: Events (4) say which"
            return f"!! BEHIND: no page of {clean(queue.queue_key)} for {lag} — {why}", "red"
    return None


def _trouble(name: str, queue: QueueSnapshot, picture: Picture) -> str:
    trouble = queue.trouble
    if trouble is None:
        return name
    what, since = clean(trouble.what), duration(picture.at - trouble.since)
    todo = f" — {clean(trouble.todo)}" if trouble.todo else ""
    if trouble.next_try_at is None:
        return f"{name} for {since}: {what} — not tried again by itself{todo}"
    tries = tries_words(trouble.tries)
    return f"{name} for {since}, {_next_try(trouble.next_try_at, picture.at)}{tries}: {what}{todo}"


def _next_try(at: float | None, now: float) -> str:
    return "not tried again by itself" if at is None else f"next try in {duration(max(0.0, at - now))}"
