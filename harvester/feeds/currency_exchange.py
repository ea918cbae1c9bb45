"""The currency exchange: what was traded hour by hour, in public, without a token.

Source: `GET {cx}/currency-exchange[/{realm}]/{hour}`; PC is the path without a realm. The hour is the Unix time of its
start and the cursor; an answer describes that hour, and its `next_change_id` is the hour after it. A finished hour
never changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from harvester.feeds.base import EndOfStream, PageFound, Reading, Unreadable
from harvester.feeds.hour_scan import next_hour_in_head, scan_hour
from harvester.feeds.page_scan import NotAPage
from harvester.model import ApiRequest, Queue

FEED_NAME = "cxapi"
HISTORY_FEED = "cxapi-history"
"""The queue that fills what lies before the first hour of `cxapi`, from there back into the past."""
HOUR = 3600
DAY = 24 * HOUR
PUBLISHED_AFTER = 5.0
"""Seconds after an hour's end at which it is asked for: it is there about a second after it, and clocks differ."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Which hours a queue is to bring, where the operator said it."""

    start: int
    """The hour that it begins with where it has no cursor yet, as a Unix time."""
    down_to: int | None = None
    """Of a history queue: the oldest hour."""


FIRST_HOURS = {"pc": 1_722_024_000, "xbox": 1_722_024_000, "sony": 1_722_024_000, "poe2": 1_733_011_200}
"""Before these nothing was traded: 2024-07-26 20:00 UTC, and December 2024 for Path of Exile 2."""
DOUBT_SECONDS = 300.0
"""Between the first looks at hours that the API denies or leaves out. Caches serve stale answers for minutes."""
_LONGEST_CURSOR = 12


