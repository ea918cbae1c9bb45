"""The migrations of the schema: the list, their SQL, the rehearsal, and applying them.

Migrations are applied by this process on a handle of its own; another handle of the same engine does not block it. A
harvest that runs here is paused first and goes on afterwards, so that no page is derived half by the old schema and
half by the new one.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.widgets import Static

from harvester.events import Event, Level
from harvester.snapshot import QueueState
from poe_ledger_tui.actions import bindings_of
from poe_ledger_tui.background import Bench
from poe_ledger_tui.messages import EventsCame, JobEnded, JobReported
from poe_ledger_tui.panes.migration_list import MigrationList
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.safe_text import clean, many_lines
from poe_ledger_tui.screens.base import LedgerScreen
from poe_ledger_tui.screens.dialog import Question, Reading
from poe_ledger_tui.theme import style

if TYPE_CHECKING:
    from harvester.store.migrations import (
        ApplyResult,
        DryRun,
        MigrationPlan,
        MigrationProgress,
        MigrationStatus,
    )

LOOK_AGAIN_SECONDS = 5.0
"""After a look that failed."""
LOOK_EVERY_SECONDS = 10.0
"""After one that did not, while the screen is in front: files and store may change behind its back."""
PAUSE_PATIENCE_SECONDS = 30.0
_AT_REST = (QueueState.PAUSED, QueueState.STOPPED, QueueState.FAILED)


class Phase(Enum):
    """What is being done."""

    IDLE = ""
    REHEARSING = "rehearsing: the engine parses every statement; nothing is run"
    PAUSING = "pausing the harvest"
    APPLYING = "applying"


class MigrationsScreen(LedgerScreen):
    """Looks when it comes to the front, and again after everything that may have changed the schema."""

    SCOPE = "migrations"
    TITLE = "Migrations"
    BINDINGS = bindings_of("migrations")
    AUTO_FOCUS = "#migrations"

    def __init__(self) -> None:
        super().__init__()
        self._looks = Bench("migrations look", self.post_message)
        self._work = Bench("migrations", self.post_message)
        self._phase = Phase.IDLE
        self._status: MigrationStatus | None = None
        self._plan: MigrationPlan | None = None
        self._trouble = ""
        self._said = Text()
        self._look_at = 0.0
        self._told: tuple[int, int] | None = None
        self._room_looks = False
        self._seen_schema: object = None
        self._allow_drift = False
        self._paused: tuple[str, ...] = ()
        self._pausing_since = 0.0

    def compose_body(self) -> ComposeResult:
        yield Static("", id="migrations-summary", markup=False)
        yield MigrationList(id="migration-list")
        yield Static("", id="migrations-progress", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.set_interval(1.0, self._go_on_when_paused)

    @property
    def _list(self) -> MigrationList:
        return self.query_one(MigrationList)

    @on(events.ScreenResume)
    def _look_soon(self) -> None:
        self._look_at = 0.0

    def draw_body(self, picture: Picture) -> None:
        """Begins a look where one is due: this is called every second."""
        if picture.room.schema != self._seen_schema:
            self._seen_schema = picture.room.schema
            self._look_at = 0.0
        self._go_on_when_paused()
        due = picture.now >= self._look_at
        if self.room.engine is not None and due and not self._looks.busy and self._phase is Phase.IDLE:
            self._look()
        self._show_summary()

    # Looking -----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        from poe_ledger_tui.migration_work import look

        engine = self.room.engine
        if engine is not None:
            self._look_at = float("inf")
            self._looks.begin(lambda _: look(engine), beside=True)

    def show_status(self, status: MigrationStatus) -> None:
        """Show how the store stands."""
        from harvester.store.migrations import plan

        self._status, self._plan, self._trouble = status, plan(status), ""
        self._list.show(status)

    def _tell_the_room(self, status: MigrationStatus) -> None:
        """Header and dashboard say what was found when the store was opened, until the room looks again."""
        found = (status.pending, status.drifted)
        shown = (self.picture.pending, self.picture.drifted)
        news = None not in shown and found not in (shown, self._told) and not self._room_looks
        self._told, self._room_looks = found, False
        if news and not self.picture.room.monitor:
            self.room.schema_changed()

    @property
    def _nothing_pending(self) -> str:
        drifted = self._status is not None and self._status.drifted
        return "nothing is pending; what has drifted, its remark says" if drifted else "the schema is up to date"

    # Commands ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in {"apply", "apply_all_the_same", "rehearse"} and self._phase is not Phase.IDLE:
            return None
        return super().check_action(action, parameters)

    def action_look(self) -> None:
        """Look again."""
        self._list.clear_marks()
        self._said = Text()
        self._look()
        self._show_summary()

    def action_rehearse(self) -> None:
        """Have the engine parse what applying would run."""
        from poe_ledger_tui.migration_work import rehearse

        engine = self.room.engine
        if engine is None:
            self.ledger.say(self.ledger.no_store_words)
            return
        self._enter(Phase.REHEARSING)
        self._work.begin(lambda _: rehearse(engine))

    def action_apply(self) -> None:
        """Ask, then apply."""
        self._ask(allow_drift=False)

    def action_apply_all_the_same(self) -> None:
        """Ask, then apply although files and store disagree."""
        self._ask(allow_drift=True)

    def action_detail(self) -> None:
        """The whole remark and SQL of the migration under the cursor."""
        entry = self._list.entry
        if entry is not None and self.is_active:
            self.app.push_screen(Reading(entry.name, self._list.sql_text))

    def _ask(self, *, allow_drift: bool) -> None:
        from harvester.store.migrations import plan
        from poe_ledger_tui.migration_words import question, refusal_words
        from poe_ledger_tui.migration_work import destructive, place_of

        if not self.is_active:
            return
        engine, status = self.room.engine, self._status
        if engine is None or status is None:
            self.ledger.say("How the schema stands is not known yet.")
            return
        planned = plan(status, allow_drift=allow_drift)
        if planned.refusals:
            refusals = "\n".join(map(refusal_words, planned.refusals))
            self.app.push_screen(Reading("Applying is refused", many_lines(refusals)))
            return
        if not planned.steps:
            self.ledger.say(f"Nothing to apply: {self._nothing_pending}.")
            return
        text = question(
            planned,
            status.database,
            place_of(engine),
            harvesting=self.picture.harvesting and self.picture.may_command,
            drift=bool(status.drifted) and allow_drift,
        )
        typed = status.database if destructive(planned) or allow_drift else ""
        title = "Apply migrations"
        self.app.push_screen(
            Question(title, text, "Apply", typed=typed), lambda yes: self._begin(allow_drift) if yes else None
        )

    def _begin(self, allow_drift: bool) -> None:
        self._allow_drift = allow_drift
        self._list.clear_marks()
        picture = self.picture
        moving = [queue.queue_key for queue in picture.queues if queue.state not in _AT_REST]
        if moving and picture.may_command:
            self._paused = tuple(moving)
            for key in moving:
                self.room.pause(key)
            self._pausing_since = picture.now
            self._enter(Phase.PAUSING)
        else:
            self._apply()

    def _go_on_when_paused(self) -> None:
        """Called every second, also while another screen is in front or the picture is frozen."""
        picture = self.ledger.present
        if self._phase is not Phase.PAUSING:
            return
        if all(queue.state in _AT_REST for queue in picture.queues):
            self._apply()
        elif picture.now - self._pausing_since > PAUSE_PATIENCE_SECONDS:
            self._let_go_on()
            self._end("The harvest did not pause in time; nothing was applied. Stop it (space), then apply.", "red")

    def _apply(self) -> None:
        from poe_ledger_tui.migration_work import apply

        engine, allow_drift = self.room.engine, self._allow_drift
        if engine is None:
            self._let_go_on()
            self._end("The store is not open; nothing was applied.", "red")
            return
        self._enter(Phase.APPLYING)
        self._work.begin(lambda report: apply(engine, report, allow_drift=allow_drift))

    def _let_go_on(self) -> None:
        for key in self._paused:
            self.room.resume(key)
        self._paused = ()

    # What the jobs say -------------------------------------------------------------------------------------------

    @on(JobReported)
    def _progress(self, message: JobReported) -> None:
        if self._work.is_current(message):
            self.show_step(message.value)

    def show_step(self, step: MigrationProgress) -> None:
        """Show a step of applying, and the statement that it is about."""
        from poe_ledger_tui.migration_words import mark_of_progress, progress_line

        self._list.mark(step.migration.name, step.statement.number, mark_of_progress(step))
        self._say(progress_line(step), "red" if step.error else "accent")
        self._list.move_to(step.migration.name)
        self._list.show_sql()

    @on(JobEnded)
    def _ended(self, message: JobEnded) -> None:
        if self._looks.is_current(message):
            if message.error is None:
                self.show_status(message.value)
                self._look_at = self.picture.now + LOOK_EVERY_SECONDS
                self._tell_the_room(message.value)
            else:
                self._trouble = _words_of(message.error)
                self._look_at = self.picture.now + LOOK_AGAIN_SECONDS
            self._show_summary()
        elif self._work.is_current(message):
            if self._phase is Phase.REHEARSING:
                self._rehearsed(message)
            else:
                self._applied(message)

    def _rehearsed(self, message: JobEnded) -> None:
        from poe_ledger_tui.migration_words import PARSED, StatementMark

        if message.error is not None:
            self._end(_words_of(message.error), "red")
            return
        rehearsal: DryRun = message.value
        self._list.clear_marks()
        for item in rehearsal.statements:
            mark = StatementMark(f"cannot be parsed: {item.error}", "red") if item.error else PARSED
            self._list.mark(item.migration.name, item.statement.number, mark)
        bad = [item for item in rehearsal.statements if item.error]
        if bad:
            self._list.move_to(bad[0].migration.name)
            self._end(f"{len(bad)} of {len(rehearsal.statements)} statements cannot be parsed: see the SQL.", "red")
        elif not rehearsal.statements:
            self._end(f"Nothing to rehearse: {self._nothing_pending}.", "ok")
        else:
            if rehearsal.plan.steps:
                self._list.move_to(rehearsal.plan.steps[0].migration.name)
            number = len(rehearsal.statements)
            counted = "the one statement" if number == 1 else f"all {number} statements"
            self._end(f"The engine can parse {counted}. Nothing was run.", "ok")

    def _applied(self, message: JobEnded) -> None:
        self._let_go_on()
        if message.error is not None:
            self._end(_words_of(message.error), "red")
        else:
            result: ApplyResult = message.value
            took = f"{result.took_ms / 1000:.1f} s"
            names = ", ".join(migration.name for migration in result.applied)
            self._end(f"Applied in {took}: {names}." if names else "Nothing to apply: the schema is up to date.", "ok")
            if names:
                event = Event(self.picture.now, Level.INFO, "", f"migrations applied: {names}")
                self.app.post_message(EventsCame((event,)))
        self.room.schema_changed()
        self._room_looks = True
        self._look()

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._say(f"… {phase.value}", "accent")
        self.refresh_bindings()

    def _end(self, words: str, role: str) -> None:
        self._phase = Phase.IDLE
        self._say(words, role)
        self._list.show_sql()
        self.refresh_bindings()

    # Showing -----------------------------------------------------------------------------------------------------

    def _show_summary(self) -> None:
        self.query_one("#migrations-summary", Static).update(self._summary())
        progress = self.query_one("#migrations-progress", Static)
        progress.display = bool(self._said)
        progress.update(self._said)

    def _summary(self) -> Text:
        theme = self.app.current_theme
        if self._trouble:
            words = f"!! {clean(self._trouble, limit=600)} Looked at again every {LOOK_AGAIN_SECONDS:.0f} s."
            return Text(words, style(theme, "red"))
        if self._status is None or self._plan is None:
            waiting = self.ledger.no_store_words if self.room.engine is None else "… looking"
            return Text(waiting, style(theme, "muted"))
        from poe_ledger_tui.migration_words import summary

        return summary(self._status, self._plan, theme)

    def _say(self, words: str, role: str) -> None:
        self._said = many_lines(words, style(self.app.current_theme, role), limit=2000)
        self._show_summary()


def _words_of(error: BaseException) -> str:
    hint = getattr(error, "hint", "")
    return f"{error} {hint}".strip()
