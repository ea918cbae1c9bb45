"""The engine that the settings name, and what to say when it cannot be used."""

from __future__ import annotations

from typing import TextIO

from harvester.commands.output import say
from harvester.settings import Settings
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.replication import Replication
from harvester.store.server_connection import ServerOptions


def engine_of(settings: Settings) -> Engine:
    """The store of these settings; nothing is opened yet."""
    return Engine(
        settings.clickhouse_url,
        settings.clickhouse_database,
        user=settings.clickhouse_user,
        password=settings.store_password(),
        options=ServerOptions(
            timeout=settings.clickhouse_timeout,
            verify=settings.clickhouse_verify == "yes",
            ca_cert=settings.clickhouse_ca_cert,
            replication=Replication(
                cluster=settings.clickhouse_cluster, replicated=settings.clickhouse_replicated == "yes"
            ),
        ),
    )


def unusable_spool(settings: Settings, error: OSError) -> str:
    """What to do about a spool that cannot be used; names the variables that decide where it lies."""
    inside = settings.spool_dir.is_relative_to(settings.cursor_dir)
    names = "POE_CURSOR_DIR, in which it lies, or POE_SPOOL_DIR" if inside else "POE_SPOOL_DIR"
    cause = f"The spool {settings.spool_dir} cannot be used: {error.strerror or error}."
    return f"{cause} Set {names} to a writable directory."


def say_store_error(err: TextIO, error: StoreError, *, if_leased: str = "") -> None:
    """What failed, and what the operator can do, in one line; `if_leased` is that where another runs the queue."""
    todo = if_leased if if_leased and error.fault is StoreFault.LEASED else error.hint
    say(err, f"{error} {todo}".strip())
