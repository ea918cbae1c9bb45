"""A day: failures one after the other, each injected, recognised and cured, and the store held against the truth."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.soak.operators_week.desk import PATIENCE, Desk
from tests.soak.operators_week.market import Market
from tests.soak.operators_week.runbook import section

APP = section("The terminal app")


class NotHere(Exception):  # noqa: N818
    """A failure that cannot be brought about on this machine; the message says why."""


@dataclass
class Failure:
    """One failure, as the table has it."""

    what: str
    words: tuple[str, ...] = ()
    """By which it was recognised; each stands in the runbook and stood on the screen."""
    seconds: float = 0.0
    """From the injection until all words stood there."""
    cure: str = ""
    """In the words of the runbook."""


@dataclass
class Day:
    """One day at the desk."""

    desk: Desk
    market: Market
    failures: list[Failure] = field(default_factory=list)
    pages: int = 0
    lost: int = 0
    doubled: int = 0
    altered: int = 0
    """Pages that came otherwise than they were published, as they should have."""
    starts_behind: int = 0
    """The place in the chain up to which an earlier store has the pages."""
    _before: str = ""
    _began: float = 0.0

    def begin(self, *arguments: str) -> None:
        """Open the app, with the harvest, and wait until it is well."""
        self.desk.open(*arguments)
        self.desk.well()

    def inject(self, what: str, how: Callable[[], object]) -> None:
        """Let something go wrong."""
        self._before = self.desk.screen
        self.failures.append(Failure(what))
        self._began = time.monotonic()
        how()

    def recognise(self, *words: str) -> str:
        """Wait until the words that the runbook names stand on the screen, and did not before; returns the screen."""
        stale = [word for word in words if word in self._before]
        assert not stale, f"{stale} stood on the screen before anything was wrong:\n{self._before}"
        screen = self.desk.see(*words)
        failure = self.failures[-1]
        self.desk.keep(f"{failure.what}: {', '.join(words)}", screen)
        failure.words += words
        failure.seconds = time.monotonic() - self._began
        return screen

    def cure(self, words: str, how: Callable[[], object] | None = None, *, within: float = PATIENCE) -> None:
        """Do what the runbook says, in these words, and wait until the harvest is well again."""
        self.failures[-1].cure = words
        if how is not None:
            how()
        self.desk.keep(f"{self.failures[-1].what}: cured", self.desk.well(within))

    def shell(self, what: str, said: str, words: str, cure: str) -> None:
        """A failure that a command shows in a shell: what it said holds these words."""
        assert words in said, f"{what}: {words!r} is not in {said!r}"
        self.failures.append(Failure(what, (words,), 0.0, cure))

    def count(self) -> None:
        """Leave the app, and hold the pages of the store against those that the market has published.

        Counted are the pages of the chain from the first that this store has to the newest.
        """
        left = self.desk.leave()
        assert left.code == 0, left
        truth = {page.change_id: page.sha256 for page in self.market.api.truth.published}
        stored = self.desk.rows("SELECT change_id, lower(hex(SHA256(body))) FROM raw_public_stash_pages ORDER BY seq")
        aside = self.desk.rows(
            "SELECT last_cursor_id FROM bronze_ingest_checkpoints WHERE (queue_key, seq) IN"
            " (SELECT queue_key, seq FROM bronze_dead_letters WHERE kind = 'page')"
        )
        times = Counter(cursor for cursor, _ in stored) + Counter(cursor for (cursor,) in aside)
        good = {cursor for cursor, checksum in stored if truth.get(cursor) == checksum} | {row[0] for row in aside}
        chain = self.market.chain()
        places = [place for place, cursor in enumerate(chain) if cursor in times]
        assert len(places) > 1, f"hardly anything was harvested: {times}"
        first = places[0] if self.starts_behind else 0
        self.pages += sum(times.values())
        self.lost += sum(cursor not in good for cursor in chain[first : places[-1] + 1])
        self.lost += (first != self.starts_behind) - self.altered
        self.doubled += sum(times.values()) - len(times)
        self.starts_behind = places[-1] + 1
