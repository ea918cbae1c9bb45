"""How the pages of each feed become rows."""

from __future__ import annotations

from collections.abc import Iterable

from harvester.feeds.currency_exchange import FEED_NAME as CURRENCY_EXCHANGE
from harvester.feeds.currency_exchange import HISTORY_FEED
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.model import Queue
from harvester.store.commit import Layers
from harvester.store.crash_points import CrashPoint
from harvester.store.currency_layers import CurrencyExchangeLayers
from harvester.store.engine import Handle
from harvester.store.public_stash_layers import PublicStashLayers


def make_layers(queue: Queue, handle: Handle, leagues: Iterable[str], crash_point: CrashPoint) -> Layers:
    """The layers of a queue; `leagues` is the operator's filter. Raises `KeyError` for an unknown feed."""
    if queue.feed == PUBLIC_STASH:
        return PublicStashLayers(handle, queue.realm, leagues, crash_point=crash_point)
    if queue.feed in (CURRENCY_EXCHANGE, HISTORY_FEED):
        return CurrencyExchangeLayers(handle, queue, leagues, crash_point=crash_point)
    raise KeyError(queue.feed)
