"""Which feeds exist."""

from __future__ import annotations

from harvester.feeds.base import Feed
from harvester.feeds.currency_exchange import FEED_NAME as CURRENCY_EXCHANGE
from harvester.feeds.currency_exchange import HISTORY_FEED, CurrencyExchangeFeed, CurrencyHistoryFeed
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.feeds.public_stash import PublicStashFeed
from harvester.settings import Settings

FEEDS = (PUBLIC_STASH, CURRENCY_EXCHANGE)
"""The feeds that can be harvested."""


def make_feed(name: str, settings: Settings, span: tuple[int, int] | None = None) -> Feed:
    """The feed by its name; raises `KeyError` for one that does not exist.

    `span` is what a history feed fills: the newest and the oldest hour, as Unix times.
    """
    if name == PUBLIC_STASH:
        return PublicStashFeed(settings.api_base_url, settings.stash_api_path)
    if name == CURRENCY_EXCHANGE:
        return CurrencyExchangeFeed(settings.cx_base_url)
    if name == HISTORY_FEED:
        newest, oldest = span or (None, None)
        return CurrencyHistoryFeed(settings.cx_base_url, newest, oldest)
    raise KeyError(name)
