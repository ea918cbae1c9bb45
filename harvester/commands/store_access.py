"""The engine that the settings name."""

from __future__ import annotations

from harvester.settings import Settings
from harvester.store.engine import Engine


def engine_of(settings: Settings) -> Engine:
    """The store of these settings; nothing is opened yet."""
    return Engine(
        settings.clickhouse_url,
        settings.clickhouse_database,
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
    )
