"""What a feed is: one file that knows what to ask for a cursor and how to read the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from harvester.model import ApiRequest, Queue


@dataclass(frozen=True, slots=True)
class PageFound:
    """The answer is a page that leads to another cursor."""

    next_cursor: str
    doubt: str = ""
    """Why the answer may be a mistake of the server, worth asking again; empty where nothing speaks for it."""
    turns_back: bool = False
    """The next cursor lies before the one that was asked with: followed blindly, the stream might run in circles."""
    settled_after: float = 0.0
    """Seconds at least between two looks at a doubtful answer, where only time can settle it: a cache may be stale."""


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """Nothing new behind this cursor yet: ask it again later."""

    final: str = ""
    """Why nothing will ever come behind it, in words; empty where something may."""
    settled_after: float = 0.0
    """Seconds at least between two looks before a final end is believed."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The body is no page."""

    reason: str
    next_cursor: str | None
    """The cursor that the head of the body names, where one can be made out."""


Reading = PageFound | EndOfStream | Unreadable


class Feed(Protocol):
    """One source of pages. Stateless: the same cursor and answer always read the same."""

    name: str
    needs_token: bool
    accept_statuses: frozenset[int]
    """Statuses from 300 on that the feed reads like a success; an error of the API or the edge still is one."""
    tries_of_rubbish: int
    """Times that the same bytes must come before they are set aside as no page."""
    refusal_hint: str
    """What the operator should look at where the API refuses the same request again and again."""

    def request(self, queue: Queue, cursor: str) -> ApiRequest:
        """What to ask for `cursor`; an empty cursor asks for the start of the stream."""

    def early_next_cursor(self, headers: Mapping[str, str]) -> str | None:
        """The next cursor as the headers name it, before the body has arrived; None where they do not."""

    def shown(self, cursor: str) -> str:
        """A cursor as people read it; an empty one is the start of the stream."""

    def first_cursor(self, now: float) -> str:
        """The cursor of a queue that has none yet."""

    def cursor_problem(self, cursor: str, now: float) -> str:
        """Why a cursor cannot be asked with, in words; empty where it can."""

    def there_at(self, cursor: str) -> float | None:
        """Epoch seconds from which the cursor's page can be there; None where only asking tells."""

    def is_done(self, cursor: str) -> bool:
        """Whether a feed that has an end has reached it with this cursor."""

    def beyond(self, cursor: str, now: float) -> str:
        """The cursor behind this one, where its page must be there too by now; empty where that cannot be said.

        If that page is there and this one is not, this one will never be.
        """

    def behind_hours(self, cursor: str, now: float) -> int | None:
        """Whole hours that are published and not yet fetched; None where the head of the stream is unknown."""

    def read(self, cursor: str, body: bytes, http_status: int = 200) -> Reading:
        """What the whole body says."""
