"""How the pages of each feed become rows."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harvester.clock import SystemClock
from harvester.feeds.currency_exchange import FEED_NAME as CURRENCY_EXCHANGE
from harvester.feeds.currency_exchange import HISTORY_FEED
from harvester.feeds.public_stash import FEED_NAME as PUBLIC_STASH
from harvester.model import Queue
from harvester.store.commit import Layers
from harvester.store.crash_points import CrashPoint
from harvester.store.currency_layers import CurrencyExchangeLayers
from harvester.store.currency_names import all_names, sync_names
from harvester.store.handle import Handle
from harvester.store.name_guard import NameGuard
from harvester.store.public_stash_layers import PublicStashLayers


def make_layers(
    queue: Queue,
    handle: Handle,
    leagues: Iterable[str],
    crash_point: CrashPoint,
    *,
    names_file: Path | None = None,
    names: NameGuard | None = None,
) -> Layers:
    """The layers of a queue. Raises `KeyError` for an unknown feed.

    `leagues` is the operator's filter, `names_file` their own names of currencies; `names` says how account names
    are written.
    """
    if queue.feed == PUBLIC_STASH:
        return PublicStashLayers(handle, queue.realm, leagues, crash_point=crash_point, names=names)
    if queue.feed in (CURRENCY_EXCHANGE, HISTORY_FEED):
        sync_names(handle, all_names(names_file), SystemClock().now())
        return CurrencyExchangeLayers(handle, queue, leagues, crash_point=crash_point)
    raise KeyError(queue.feed)
