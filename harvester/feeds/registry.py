"""Which feeds exist."""

from __future__ import annotations

from harvester.feeds.base import Feed
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.feeds.public_stash import PublicStashFeed
from harvester.settings import Settings

FEEDS = (PUBLIC_STASH,)
"""The feeds that can be harvested."""


def make_feed(name: str, settings: Settings) -> Feed:
    """The feed by its name; raises `KeyError` for one that does not exist."""
    if name == PUBLIC_STASH:
        return PublicStashFeed(settings.api_base_url, settings.stash_api_path)
    raise KeyError(name)
