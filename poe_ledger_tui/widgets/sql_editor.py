"""The editor of a query: SQL in colours, names completed while one types, earlier queries by ctrl+up."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.geometry import Offset
from textual.widgets import OptionList, TextArea
from textual.widgets.option_list import Option

from harvester.commands.output import printable
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.sql_colours import spans
from poe_ledger_tui.theme import style

if TYPE_CHECKING:
    from harvester.store.query_completion import Candidate, Completion

Completer = Callable[[str, str], "Completion | None"]
"""Given the text before and after the cursor; None while no names are known."""


class SqlText(TextArea):
    """A TextArea that colours ClickHouse's SQL and shows no control character as what it does."""

    def __init__(self, id: str, takes: Callable[[str], bool]) -> None:  # noqa: A002 - Textual's own name for it
        """`takes` is asked for each key before the text area uses it; True where it is used up."""
        super().__init__(
            id=id,
            soft_wrap=False,
            show_line_numbers=False,
            tab_behavior="focus",
            compact=True,
            highlight_cursor_line=False,  # its style would take the colours away
            placeholder="SELECT … FROM v_listings_current   F5 runs, F3 shows earlier queries",
        )
        self._takes = takes
        self._coloured_for: tuple[str, str] | None = None
        self._colours: dict[int, list[tuple[int, int, str]]] = {}

    async def _on_key(self, event: events.Key) -> None:
        if self._takes(event.key):
            event.stop()
            event.prevent_default()
            return
        await super()._on_key(event)

    def get_line(self, line_index: int) -> Text:
        line = self.document.get_line(line_index)
        shown = line if line.isascii() and line.isprintable() else _same_length(line)
        text = Text(shown, end="", no_wrap=True)
        for start, end, look in self._colours_now().get(line_index, ()):
            text.stylize(look, start, end)
        return text

    def _colours_now(self) -> dict[int, list[tuple[int, int, str]]]:
        """The coloured parts by line, read again only where text or theme changed."""
        theme = self.app.current_theme
        key = (self.text, theme.name)
        if key != self._coloured_for:
            self._coloured_for = key
            self._colours = _by_line(self.text, lambda role: style(theme, role))
        return self._colours


def _same_length(line: str) -> str:
    """Control characters shown as dots; as many characters as before, so that the cursor stands where it seems to."""
    return "".join(
        "·" if character not in " \t" and printable(character) != character else character for character in line
    )


def _by_line(text: str, look: Callable[[str], str]) -> dict[int, list[tuple[int, int, str]]]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: dict[int, list[tuple[int, int, str]]] = {}
    for span in spans(text):
        row = bisect_right(starts, span.start) - 1
        at = span.start
        while at < span.end and row + 1 < len(starts):
            end = min(span.end, starts[row + 1])
            found.setdefault(row, []).append((at - starts[row], end - starts[row], look(span.role)))
            at, row = end, row + 1
    return found


def _choice(candidate: Candidate) -> Text:
    """A candidate in the list: what it is stands dimmed behind it."""
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(clean(candidate.text, limit=60))
    return text.append(f"  {clean(candidate.detail or candidate.kind.value, limit=60)}", "dim")


class SqlEditor(Vertical):
    """The text with its list of completions. Tab takes one, up and down choose, escape closes the list."""

    def __init__(self, id: str, complete: Completer) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._complete = complete
        self._replaces = 0
        self._taking = False
        self._history: tuple[str, ...] = ()
        self._place = 0
        self._draft = ""

    def compose(self) -> ComposeResult:
        yield SqlText(id="sql-text", takes=self._takes)
        completions = OptionList(id="completions", compact=True, markup=False)
        completions.can_focus = False
        yield completions

    @property
    def area(self) -> SqlText:
        """The text area."""
        return self.query_one(SqlText)

    @property
    def text(self) -> str:
        """What is written."""
        return self.area.text

    def load(self, text: str) -> None:
        """Put a text in place of what is written; undo brings that back."""
        area = self.area
        self._taking = True
        area.replace(text, area.document.start, area.document.end)
        area.move_cursor(area.document.end)
        self.close_list()
        area.focus()

    def remember(self, queries: tuple[str, ...]) -> None:
        """Earlier queries, oldest first, for ctrl+up and ctrl+down."""
        self._history = queries
        self._place = len(queries)

    # Completing --------------------------------------------------------------------------------------------------

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    @on(TextArea.Changed)
    def _offer(self) -> None:
        if self._taking:
            self._taking = False
            self.close_list()
            return
        self.offer(least=2)

    def offer(self, least: int = 0) -> None:
        """Show what could be written here, where at least so many characters of it are typed."""
        area = self.area
        before = area.get_text_range(area.document.start, area.cursor_location)
        after = area.get_text_range(area.cursor_location, area.document.end)
        found = self._complete(before, after)
        if found is None or not found.candidates or (found.replaces < least and not before.endswith(".")):
            self.close_list()
            return
        self._replaces = found.replaces
        choices = self._list
        choices.clear_options()
        choices.add_options(Option(_choice(one), id=one.text) for one in found.candidates)
        choices.highlighted = 0
        choices.absolute_offset = area.cursor_screen_offset + Offset(0, 1)
        choices.display = True

    def close_list(self) -> None:
        """Offer nothing."""
        self._list.display = False

    def _take(self) -> None:
        choices = self._list
        if choices.highlighted is None:
            return
        chosen = choices.get_option_at_index(choices.highlighted).id or ""
        area = self.area
        row, column = area.cursor_location
        self._taking = True
        area.replace(chosen, (row, column - self._replaces), (row, column))
        self.close_list()

    def _take_or_indent(self) -> None:
        if not self._list.display and self._complete_fits():
            self.offer()
        if self._list.display:
            self._take()
        elif not self._complete_fits():
            self.area.insert("  ")

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._take()
        self.area.focus()

    @on(TextArea.SelectionChanged)
    def _moved(self) -> None:
        if self._list.display and not self._complete_fits():
            self.close_list()

    def _complete_fits(self) -> bool:
        area = self.area
        line = area.document.get_line(area.cursor_location[0])[: area.cursor_location[1]]
        return bool(line) and (line[-1].isalnum() or line[-1] in "_.")

    def _takes(self, key: str) -> bool:
        """What the list and the history do with a key, before the text area moves its cursor by it."""
        choices = self._list
        if key in {"ctrl+up", "ctrl+down"}:
            self._walk(-1 if key == "ctrl+up" else 1)
        elif key == "ctrl+@":  # what terminals send for ctrl+space
            self.offer()
        elif key == "tab":
            # Never out of the editor: what is typed next would be taken for commands. Escape leaves it.
            self._take_or_indent()
        elif choices.display and key == "escape":
            self.close_list()
        elif choices.display and key in {"up", "down"}:
            (choices.action_cursor_up if key == "up" else choices.action_cursor_down)()
        else:
            return False
        return True

    def _walk(self, step: int) -> None:
        place = self._place + step
        if not 0 <= place <= len(self._history):
            return
        if self._place == len(self._history):
            self._draft = self.text
        self._place = place
        self.load(self._draft if place == len(self._history) else self._history[place])
