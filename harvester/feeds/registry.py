"""Which feeds exist."""

from __future__ import annotations

from harvester.feeds.base import Feed
from harvester.feeds.currency_exchange import FEED_NAME as CURRENCY_EXCHANGE
from harvester.feeds.currency_exchange import HISTORY_FEED, CurrencyExchangeFeed, CurrencyHistoryFeed, Fill
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.feeds.public_stash import PublicStashFeed
from harvester.model import Queue
from harvester.settings import Settings

FEEDS = (PUBLIC_STASH, CURRENCY_EXCHANGE)
"""The feeds that can be harvested."""


def make_feed(name: str, settings: Settings, fill: Fill | None = None) -> Feed:
    """The feed by its name; raises `KeyError` for one that does not exist.

    `fill` says which hours of the currency exchange are wanted.
    """
    if name == PUBLIC_STASH:
        return PublicStashFeed(settings.api_base_url, settings.stash_api_path)
    if name == CURRENCY_EXCHANGE:
        return CurrencyExchangeFeed(settings.cx_base_url, fill.start if fill else None)
    if name == HISTORY_FEED:
        return CurrencyHistoryFeed(settings.cx_base_url, *((fill.start, fill.down_to) if fill else (None, None)))
    raise KeyError(name)


def can_run(settings: Settings, queue: Queue) -> bool:
    """Whether a queue of an existing feed has what it needs: for some feeds that is the operator's OAuth client."""
    return settings.has_oauth_client or not make_feed(queue.feed, settings).needs_token
