"""The one registry of what the operator can do: keys, footer, help, palette and clickable things are made from it.

A screen writes `BINDINGS = bindings_of("migrations")` and methods `action_…`; it names no key. To add an action, add an
entry to `ACTIONS`. Every action has an id by which a key can be given to it in the configuration file
(`poe_ledger_tui/config.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.binding import Binding, BindingType

EVERYWHERE = "everywhere"
"""Scope of actions that every screen has."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something the operator can do."""

    id: str
    """`scope.name`, stable: configuration files name it."""
    keys: tuple[str, ...]
    """As Textual names them; the first is shown."""
    title: str
    """One or two words, for the footer."""
    description: str
    """One sentence, for help, palette and tooltips."""
    group: str
    """Heading in the help."""
    call: str
    """What runs it: `app.NAME` or `screen.NAME`, with the method `action_NAME` there."""
    dangerous: bool = False
    """It changes the store or stops the harvest; not offered where one may only watch."""
    short: str = ""
    """Its title where room is short; empty: the title."""
    footer: bool = False
    """Whether the footer shows it. Footers are short: at 80 columns about eight fit."""
    priority: bool = False
    """Whether the key works even while a field is being typed into. For keys that no field needs."""

    @property
    def scope(self) -> str:
        """The screen that has it, or `everywhere`."""
        return self.id.partition(".")[0]


_GO, _HARVEST, _SCHEMA, _QUERY = "Go to", "Harvest", "Schema", "Query"
_VIEW, _PAST, _LEAVE = "View", "The past", "Leave"

