"""The sanity checks with their last verdicts and how old these are; run one, one file, or all."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from poe_ledger_tui.background import Bench, Report
from poe_ledger_tui.check_words import detail, figures, level_text, overview
from poe_ledger_tui.messages import JobEnded, JobReported
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean, many_lines, one_line
from poe_ledger_tui.screens.dialog import Reading
from poe_ledger_tui.theme import style
from poe_ledger_tui.widgets.table import Column, LedgerTable
from poe_ledger_tui.words import duration, milliseconds

if TYPE_CHECKING:
    from harvester.store.engine import Engine
    from harvester.store.sanity import Check, CheckResult
    from poe_ledger_tui.app import LedgerApp

_ROOMY = 90
"""Columns from which a check's file and duration stand beside it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The last verdict of a check, and when it was given."""

    result: CheckResult
    at: float
    """Epoch seconds."""


class ChecksPane(Vertical):
    """A check keeps its last result until it is run again; its age says what that is worth."""

    def __init__(self, id: str) -> None:  # noqa: A002 - Textual's own name for it
        super().__init__(id=id)
        self._files = Bench("checks read", self.post_message)
        self._work = Bench("checks", self.post_message)
        self._checks: tuple[Check, ...] = ()
        self._judged: dict[str, Judged] = {}
        self._waiting: list[str] = []
        self._stop = threading.Event()
        self._trouble = ""
        self._roomy = False
        """Whether the table is laid out for much room; a pane that is hidden has no width."""
        self._empty = False
        """Whether the store had no page when the checks were run last."""
        self._read = False

    def compose(self) -> ComposeResult:
        yield Static("", id="checks-summary", markup=False)
        yield LedgerTable(id="checks-table")
        yield Static("", id="check-detail", markup=False)

    def on_mount(self) -> None:
        self._lay_out()

    def on_resize(self) -> None:
        if self._lay_out():
            self._show()

    @property
    def ledger(self) -> LedgerApp:
        """The app, by its own type."""
        return cast("LedgerApp", self.app)

    @property
    def running(self) -> bool:
        """Whether checks are being run."""
        return bool(self._waiting)

    def draw(self, picture: Picture) -> None:
        """Called every second while the pane can be seen: ages grow."""
        if not self._read:
            self._read = True
            self._files.begin(lambda _: _load())
        self._show()
        del picture

    # Commands ----------------------------------------------------------------------------------------------------

    def run_all(self) -> None:
        """Run every check, one after the other."""
        self._run(self._checks)

    def run_one(self) -> None:
        """Run the check under the cursor."""
        check = self._under_cursor
        if check is not None:
            self._run((check,))

    def cancel(self) -> None:
        """Run no further check; the one that runs ends by itself, in a minute at most."""
        if self.running:
            self._stop.set()
            self.ledger.say("Stopping after the check that runs.")

    def open_check(self) -> None:
        """The check under the cursor: its query, its rule, its result."""
        check = self._under_cursor
        if check is not None and self.screen.is_active:
            judged = self._judged.get(_key(check))
            text = detail(check, judged.result if judged else None, self.app.current_theme)
            self.app.push_screen(Reading(clean(check.title), text))

    def _run(self, checks: tuple[Check, ...]) -> None:
        engine = self.ledger.room.engine
        if self.running:
            self.ledger.say("Checks are being run.")
        elif engine is None:
            self._trouble = self.ledger.no_store_words
        elif checks:
            self._trouble = ""
            self._stop = stop = threading.Event()
            self._waiting = [_key(check) for check in checks]
            self._work.begin(lambda report: _run_and_report(engine, checks, stop, report), beside=True)
            self.screen.refresh_bindings()
        self._show()

    def show_checks(self, checks: tuple[Check, ...], judged: tuple[Judged, ...] = ()) -> None:
        """Show these checks, with verdicts where there are any."""
        self._read = True
        self._checks = checks
        self._judged.update({_key(item.result.check): item for item in judged})
        self._lay_out()
        self._show()

    # What the jobs say -------------------------------------------------------------------------------------------

    @on(JobReported)
    def _reported(self, message: JobReported) -> None:
        message.stop()
        if self._work.is_current(message):
            result: CheckResult = message.value
            key = _key(result.check)
            self._judged[key] = Judged(result, self.ledger.clock.now())
            self._waiting = [waiting for waiting in self._waiting if waiting != key]
            self._show()

    @on(JobEnded)
    def _ended(self, message: JobEnded) -> None:
        message.stop()
        if self._files.is_current(message):
            if message.error is None:
                self.show_checks(message.value)
            else:
                self._trouble = str(message.error)
        elif self._work.is_current(message):
            self._waiting = []
            self._empty = message.value is True
            if message.error is not None:
                self._trouble = f"{message.error} {getattr(message.error, 'hint', '')}".strip()
            self.screen.refresh_bindings()
        self._show()

    # Showing -----------------------------------------------------------------------------------------------------

    @property
    def _under_cursor(self) -> Check | None:
        key = self.query_one(LedgerTable).row_key
        return next((check for check in self._checks if _key(check) == key), None)

    @on(DataTable.CellHighlighted, "#checks-table")
    def _moved(self) -> None:
        self._show_detail()

    @on(DataTable.CellSelected, "#checks-table")
    def _chosen(self) -> None:
        self.open_check()

    def _lay_out(self) -> bool:
        width = self.size.width or 80
        fixed = [Column("level", "verdict", 10), Column("age", "age", 8)]
        self._roomy = width >= _ROOMY
        if self._roomy:  # else what a check is called needs the room
            fixed[1:1] = [Column("file", "file", 8), Column("took", "took", 8)]
        rest = max(20, width - sum(column.width for column in fixed) - 2 * (len(fixed) + 2) - 2)
        longest = max((len(check.title) for check in self._checks), default=40)
        title = max(16, min(longest, rest // 2 if self._roomy else rest * 2 // 3))
        columns = [
            fixed[0],
            Column("title", "check", title),
            Column("said", "figures", max(8, rest - title)),
            *fixed[1:],
        ]
        return self.query_one(LedgerTable).set_columns(columns)

    def _show(self) -> None:
        now, theme = self.ledger.clock.now(), self.app.current_theme
        rows: dict[str, list[Text]] = {}
        for check in self._checks:
            key = _key(check)
            judged = self._judged.get(key)
            if key in self._waiting:
                verdict = one_line("… running" if key == self._waiting[0] else "… waiting", style(theme, "accent"))
            else:
                verdict = level_text(judged.result.level if judged else None, theme)
            rows[key] = [
                verdict,
                one_line(check.title),
                one_line(figures(judged.result) if judged else ""),
                *(self._file_and_took(check, judged) if self._roomy else ()),
                one_line(duration(now - judged.at) if judged else "–", style(theme, "muted")),
            ]
        self.query_one(LedgerTable).show_rows(rows)
        self.query_one("#checks-summary", Static).update(self._summary(now))
        self._show_detail()

    def _file_and_took(self, check: Check, judged: Judged | None) -> tuple[Text, Text]:
        muted = style(self.app.current_theme, "muted")
        took = milliseconds(judged.result.took_ms) if judged else "–"
        return one_line(check.file.stem, muted), one_line(took, muted)

    def _summary(self, now: float) -> Text:
        theme = self.app.current_theme
        if self._trouble:
            return many_lines(f"!! {self._trouble}", style(theme, "red"), limit=600)
        if self._waiting:
            return Text(f"… {len(self._waiting)} to run   F4 stops", style(theme, "accent"))
        if self._empty:
            todo = "press 1, then space to begin. Checks are red until there is something to check."
            return Text(f"! Nothing was harvested yet: {todo}", style(theme, "amber"))
        judged = [self._judged.get(_key(check)) for check in self._checks]
        return overview(
            [item.result if item else None for item in judged],
            max((now - item.at for item in judged if item), default=None),
            theme,
        )

    def _show_detail(self) -> None:
        check = self._under_cursor
        shown = self.query_one("#check-detail", Static)
        if check is None:
            shown.update("")
            return
        judged = self._judged.get(_key(check))
        theme = self.app.current_theme
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{clean(check.title)}\n", style(theme, "strong"))
        text.append(f"{clean(check.verdict)}\n", style(theme, "muted"))
        text.append(clean(figures(judged.result)) if judged else "not run yet: x runs it, a runs all")
        shown.update(text)


def _key(check: Check) -> str:
    return f"{check.file.stem}:{check.line}"


def _load() -> tuple[Check, ...]:
    """The checks of this release. Raises where the files cannot be read."""
    from harvester.store.sanity import load_checks
    from harvester.store.schema_files import sanity_directory

    return tuple(load_checks(sanity_directory()))


def _run_and_report(engine: Engine, checks: tuple[Check, ...], stop: threading.Event, report: Report) -> bool:
    """Run checks one after the other until all are done or it is told to stop; whether the store holds no page.

    Raises `StoreError`.
    """
    from harvester.store.errors import StoreError
    from harvester.store.read import nothing_harvested
    from harvester.store.sanity import LIMITS, run_check

    with engine.open_read_only(LIMITS) as handle:
        for check in checks:
            if stop.is_set():
                break
            report(run_check(handle, check))
        try:
            return nothing_harvested(handle)
        except StoreError:
            return False  # the checks have said what is wrong
