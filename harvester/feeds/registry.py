"""Which feeds exist, and what each is made of."""

from __future__ import annotations

from harvester.feeds.base import Feed
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.feeds.public_stash import PublicStashFeed
from harvester.model import Queue
from harvester.settings import Settings
from harvester.store.commit import Layers
from harvester.store.crash_points import CrashPoint
from harvester.store.engine import Handle
from harvester.store.public_stash_layers import PublicStashLayers

FEEDS = (PUBLIC_STASH,)
"""The feeds that can be harvested."""


def make_feed(name: str, settings: Settings) -> Feed:
    """The feed by its name; raises `KeyError` for one that does not exist."""
    if name == PUBLIC_STASH:
        return PublicStashFeed(settings.api_base_url, settings.stash_api_path)
    raise KeyError(name)


def make_layers(queue: Queue, handle: Handle, settings: Settings, crash_point: CrashPoint) -> Layers:
    """How the pages of a queue become rows."""
    if queue.feed == PUBLIC_STASH:
        return PublicStashLayers(handle, queue.realm, settings.leagues, crash_point=crash_point)
    raise KeyError(queue.feed)
