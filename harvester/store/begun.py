"""Pages that the store holds in raw form but that no checkpoint stands for: their commit broke off."""

from __future__ import annotations

from harvester.model import Page, Queue, SpooledPage
from harvester.store.handle import Handle

_RAW_PAGES = {
    "psapi": "raw_public_stash_pages WHERE realm = {realm:String}",
    "cxapi": "raw_currency_exchange_hours WHERE queue_key = {queue:String}",
    "cxapi-history": "raw_currency_exchange_hours WHERE queue_key = {queue:String}",
}
"""Where the pages of a queue are kept as they came, with the columns of `_COLUMNS`, by feed."""
_COLUMNS = "seq, change_id, next_change_id, toUnixTimestamp64Milli(fetched_at) / 1000, body"
_ACCOUNT_NAMES = {"psapi": "account_names"}
"""The column that says how names stand in the body, where the feed has names."""


def begun_after(handle: Handle, queue: Queue, seq: int) -> SpooledPage | None:
    """The first page behind `seq` whose raw form is stored, as it stands there; None where there is none."""
    pages = _RAW_PAGES.get(queue.feed)
    if pages is None:
        return None
    names = _ACCOUNT_NAMES.get(queue.feed, "'keep'")
    rows = handle.rows(
        f"SELECT {_COLUMNS}, {names} FROM {pages} AND seq > {{seq:UInt64}} ORDER BY seq LIMIT 1",
        {"realm": queue.realm, "queue": queue.key, "seq": seq},
        as_bytes=True,
    )
    if not rows:
        return None
    begun, change_id, following, fetched_at, body, account_names = rows[0]
    page = Page(
        queue,
        change_id.decode(),
        following.decode(),
        fetched_at,
        bytes(body),
        account_names=account_names if isinstance(account_names, str) else account_names.decode(),
    )
    return SpooledPage(begun, page)
