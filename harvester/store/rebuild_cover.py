"""What bronze still covers of a realm: the unbroken run of pages up to the newest one."""

from __future__ import annotations

from dataclasses import dataclass

from harvester.feeds.public_stash import FEED_NAME
from harvester.model import Queue
from harvester.store.handle import Handle

# A page that was set aside whole has no row in bronze, and leaves no gap.
_KNOWN = """
    SELECT seq FROM raw_public_stash_pages WHERE realm = {realm:String}
    UNION DISTINCT
    SELECT seq FROM bronze_dead_letters WHERE queue_key = {queue:String} AND kind = 'page'
"""


@dataclass(frozen=True, slots=True)
class Cover:
    """The pages of one realm from which silver can be derived."""

    realm: str
    first: int
    """The seq behind the last gap."""
    last: int
    pages: int
    """Those with a body; the others between were set aside whole."""
    began_ms: int
    """When page `first` was fetched: milliseconds since the Unix epoch."""


def find_cover(handle: Handle, realm: str) -> Cover | None:
    """The cover of a realm; None where bronze lacks the newest committed page, or every page."""
    parameters = {"realm": realm, "queue": Queue(FEED_NAME, realm).key}
    first, last = handle.rows(
        "SELECT maxIf(seq, seq != before + 1), max(seq) FROM"
        " (SELECT seq, lagInFrame(seq) OVER (ORDER BY seq) AS before FROM"
        f" ({_KNOWN}))",
        parameters,
    )[0]
    committed = handle.value(
        "SELECT max(seq) FROM bronze_ingest_checkpoints WHERE queue_key = {queue:String} AND status != 'caught_up'",
        parameters,
    )
    pages, began_ms = handle.rows(
        "SELECT uniqExact(seq), toUnixTimestamp64Milli(min(fetched_at)) FROM raw_public_stash_pages"
        " WHERE realm = {realm:String} AND seq >= {first:UInt64}",
        {**parameters, "first": first},
    )[0]
    if not pages or last < (committed or 0):
        return None
    return Cover(realm, max(1, int(first)), int(last), int(pages), int(began_ms))
