"""The nouns of the harvest: frozen, typed, without behaviour of their own.

Times are seconds since the Unix epoch (UTC) unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from msgspec import Meta

Epoch = Annotated[float, Meta(ge=0, le=253_402_300_799)]
"""Seconds since the Unix epoch, to the end of year 9999: what can be shown as a time."""
Seconds = Annotated[float, Meta(ge=0, le=253_402_300_799)]
"""A span of time that can be shown."""
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""Never negative. Like the others, it is checked where a value comes from outside."""


@dataclass(frozen=True, slots=True, order=True)
class Queue:
    """One feed in one realm: the unit that is paced, spooled and committed in order."""

    feed: str
    realm: str

    @property
    def key(self) -> str:
        """The name used in tables, logs and on the screen, for example `psapi:pc`."""
        return f"{self.feed}:{self.realm}"

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """What to send: an absolute URL, its query, and whether the operator's token goes with it."""

    queue: Queue
    url: str
    params: tuple[tuple[str, str], ...]
    needs_token: bool


class Outcome(StrEnum):
    """How a request ended, as recorded in `bronze_requests.outcome`."""

    OK = "ok"
    """An answer with status below 400, or with one that its feed expects, its body read to the end."""
    REFUSED = "refused"
    """A 4xx other than 429."""
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    """A 5xx, from the API or from the edge before it."""
    NETWORK_ERROR = "network_error"
    """No answer, or a body that broke off."""
    BAD_BODY = "bad_body"
    """A body that cannot be decompressed or exceeds the size limit."""
    CANCELLED = "cancelled"
    """We left on purpose while it was in flight."""


@dataclass(frozen=True, slots=True)
class Triplet:
    """One `hits:period:restriction` of a rate-limit rule, with the State that came beside it."""

    hits: Count
    period: Count
    """Seconds."""
    restriction: Count
    """Seconds locked when the limit is broken."""
    used: Count | None = None
    """Hits in the window as the server counts them, the present request included; None without a State."""
    active_restriction: Count = 0
    """Seconds still locked, as the server says."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule of a policy (`Ip`, `Account`, `Client`) and its triplets; all hold at once."""

    name: str
    triplets: tuple[Triplet, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """The rate-limit headers of one answer. An answer without them has no policy and no rules."""

    policy: str | None = None
    rules: tuple[Rule, ...] = ()
    retry_after: float | None = None
    """Seconds from the answer, from `Retry-After`."""
    problem: str | None = None
    """What could not be read of the headers, in words."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request of any outcome: a row of `bronze_requests`."""

    requested_at: float
    queue_key: str
    endpoint: str
    """Path without host and query, or `oauth/token`."""
    change_id: str
    outcome: Outcome
    http_status: int
    """0 where no answer came."""
    headers_ms: float
    """From sending to the last header; 0 where none came."""
    response_ms: float
    """From sending to the last byte, or to the failure."""
    wire_bytes: int
    """Body bytes as transferred (compressed)."""
    body_bytes: int
    """Body bytes after decompression."""
    limits: Limits = field(default_factory=Limits)
    error: str = ""
    """Empty, or cause in words; never holds a secret or a body."""


@dataclass(frozen=True, slots=True)
class Page:
    """An answer that moves a queue on: proved readable at the door, or given up on with a reason."""

    queue: Queue
    change_id: str
    """The cursor that was asked with; empty at the very start of a stream."""
    next_change_id: str
    fetched_at: float
    """When the last byte had arrived."""
    body: bytes
    """The bytes as they came (decompressed), but for what `account_names` says."""
    http_status: int = 200
    response_ms: float = 0.0
    rejected: str = ""
    """Why the whole body is a dead letter; empty for a page."""
    account_names: str = "keep"
    """How names stand in `body`: `keep` as they came, `hash:` and the salt's fingerprint, or `drop` not at all."""


@dataclass(frozen=True, slots=True)
class SpooledPage:
    """A page that is safe on disk: its place in the queue's order is fixed."""

    seq: int
    """Gapless per queue, from 1."""
    page: Page


class CheckpointStatus(StrEnum):
    """Why a checkpoint row was written."""

    PAGE = "page"
    CAUGHT_UP = "caught_up"
    """The end of the stream was confirmed; no page came."""
    MOVED = "moved"
    """No page: behind this one the operator let the queue go on from another cursor; what lies between is left out."""
    DEAD_LETTER = "dead_letter"
    """A body that is no page was set aside, and the stream went on behind it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a queue has come: a row of `bronze_ingest_checkpoints`."""

    queue_key: str
    seq: int
    last_cursor_id: str
    next_cursor_id: str
    retrieved_at: float
    status: CheckpointStatus
    http_status: int
    response_ms: float
