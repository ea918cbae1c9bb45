"""The public stash stream: every change of every public tab, page by page, all leagues interleaved.

Source: `GET {api}/public-stash-tabs[/{realm}]?id={cursor}`; PC is the path without a realm. The only parameter is `id`.
"""

from __future__ import annotations

from collections.abc import Mapping

from harvester.feeds.base import EndOfStream, PageFound, Reading, Unreadable
from harvester.feeds.cursor_order import LARGEST_PLAUSIBLE_STEP, goes_back, step
from harvester.feeds.page_scan import NotAPage, next_id_in_head, scan_page
from harvester.model import ApiRequest, Queue

FEED_NAME = "psapi"
_LONGEST_CURSOR = 512


class PublicStashFeed:
    """See `harvester.feeds.base.Feed`."""

    name = FEED_NAME
    needs_token = True
    accept_statuses: frozenset[int] = frozenset()
    tries_of_rubbish = 2
    refusal_hint = "Check the cursor and POE_STASH_API_PATH; more of this would get us banned."

    def __init__(self, api_base_url: str, path: str = "public-stash-tabs") -> None:
        self._url = f"{api_base_url.rstrip('/')}/{path.strip('/')}"

    def request(self, queue: Queue, cursor: str) -> ApiRequest:
        """The request for a cursor; without one the API starts at the oldest page it keeps."""
        url = self._url if queue.realm == "pc" else f"{self._url}/{queue.realm}"
        return ApiRequest(queue, url, (("id", cursor),) if cursor else (), needs_token=True)

    def early_next_cursor(self, headers: Mapping[str, str]) -> str | None:
        """`X-Next-Change-Id`, where it looks like a cursor."""
        value = headers.get("X-Next-Change-Id") or headers.get("x-next-change-id") or ""
        return value if is_cursor(value) else None

    def shown(self, cursor: str) -> str:
        """As it is."""
        return cursor or "the start of the stream"

    def first_cursor(self, now: float) -> str:  # noqa: ARG002
        """None: the start of the stream, the oldest page that the API keeps."""
        return ""

    def cursor_problem(self, cursor: str, now: float) -> str:  # noqa: ARG002
        """Cursors are opaque."""
        return ""

    def there_at(self, cursor: str) -> float | None:  # noqa: ARG002
        """Only asking tells."""
        return None

    def is_done(self, cursor: str) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def beyond(self, cursor: str, now: float) -> str:  # noqa: ARG002
        """Nothing can be said."""
        return ""

    def behind_hours(self, cursor: str, now: float) -> int | None:  # noqa: ARG002
        """Unknown: the head of the stream is told by an undocumented endpoint only."""
        return None

    def read(self, cursor: str, body: bytes, http_status: int = 200) -> Reading:  # noqa: ARG002
        """The end of the stream is the same id back, with or without stashes: what it holds is asked for again."""
        try:
            scan = scan_page(body)
        except NotAPage as reason:
            head = None if reason.ambiguous_next else next_id_in_head(body)
            usable = head is not None and is_cursor(head) and not goes_back(cursor, head)
            return Unreadable(str(reason), head if usable else None)
        if not is_cursor(scan.next_change_id):
            return Unreadable("next_change_id is no cursor", None)
        if scan.next_change_id == cursor:
            return EndOfStream()
        if goes_back(cursor, scan.next_change_id):
            return PageFound(scan.next_change_id, f"it leads back to {scan.next_change_id}", turns_back=True)
        moved = step(cursor, scan.next_change_id)
        if moved is not None and moved > LARGEST_PLAUSIBLE_STEP:
            count = len(scan.records)
            return PageFound(scan.next_change_id, f"{count} records lead {moved:,} changes ahead")
        return PageFound(scan.next_change_id)


def is_cursor(text: str) -> bool:
    """Whether a text can be a cursor: opaque, but printable, without spaces, and of bounded length."""
    return 0 < len(text) <= _LONGEST_CURSOR and text.isascii() and text.isprintable() and " " not in text