class CurrencyExchangeFeed:
    """See `harvester.feeds.base.Feed`. Walks forward in time, and waits for each hour to be over."""

    name = FEED_NAME
    needs_token = False
    accept_statuses = frozenset({404})
    """An hour that is not there yet, or no longer, is a 404 whose body still names the next one."""
    tries_of_rubbish = 5
    refusal_hint = "Check POE_CX_BASE_URL and the realm; asking on would get us banned."

    def __init__(self, cx_base_url: str, since: int | None = None) -> None:
        """`since` is the hour that a queue without a cursor begins with, as a Unix time."""
        self._since = since
        self._url = f"{cx_base_url.rstrip('/')}/currency-exchange"

    def request(self, queue: Queue, cursor: str) -> ApiRequest:
        """The request for an hour; without one the API starts at the oldest hour it keeps."""
        parts = [self._url, *([] if queue.realm == "pc" else [queue.realm]), *([cursor] if cursor else [])]
        return ApiRequest(queue, "/".join(parts), (), needs_token=False)

    def early_next_cursor(self, headers: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """None: hours are asked for one after the other."""
        return None

    def shown(self, cursor: str) -> str:
        """The hour, in UTC."""
        return f"the hour {hour_text(cursor)} UTC" if is_hour(cursor) else "the oldest hour"

    def first_cursor(self, now: float) -> str:
        """Where nothing is stored: the hour that was wished for, else the one a day back."""
        return str(start_of_hour(now) - DAY if self._since is None else self._since)

    def cursor_problem(self, cursor: str, now: float) -> str:
        """Why this cursor cannot be asked with; empty where it can."""
        if not is_hour(cursor):
            return f"{cursor!r} is no hour: the Unix time of its start is wanted, a multiple of {HOUR}"
        if int(cursor) > start_of_hour(now) + HOUR:
            return f"the hour {hour_text(cursor)} lies in the future: is the clock of this machine right?"
        return ""

    def there_at(self, cursor: str) -> float | None:
        """Epoch seconds from which the hour can be there."""
        return int(cursor) + HOUR + PUBLISHED_AFTER if is_hour(cursor) else None

    def is_done(self, cursor: str) -> bool:  # noqa: ARG002
        """Never: there is always another hour."""
        return False

    def beyond(self, cursor: str, now: float) -> str:
        """The hour after this one, where it is over too."""
        return self._following(cursor) if (self.behind_hours(cursor, now) or 0) > 1 else ""

    def behind_hours(self, cursor: str, now: float) -> int | None:
        """Hours that are over and not yet fetched."""
        return max(0, (start_of_hour(now) - int(cursor)) // HOUR) if is_hour(cursor) else None

    def read(self, cursor: str, body: bytes, http_status: int = 200) -> Reading:
        """What the answer for an hour says.

        The end of the stream is a 404 that names this hour or the next, or the same hour back without markets. A 404
        that names a later one means that the hour is no longer kept: the stream goes on there.
        """
        try:
            scan = scan_hour(body)
        except NotAPage as reason:
            head = next_hour_in_head(body)
            follows = is_hour(cursor) and head == int(cursor) + HOUR
            return Unreadable(str(reason), self._following(cursor) if follows else None)
        if not is_hour(str(scan.next_change_id)):
            return Unreadable(f"next_change_id {scan.next_change_id} is no hour", None)
        if not cursor:
            return PageFound(str(scan.next_change_id))
        ahead = scan.next_change_id - int(cursor)
        if ahead < 0:
            return Unreadable(f"it leads back to {hour_text(scan.next_change_id)}", None)
        if http_status == 404 and ahead > HOUR and not scan.markets:
            return self._off_range(cursor, scan.next_change_id)
        if not scan.markets and (ahead == 0 or http_status == 404):
            return self._not_there(cursor)
        if ahead == 0 or http_status == 404:
            return Unreadable(f"status {http_status} with {len(scan.markets)} markets and the same hour as next", None)
        if ahead > HOUR:
            return self._gap(cursor, scan.next_change_id)
        return PageFound(self._following(cursor))

    def _following(self, cursor: str) -> str:
        return str(int(cursor) + HOUR)

    def _not_there(self, cursor: str) -> Reading:  # noqa: ARG002
        return EndOfStream()

    def _gap(self, cursor: str, following: int) -> Reading:
        hours = (following - int(cursor)) // HOUR - 1
        doubt = f"the API leaves out {hours:,} hours behind {hour_text(cursor)}"
        return PageFound(str(following), doubt, settled_after=DOUBT_SECONDS)

    def _off_range(self, cursor: str, oldest: int) -> Reading:
        hours = (oldest - int(cursor)) // HOUR
        return PageFound(
            str(oldest),
            f"the hour {hour_text(cursor)} is not kept (any more); the API has nothing before {hour_text(oldest)}: "
            f"{hours:,} hours are left out",
            settled_after=DOUBT_SECONDS,
        )


class CurrencyHistoryFeed(CurrencyExchangeFeed):
    """Walks back in time from where the forward queue began, down to an hour, so that each hour is fetched once."""

    name = HISTORY_FEED

    def __init__(self, cx_base_url: str, newest: int | None, down_to: int | None) -> None:
        """`newest` is the hour that a queue without a cursor begins with, `down_to` the last; both Unix times."""
        super().__init__(cx_base_url, newest)
        self._down_to = down_to

    def there_at(self, cursor: str) -> float | None:  # noqa: ARG002
        """None: all of it is past."""
        return None

    def beyond(self, cursor: str, now: float) -> str:  # noqa: ARG002
        """Nothing: an hour that stays missing is passed over."""
        return ""

    def is_done(self, cursor: str) -> bool:
        """Whether the hour lies before what is wanted."""
        return self._down_to is None or not is_hour(cursor) or int(cursor) < self._down_to

    def behind_hours(self, cursor: str, now: float) -> int | None:  # noqa: ARG002
        """Hours that are wanted and not yet fetched."""
        if self._down_to is None or not is_hour(cursor):
            return None
        return max(0, (int(cursor) - self._down_to) // HOUR + 1)

    def _following(self, cursor: str) -> str:
        return str(int(cursor) - HOUR)

    def _not_there(self, cursor: str) -> Reading:
        missing = f"the API does not have the hour {hour_text(cursor)}"
        return PageFound(self._following(cursor), missing, settled_after=DOUBT_SECONDS)

    def _gap(self, cursor: str, following: int) -> Reading:  # noqa: ARG002
        return PageFound(self._following(cursor))

    def _off_range(self, cursor: str, oldest: int) -> Reading:  # noqa: ARG002
        return EndOfStream(f"the API keeps nothing before {hour_text(oldest)}", settled_after=DOUBT_SECONDS)


def is_hour(text: str) -> bool:
    """Whether a cursor is the start of an hour."""
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_CURSOR and int(text) % HOUR == 0


def start_of_hour(epoch_seconds: float) -> int:
    """The hour that a moment lies in."""
    return int(epoch_seconds) // HOUR * HOUR


def hour_text(hour: int | str) -> str:
    """An hour for people: `2026-11-24 13:00`, in UTC."""
    return datetime.fromtimestamp(int(hour), UTC).strftime("%Y-%m-%d %H:00")
