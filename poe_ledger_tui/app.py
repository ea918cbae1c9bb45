"""The app: keeps what is shown, hands it to the screen in front, and turns keys into commands for the engine room.

Threads post messages (`poe_ledger_tui.messages`); the handlers here are the only place where they become state.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from textual.app import App, SystemCommand
from textual.message import Message
from textual.screen import Screen

from harvester.clock import Clock, SystemClock
from harvester.events import Event, Level
from harvester.snapshot import QueueState, Snapshot
from harvester.snapshot_source import SourceKind
from poe_ledger_tui import theme
from poe_ledger_tui.actions import EVERYWHERE, actions_of, bindings_of, dangerous_calls
from poe_ledger_tui.config import AppConfig
from poe_ledger_tui.copying import Copying
from poe_ledger_tui.messages import EventsCame, RoomChanged, RoomState, SnapshotTaken, SourceLost, Stage
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.prefs import AsLeft, save_prefs
from poe_ledger_tui.safe_text import clean
from poe_ledger_tui.screens.base import LedgerScreen
from poe_ledger_tui.session import Room
from poe_ledger_tui.style_sheet import ThriftyStylesheet
from poe_ledger_tui.terminal import LastResort

EVENTS_KEPT = 5000
DONE, FAILED, MISUSED = 0, 1, 2
_TICK_SECONDS = 1.0
_MASK_SECONDS = 0.005
"""How long nothing is painted while one screen takes the place of another. Textual's own 50 ms are felt with each key;
this is enough for both to have their messages."""

RoomMaker = Callable[[Callable[[Message], bool]], Room]
"""Makes the engine room, given what it posts with."""


def _dashboard() -> Screen[None]:
    from poe_ledger_tui.screens.dashboard import DashboardScreen

    return DashboardScreen()


def _migrations() -> Screen[None]:
    from poe_ledger_tui.screens.migrations import MigrationsScreen

    return MigrationsScreen()


def _sanity() -> Screen[None]:
    from poe_ledger_tui.screens.sanity import SanityScreen

    return SanityScreen()


def _events() -> Screen[None]:
    from poe_ledger_tui.screens.events import EventsScreen

    return EventsScreen()


def _queue() -> Screen[None]:
    from poe_ledger_tui.screens.queue_detail import QueueScreen

    return QueueScreen()


class LedgerApp(Copying, App[int], inherit_bindings=False):
    """The terminal app."""

    TITLE = "Wraeclast Ledger"
    CSS_PATH = "ledger.tcss"
    BINDINGS = bindings_of(EVERYWHERE)
    MODES = {"dashboard": _dashboard, "migrations": _migrations, "sanity": _sanity, "events": _events}  # noqa: RUF012
    SCREENS = {"queue": _queue}  # noqa: RUF012
    DEFAULT_MODE = "dashboard"
    ENABLE_COMMAND_PALETTE = True

    def __init__(
        self,
        make_room: RoomMaker,
        *,
        config: AppConfig | None = None,
        as_left: AsLeft | None = None,
        prefs_file: Path | None = None,
        opened_on: str = "dashboard",
        clock: Clock | None = None,
        last_resort: LastResort | None = None,
        ticking: bool = True,
    ) -> None:
        """`ticking` False leaves the redrawing of ageing figures to whoever posts (tests, pictures)."""
        super().__init__()
        self.config = config or AppConfig()
        self.room = make_room(self.post_message)
        self.clock: Clock = clock or SystemClock()
        self.log_lines: deque[Event] = deque(maxlen=EVENTS_KEPT)
        """The events of the harvest, oldest first."""
        self.message_after = ""
        """What is said on the terminal after the screen is gone."""
        self._as_left = as_left or AsLeft()
        self._prefs_file = prefs_file
        self._opened_on = opened_on
        self._last_resort = last_resort
        self._ticking = ticking
        self._room_state = RoomState()
        self._snapshot: Snapshot | None = None
        self._kind: SourceKind | None = None
        self._frozen: tuple[float, Snapshot | None] | None = None
        self._source_trouble = ""
        self._remark = ""
        self._drawn_at = 0.0
        self._leaving = False
        for own in theme.OWN_THEMES:
            self.register_theme(own)
        # Chosen before the style sheet is read, which is read again for every change.
        wanted = self.config.theme or self._as_left.theme or theme.DEFAULT_THEME
        self.theme = wanted if wanted in self.available_themes else theme.DEFAULT_THEME
        self.stylesheet = ThriftyStylesheet(self.get_css_variables())
        self.set_keymap(dict(self.config.keys))

    # Beginning ---------------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        if self.config.theme and self.config.theme != self.theme:
            self.notify(f"There is no theme {clean(self.config.theme)}.", severity="warning", markup=False)
        self.theme_changed_signal.subscribe(self, lambda _: self._draw())
        self._listen_for_signals()
        if self._opened_on != self.DEFAULT_MODE:
            self.switch_mode(self._opened_on)
        if self._ticking:
            self.set_interval(_TICK_SECONDS, self._tick)
        # The first paint comes before anything is opened.
        self.call_after_refresh(self.call_after_refresh, self.room.begin)

    def _listen_for_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # no main thread, no signals
                loop.add_signal_handler(number, self.action_leave)

    # What is shown -----------------------------------------------------------------------------------------------

    @property
    def picture(self) -> Picture:
        """What is on the screen now."""
        frozen = self._frozen
        return Picture(
            now=self.clock.now(),
            room=self._room_state,
            snapshot=self._snapshot if frozen is None else frozen[1],
            kind=self._kind,
            frozen_since=None if frozen is None else frozen[0],
            remark=self._remark,
            source_trouble=self._source_trouble,
        )

    @property
    def present(self) -> Picture:
        """What would be on the screen were it not frozen: for whoever waits for the harvest."""
        return replace(self.picture, snapshot=self._snapshot, frozen_since=None)

    def _draw(self) -> None:
        self._drawn_at = self.clock.monotonic()
        screen = next((screen for screen in reversed(self.screen_stack) if isinstance(screen, LedgerScreen)), None)
        if screen is not None:
            screen.draw(self.picture)

    def _tick(self) -> None:
        """Ages go on growing while nobody posts."""
        if self.clock.monotonic() - self._drawn_at > 1.5 * _TICK_SECONDS:
            self._draw()

    def on_snapshot_taken(self, message: SnapshotTaken) -> None:
        self._snapshot, self._kind, self._source_trouble = message.snapshot, message.kind, ""
        self._remark = message.remark
        if self._frozen is None:
            self._draw()

    def on_source_lost(self, message: SourceLost) -> None:
        self._source_trouble = message.reason
        self._draw()

    def on_events_came(self, message: EventsCame) -> None:
        self.log_lines.extend(message.events)
        for event in message.events:
            if event.level is Level.ERROR:
                self.notify(clean(event.line()), title="Trouble", severity="error", timeout=10, markup=False)
        for screen in self.screen_stack:
            if isinstance(screen, LedgerScreen):
                screen.events_came(message.events)

    def on_room_changed(self, message: RoomChanged) -> None:
        before, self._room_state = self._room_state, message.state
        state = message.state
        if state.stage is Stage.CLOSED and self._leaving:
            self._gone(DONE)
        elif state.stage is Stage.BROKEN and (before.stage is Stage.COLD or self._leaving):
            # Nothing can be shown without settings: what is wrong is said on the terminal.
            self.message_after = state.words
            self._gone(MISUSED if before.stage is Stage.COLD else FAILED)
        else:
            self._draw()
            if before.stage is not state.stage:
                self.refresh_bindings()

    # Leaving -----------------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Finish what is in hand and leave; a second time, leave at once."""
        if self._leaving:
            if self._last_resort is not None:
                self._last_resort.now(DONE)
            self._gone(DONE)
            return
        self._leaving = True
        if self._last_resort is not None:
            self._last_resort.arm(DONE)
        self._remember()
        if self._room_state.stage in (Stage.CLOSED, Stage.BROKEN):
            self._gone(DONE)
            return
        self._room_state = replace(self._room_state, stage=Stage.CLOSING, words="finishing the pages in hand")
        self._draw()
        from poe_ledger_tui.screens.leaving import LeavingScreen

        self.push_screen(LeavingScreen())
        self.room.close()

    async def action_quit(self) -> None:
        self.action_leave()

    def action_interrupt(self) -> None:
        """Ctrl-C copies where something is selected, and leaves where nothing is."""
        if not self.copy_selection():
            self.action_leave()

    def _fatal_error(self) -> None:
        """A fault of this program: its traceback, without the values of variables, which may hold secrets."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        trace = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(trace, self.console.options)))
        self._close_messages_no_wait()

    def _gone(self, code: int) -> None:
        self.exit(code, return_code=code)

    def _remember(self) -> None:
        if self._prefs_file is None or self._room_state.demo or self._room_state.monitor:
            return
        with contextlib.suppress(OSError):  # what cannot be remembered is no reason to stay
            save_prefs(self._prefs_file, AsLeft(self._room_state.harvest_wanted, self.theme))

    # Commands ----------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dangerous actions are greyed out where one may only watch."""
        if action in dangerous_calls() and (self._room_state.monitor or self.picture.past):
            return None
        return super().check_action(action, parameters)

    def delay_update(self, delay: float = _MASK_SECONDS) -> None:
        """Called by Textual where the screen changes."""
        super().delay_update(delay)

    def action_go(self, mode: str) -> None:
        """Show one of the screens."""
        while len(self.screen_stack) > 1 and isinstance(self.screen, LedgerScreen):
            self.pop_screen()
        if self.current_mode != mode:
            self.switch_mode(mode)

    def action_toggle_harvest(self) -> None:
        """Start what is stopped; stop what runs. Before the store is open, say what shall be; look again at a block."""
        blocked = self._room_state.stage is Stage.BLOCKED
        running = self.picture.harvesting or (self._snapshot is None and self._room_state.harvest_wanted)
        wanted = blocked or not running
        self.room.want_harvest(wanted)
        if blocked:
            self.room.retry_now()
        self.say("Starting the harvest." if wanted else "Stopping the harvest; the pages in hand are finished.")

    def action_pause_all(self) -> None:
        """Pause every queue that runs; where none does, let all go on."""
        running = any(
            queue.state not in (QueueState.PAUSED, QueueState.STOPPED, QueueState.FAILED)
            for queue in self.picture.queues
        )
        (self.room.pause if running else self.room.resume)(None)
        self.say("Pausing: nothing more is asked." if running else "Going on.")

    def action_retry_now(self) -> None:
        """Try a lost store now."""
        self.room.retry_now()

    def action_freeze(self) -> None:
        """Freeze the picture, or let it move again."""
        self._frozen = None if self._frozen is not None else (self.clock.now(), self._snapshot)
        self._draw()

    def action_travel(self, seconds: float) -> None:
        """Back or forward in time, by so many seconds and by one stored Snapshot at least."""
        self._travelled(self.room.travel(seconds))

    def action_now(self) -> None:
        """Back to what is now."""
        self._travelled(self.room.go_to(None))

    def action_ask_time(self) -> None:
        """Ask for a time, and show the harvest as it was then."""
        from poe_ledger_tui.screens.ask_time import AskTimeScreen

        def go(at: float | None) -> None:
            if at is not None:
                self._travelled(self.room.go_to(at))

        self.push_screen(AskTimeScreen(self.clock.now()), go)

    def _travelled(self, trouble: str) -> None:
        if trouble:
            self.say(trouble)
        elif self._frozen is not None:
            self._frozen = None
            self._draw()

    def action_theme(self) -> None:
        """The next theme."""
        place = theme.CYCLE.index(self.theme) if self.theme in theme.CYCLE else -1
        self.theme = theme.CYCLE[(place + 1) % len(theme.CYCLE)]
        self.say(f"Theme: {self.theme}")

    def action_help(self) -> None:
        """The keys of the screen in front."""
        from poe_ledger_tui.screens.help import HelpScreen

        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    @property
    def no_store_words(self) -> str:
        """Why nothing can be asked of the store from here, and what to do; for where `room.engine` is None."""
        if self._room_state.stage is Stage.WATCHING:
            return (
                "The harvest that is watched holds the store: ask it in the app of that harvest, "
                "or end it and press r here."
            )
        return "The store is not open yet."

    def say(self, text: str) -> None:
        """A toast. The text may hold a stranger's words."""
        self.notify(clean(text), markup=False, timeout=3)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The palette: what the screen can do, what every screen can, and Textual's own."""
        scopes = [screen.SCOPE] if isinstance(screen, LedgerScreen) else []
        for scope in (*scopes, EVERYWHERE):
            for action in actions_of(scope):
                if action.id in _NOT_IN_PALETTE or (action.dangerous and self._room_state.monitor):
                    continue
                # Actions of a screen must run on that screen, not on the palette before it.
                host = "app" if action.call.startswith("app.") else scope
                namespace = self if host == "app" else screen
                yield SystemCommand(
                    action.title if scope == EVERYWHERE else f"{action.title} ({scope})",
                    action.description,
                    lambda call=action.call, at=namespace: self.call_later(self.run_action, call, at),
                )
        yield from (command for command in super().get_system_commands(screen) if command.title not in _REPLACED)


_NOT_IN_PALETTE = frozenset({"everywhere.palette", "everywhere.quit_always", "everywhere.interrupt"})
_REPLACED = frozenset({"Quit", "Keys"})
