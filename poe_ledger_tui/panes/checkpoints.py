"""How far every queue has come: one row a queue."""

from __future__ import annotations

from collections.abc import Mapping

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.theme import Theme

from harvester.snapshot import QueueSnapshot
from poe_ledger_tui.panes.base import say_age
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.queue_words import behind_words, cursor_words, lag_words, stalled_words, state_words, trouble_words
from poe_ledger_tui.safe_text import one_line
from poe_ledger_tui.theme import style
from poe_ledger_tui.widgets.table import Column, LedgerTable
from poe_ledger_tui.words import UNKNOWN, middle

LEFT_OUT = "needs an OAuth client: Enter says where to put it"


class CheckpointsPane(Vertical):
    """State, lag, behind, cursor, stalled since and last trouble. Enter opens the queue."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id, classes="pane")
        self.border_title = "Checkpoints"
        self._picture: Picture | None = None

    def compose(self) -> ComposeResult:
        yield LedgerTable(id="queues")

    @property
    def queue_key(self) -> str | None:
        """The queue under the cursor."""
        return self.query_one(LedgerTable).row_key

    def draw(self, picture: Picture) -> None:
        """Show a Picture."""
        self._picture = picture
        say_age(self, picture)
        width = self.content_size.width
        if width <= 0:
            return
        table = self.query_one(LedgerTable)
        columns = columns_for(width)
        table.set_columns(columns)
        theme = self.app.current_theme
        rows = {queue.queue_key: row_of(queue, picture, columns, theme) for queue in picture.queues}
        for key in picture.room.queues_left_out:
            if key not in rows:
                rows[key] = left_out_row(key, columns, theme)
        table.show_rows(rows)

    def on_resize(self) -> None:
        if self._picture is not None:
            self.draw(self._picture)


def columns_for(width: int) -> tuple[Column, ...]:
    """The columns that a width has room for; cursor and trouble share what is left."""
    fixed = [Column("queue", "queue", 10), Column("state", "state", 13), Column("lag", "lag", 8)]
    if width >= 70:
        fixed.append(Column("behind", "behind", 6))
    if width >= 96:
        fixed.append(Column("stalled", "stalled", 7))
    padding = 2
    width -= 1  # the scrollbar
    room = width - sum(column.width + padding for column in fixed)
    if width < 70:
        return (*fixed, Column("trouble", "last trouble", max(8, room - padding)))
    cursor = min(60, max(11, (room - 2 * padding) * 2 // 5))
    trouble = max(8, room - 2 * padding - cursor)
    return (*fixed[:4], Column("cursor", "cursor", cursor), *fixed[4:], Column("trouble", "last trouble", trouble))


def row_of(queue: QueueSnapshot, picture: Picture, columns: tuple[Column, ...], theme: Theme) -> tuple[Text, ...]:
    """The cells of a queue."""
    words, role = state_words(queue)
    taken_at = picture.snapshot.taken_at if picture.snapshot is not None else picture.at
    lag_role = role if role in ("amber", "red") else ""
    quiet = style(theme, "muted")
    cells = {
        "queue": one_line(queue.queue_key, limit=40),
        "state": Text(words, style=style(theme, role)),
        "lag": Text(f"{lag_words(queue, taken_at, picture.at):>8}", style=style(theme, lag_role)),
        "behind": Text(f"{behind_words(queue):>6}"),
        "stalled": Text(stalled_words(queue), style=style(theme, "red" if role == "red" else "amber")),
        "trouble": one_line(
            trouble_words(queue, picture.at),
            style(theme, role if queue.trouble and role in ("amber", "red") else "muted"),
        ),
    }
    cursor = cursor_words(queue.queue_key, queue.cursor or queue.next_cursor)
    width = next((column.width for column in columns if column.key == "cursor"), 0)
    if len(cursor) > width and cursor != (queue.cursor or queue.next_cursor):
        cursor = cursor[len("2026-") :]  # an hour: cut in its middle it would say nothing
    cells["cursor"] = Text(middle(cursor, width) or UNKNOWN, style=quiet)
    return _fitted(cells, columns)


def _fitted(cells: Mapping[str, Text], columns: tuple[Column, ...]) -> tuple[Text, ...]:
    """The cells in the order of the columns; what is cut off says so."""
    row = tuple(cells[column.key] for column in columns)
    for cell, column in zip(row, columns, strict=True):
        cell.truncate(column.width, overflow="ellipsis")
    return row


def left_out_row(key: str, columns: tuple[Column, ...], theme: Theme) -> tuple[Text, ...]:
    """The cells of a queue that is configured and cannot run."""
    cells = {
        "queue": one_line(key, limit=40),
        "state": Text("○ NO CLIENT", style=style(theme, "muted")),
        "trouble": Text(LEFT_OUT, style=style(theme, "muted")),
    }
    unknown = {column.key: Text(UNKNOWN, style=style(theme, "muted")) for column in columns}
    return _fitted(unknown | cells, columns)
