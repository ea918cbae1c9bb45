"""What every screen has: header, footer, and a `draw` that is given the newest Picture.

**How a screen gets its data.** From `draw(picture)`, called once a second and whenever the screen comes to the front,
and from nothing else that the harvest owns. `picture.room` says how store and schema stand; `self.room.engine` is the
store itself (None until it is open), for jobs that open handles of their own.

**How a screen does what blocks.** Never on the event loop: it begins a job on a `background.Bench`. The job's thread
only posts (`JobReported`, `JobEnded`); the screen's handlers check `bench.is_current(message)`, so that what comes late
counts for nothing, and only they touch widgets. After applying migrations call `self.room.schema_changed()`.

**Keys** come from the registry: `BINDINGS = bindings_of("scope")`, and a method `action_…` for each. What is dangerous
is refused by `check_action` where one may only watch. What opens something first asks the screen's `is_active`: keys
may come twice, and late. **Text** of strangers goes through `safe_text`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen

from harvester.events import Event
from poe_ledger_tui.actions import dangerous_calls
from poe_ledger_tui.picture import Picture
from poe_ledger_tui.widgets.banner import Banner
from poe_ledger_tui.widgets.footer import LedgerFooter
from poe_ledger_tui.widgets.header import LedgerHeader
from poe_ledger_tui.widgets.too_small import TooSmall

if TYPE_CHECKING:
    from poe_ledger_tui.app import LedgerApp
    from poe_ledger_tui.session import Room

SCREEN_WIDTHS = [(0, "-tiny"), (60, "-narrow"), (80, "-normal"), (140, "-wide")]
SCREEN_HEIGHTS = [(0, "-flat"), (20, "-short"), (28, "-tall"), (45, "-lofty")]
SMALLEST = (60, 20)
"""Columns and lines below which the screen only says that it is too small."""


class LedgerScreen(Screen[None]):
    """A screen of the app. Write `compose_body` and `draw_body`."""

    HORIZONTAL_BREAKPOINTS = SCREEN_WIDTHS
    VERTICAL_BREAKPOINTS = SCREEN_HEIGHTS
    SCOPE = ""
    """Its name in the registry of actions."""
    TITLE = ""
    """Its name in the header; empty for the dashboard."""
    _styled_in = ""
    """The theme."""

    def compose(self) -> ComposeResult:
        yield LedgerHeader()
        yield Banner()
        with Container(id="body"):
            yield from self.compose_body()
        yield TooSmall()
        yield LedgerFooter(self.SCOPE)

    @property
    def header_title(self) -> str:
        """What stands behind the app's name."""
        return self.TITLE or ""

    def compose_body(self) -> ComposeResult:
        """The widgets between header and footer."""
        yield from ()

    @property
    def ledger(self) -> LedgerApp:
        """The app, by its own type."""
        return cast("LedgerApp", self.app)

    @property
    def room(self) -> Room:
        """The engine room."""
        return self.ledger.room

    @property
    def picture(self) -> Picture:
        """The newest Picture."""
        return self.ledger.picture

    @on(events.Resize)
    def _only_the_newest_size(self, event: events.Resize) -> None:
        # Each layout announces its size anew: two sizes that overtake each other would do so for ever.
        if event.size != self.app.size:
            event.prevent_default()

    def on_mount(self) -> None:
        self._styled_in = self.app.theme
        self.draw(self.picture)
        # Now that the layout has given everything its width.
        self.call_after_refresh(lambda: self.draw(self.picture))

    @on(events.ScreenResume)
    def _came_back(self, event: events.ScreenResume) -> None:
        # Styling every widget anew would be most of what a switch costs: tables forget what they have drawn. Another
        # size has its own way to a screen that was away.
        event.refresh_styles = self._styled_in != self.app.theme
        self._styled_in = self.app.theme
        self.draw(self.picture)

    def draw(self, picture: Picture) -> None:
        """Show a Picture. Cheap: it is called every second."""
        if not self.is_mounted:
            return
        with self.app.batch_update():
            self.query_one(LedgerHeader).draw(picture, self.header_title)
            self.query_one(Banner).draw(picture)
            self.query_one(LedgerFooter).draw(picture)
            self.draw_body(picture)

    def draw_body(self, picture: Picture) -> None:
        """Show a Picture in the widgets of `compose_body`."""

    def events_came(self, events: tuple[Event, ...]) -> None:
        """New lines of the log; all of them are in `self.ledger.log_lines`."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Dangerous actions are greyed out where one may only watch."""
        if action in dangerous_calls() and (self.picture.room.monitor or self.picture.past):
            return None
        return super().check_action(action, parameters)
