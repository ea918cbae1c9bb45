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


@dataclass(frozen=True, slots=True)
class EndOfStream:
    """Nothing new behind this cursor yet: ask it again later."""


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

    def request(self, queue: Queue, cursor: str) -> ApiRequest:
        """What to ask for `cursor`; an empty cursor asks for the start of the stream."""

    def early_next_cursor(self, headers: Mapping[str, str]) -> str | None:
        """The next cursor as the headers name it, before the body has arrived; None where they do not."""

    def read(self, cursor: str, body: bytes) -> Reading:
        """What the whole body says."""