ACTIONS: tuple[Action, ...] = (
    # Everywhere
    Action(
        "everywhere.dashboard",
        ("1",),
        "Dashboard",
        "How the harvest is.",
        _GO,
        "app.go('dashboard')",
        short="Dash",
        footer=True,
    ),
    Action(
        "everywhere.migrations",
        ("2",),
        "Migrations",
        "The migrations of the schema: look at them, apply them.",
        _GO,
        "app.go('migrations')",
        short="Schema",
        footer=True,
    ),
    Action(
        "everywhere.sanity",
        ("3",),
        "Sanity",
        "The checks of the stored data, and a read-only query editor.",
        _GO,
        "app.go('sanity')",
        footer=True,
    ),
    Action("everywhere.events", ("4",), "Events", "The log of the harvest.", _GO, "app.go('events')", footer=True),
    Action(
        "everywhere.toggle",
        ("space",),
        "Start/stop",
        "Start the harvest, or stop it. The app stays.",
        _HARVEST,
        "app.toggle_harvest",
        dangerous=True,
        footer=True,
    ),
    Action(
        "everywhere.pause_all",
        ("P",),
        "Pause all",
        "Ask nothing more for any queue, or go on asking. What is in flight is finished.",
        _HARVEST,
        "app.pause_all",
        dangerous=True,
    ),
    Action(
        "everywhere.retry",
        ("r",),
        "Try now",
        "Try a lost or blocked store again now, not at the next planned try.",
        _HARVEST,
        "app.retry_now",
    ),
    Action(
        "everywhere.freeze",
        ("p",),
        "Freeze",
        "Freeze the picture, to read it. The harvest goes on. Again: live figures.",
        _VIEW,
        "app.freeze",
        footer=True,
    ),
    Action(
        "everywhere.copy", ("y",), "Copy", "Copy the selected cell or text to the clipboard.", _VIEW, "app.copy_cell"
    ),
    Action("everywhere.copy_row", ("Y",), "Copy row", "Copy the selected row to the clipboard.", _VIEW, "app.copy_row"),
    Action(
        "everywhere.theme", ("ctrl+t",), "Theme", "The next theme: dark, light, the terminal's own.", _VIEW, "app.theme"
    ),
    Action(
        "everywhere.earlier",
        ("left_square_bracket",),
        "Earlier",
        "Back in time by one stored picture of the harvest; the harvest itself goes on.",
        _PAST,
        "app.travel(-1)",
    ),
    Action(
        "everywhere.later",
        ("right_square_bracket",),
        "Later",
        "Forward by one; behind the newest comes the present.",
        _PAST,
        "app.travel(1)",
    ),
    Action(
        "everywhere.much_earlier",
        ("left_curly_bracket",),
        "Ten minutes back",
        "Back in time by ten minutes.",
        _PAST,
        "app.travel(-600)",
    ),
    Action(
        "everywhere.much_later",
        ("right_curly_bracket",),
        "Ten minutes on",
        "Forward by ten minutes.",
        _PAST,
        "app.travel(600)",
    ),
    Action("everywhere.time", ("t",), "Go to a time", "Show the harvest as it was at a time.", _PAST, "app.ask_time"),
    Action("everywhere.now", ("T",), "Now", "Back from the past to what is now.", _PAST, "app.now"),
    Action(
        "everywhere.palette",
        ("colon", "ctrl+p"),
        "Menu",
        "Every command by name.",
        _VIEW,
        "app.command_palette",
        footer=True,
    ),
    Action(
        "everywhere.help", ("question_mark", "f1"), "Help", "The keys of this screen.", _VIEW, "app.help", footer=True
    ),
    Action("everywhere.quit", ("q",), "Quit", "Finish what is in hand, and leave.", _LEAVE, "app.leave", footer=True),
    Action(
        "everywhere.quit_always",
        ("f10", "ctrl+q"),
        "Quit",
        "The same, while a field is being typed into. A second time leaves at once.",
        _LEAVE,
        "app.leave",
        priority=True,
    ),
    Action(
        "everywhere.interrupt",
        ("ctrl+c",),
        "Copy or quit",
        "Copy where text is selected; quit where none is.",
        _LEAVE,
        "app.interrupt",
        priority=True,
    ),
    # Dashboard
    Action(
        "dashboard.queue", ("enter",), "Queue", "The history and the actions of the queue.", _VIEW, "screen.open_queue"
    ),
    Action(
        "dashboard.queue_toggle",
        ("s",),
        "Queue on/off",
        "Start or stop the queue under the cursor.",
        _HARVEST,
        "screen.toggle_queue",
        dangerous=True,
    ),
    Action(
        "dashboard.queue_pause",
        ("z",),
        "Pause queue",
        "Ask nothing more for the queue under the cursor, or go on asking.",
        _HARVEST,
        "screen.pause_queue",
        dangerous=True,
    ),
    # A queue
    Action("queue.back", ("escape", "backspace"), "Back", "Back to the dashboard.", _GO, "screen.back", footer=True),
    Action(
        "queue.toggle",
        ("s",),
        "Queue on/off",
        "Start or stop this queue.",
        _HARVEST,
        "screen.toggle_queue",
        dangerous=True,
        footer=True,
    ),
    Action(
        "queue.pause",
        ("z",),
        "Pause queue",
        "Ask nothing more for this queue, or go on asking.",
        _HARVEST,
        "screen.pause_queue",
        dangerous=True,
        footer=True,
    ),
    # Migrations
    Action(
        "migrations.apply",
        ("a",),
        "Apply",
        "Apply what is pending, after a question. The harvest pauses meanwhile. Resumes what failed halfway.",
        _SCHEMA,
        "screen.apply",
        dangerous=True,
        footer=True,
    ),
    Action(
        "migrations.rehearse",
        ("d",),
        "Rehearse",
        "A dry run: the engine parses every statement that applying would run. Nothing is changed.",
        _SCHEMA,
        "screen.rehearse",
        footer=True,
    ),
    Action(
        "migrations.apply_all_the_same",
        ("A",),
        "Apply anyway",
        "Apply although files and store disagree; what is changed or missing stays as it is.",
        _SCHEMA,
        "screen.apply_all_the_same",
        dangerous=True,
    ),
    Action(
        "migrations.detail",
        ("o",),
        "Open",
        "The whole SQL of the migration, to read and copy.",
        _VIEW,
        "screen.detail",
        footer=True,
    ),
    Action("migrations.look", ("u",), "Look again", "Read files and store again.", _VIEW, "screen.look"),
    # Sanity
    Action("sanity.checks", ("c",), "Checks", "The checks and their verdicts.", _GO, "screen.show_checks", footer=True),
    Action("sanity.query", ("e",), "Query", "The read-only query editor.", _GO, "screen.show_query", footer=True),
    Action(
        "sanity.run",
        ("f5", "ctrl+r"),
        "Run",
        "Run the query (or what is selected of it); where the checks are shown, run all of them.",
        _QUERY,
        "screen.run",
        footer=True,
        priority=True,
    ),
    Action("sanity.run_all", ("a",), "Run all", "Run every check.", _QUERY, "screen.run_all", footer=True),
    Action(
        "sanity.run_one", ("x",), "Run one", "Run the check under the cursor.", _QUERY, "screen.run_one", footer=True
    ),
    Action(
        "sanity.cancel",
        ("f4",),
        "Cancel",
        "End the query that runs, in the engine itself; of checks, run no more.",
        _QUERY,
        "screen.cancel_run",
        footer=True,
        priority=True,
    ),
    Action(
        "sanity.save",
        ("f8",),
        "Save",
        "Save the result as CSV or JSON.",
        _QUERY,
        "screen.save_result",
        footer=True,
        priority=True,
    ),
    Action(
        "sanity.history",
        ("f3",),
        "Earlier",
        "Earlier queries, to choose one. In the editor also ctrl+up and ctrl+down.",
        _QUERY,
        "screen.show_history",
        footer=True,
        priority=True,
    ),
    Action("sanity.next_page", ("n",), "Next page", "The next page of the result.", _VIEW, "screen.turn_page(1)"),
    Action("sanity.page_before", ("b",), "Page before", "The page before.", _VIEW, "screen.turn_page(-1)"),
    Action("sanity.open", ("o",), "Open", "The whole of what is under the cursor.", _VIEW, "screen.open_value"),
    Action(
        "sanity.back", ("escape",), "Back", "Out of the editor; from the result to the checks.", _GO, "screen.step_back"
    ),
    # Events
    Action("events.all", ("a",), "All", "Show every line.", _VIEW, "screen.level('info')", footer=True),
    Action(
        "events.warnings",
        ("w",),
        "Warnings",
        "Only warnings and errors.",
        _VIEW,
        "screen.level('warning')",
        footer=True,
    ),
    Action("events.errors", ("e",), "Errors", "Only errors.", _VIEW, "screen.level('error')", footer=True),
    Action("events.search", ("slash",), "Search", "Type what a line must hold.", _VIEW, "screen.search", footer=True),
    Action("events.clear", ("escape",), "Clear", "Show everything again.", _VIEW, "screen.clear_search"),
    Action("events.next_queue", ("n",), "Queue", "Only one queue: the next one, then all.", _VIEW, "screen.next_queue"),
    Action("events.detail", ("enter",), "Detail", "The whole line, with what to do.", _VIEW, "screen.detail"),
    Action(
        "events.follow", ("f",), "Follow", "Stay at the newest line, or stay where you read.", _VIEW, "screen.follow"
    ),
    # Leaving
    Action(
        "leaving.now", ("q",), "Leave now", "Leave at once; nothing is lost by it.", _LEAVE, "app.leave", footer=True
    ),
    # Dialogs
    Action("dialog.close", ("escape", "q"), "Close", "Close this.", _GO, "screen.close", footer=True),
    Action("question.yes", ("y",), "Yes", "Do it; where a name must be typed, once it is.", _GO, "screen.yes"),
    Action("question.no", ("n",), "No", "Do not.", _GO, "screen.close"),
)

BY_ID = {action.id: action for action in ACTIONS}


def actions_of(scope: str) -> tuple[Action, ...]:
    """The actions of a screen (or of `everywhere`), in the order of the registry."""
    return tuple(action for action in ACTIONS if action.scope == scope)


def bindings_of(scope: str) -> list[BindingType]:
    """The bindings of a screen; the app has those of `everywhere`."""
    return [_binding(action) for action in actions_of(scope)]


def _binding(action: Action) -> Binding:
    from textual.binding import Binding

    return Binding(
        ",".join(action.keys),
        action.call,
        action.title,
        show=action.footer,
        priority=action.priority,
        tooltip=action.description,
        id=action.id,
    )


def dangerous_calls() -> frozenset[str]:
    """The names of the methods (without `action_`) that only watching forbids."""
    return frozenset(_method(action.call) for action in ACTIONS if action.dangerous)


def action_for_call(call: str, scopes: Iterable[str]) -> Action | None:
    """The action that a call belongs to, among those of some scopes."""
    wanted = set(scopes)
    return next((action for action in ACTIONS if action.call == call and action.scope in wanted), None)


def _method(call: str) -> str:
    return call.partition(".")[2].partition("(")[0]
