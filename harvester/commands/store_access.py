"""The engine that the settings name, and what to say when it cannot be used."""

from __future__ import annotations

from typing import TextIO

from harvester.commands.output import say
from harvester.settings import Settings
from harvester.store.engine import Engine
from harvester.store.errors import StoreError


def engine_of(settings: Settings) -> Engine:
    """The store of these settings; nothing is opened yet."""
    return Engine(
        settings.clickhouse_url,
        settings.clickhouse_database,
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
    )


def say_store_error(err: TextIO, error: StoreError) -> None:
    """What failed, and what the operator can do, in one line."""
    say(err, f"{error} {error.hint}".strip())
