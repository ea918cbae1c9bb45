"""The connection to a ClickHouse server: its options, and a transport that never sends an insert twice.

clickhouse-connect 1.12 repeats an insert by itself when the connection breaks before the answer has come, though the
server may have stored it by then: one insert becomes two. Whether to repeat is decided by looking at the tables
(`harvester.store.settling`), so the transport refuses the second try.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3
from clickhouse_connect.driver.httputil import get_pool_manager_options

from harvester.store.replication import PLAIN, Replication


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to talk to a server; an embedded store has none of this."""

    timeout: float = 60.0
    """Seconds for which one statement may stay without an answer."""
    connect_timeout: float = 10.0
    """Seconds in which the connection must stand."""
    verify: bool = True
    """Whether the certificate of an https server must be one that is trusted."""
    ca_cert: Path | None = None
    """Certificates to trust instead of the system's, as a PEM file."""
    compression: bool = True
    """Whether what goes over the wire is compressed."""
    replication: Replication = PLAIN
    """How its tables are defined."""

    def for_driver(self) -> dict[str, Any]:
        """As keyword arguments of `clickhouse_connect.get_client`; the pool in it belongs to that one client."""
        trust = get_pool_manager_options(
            ca_cert=str(self.ca_cert) if self.ca_cert else None,
            verify=self.verify,
            maxsize=2,
        )
        return {
            "send_receive_timeout": max(1, round(self.timeout)),
            "connect_timeout": max(1, round(self.connect_timeout)),
            "compress": self.compression,
            "pool_mgr": _OncePool(**trust),
            # Makes the URL of every call its own, the same for both tries of one call.
            "autogenerate_query_id": True,
        }


class _OncePool(urllib3.PoolManager):
    """Sends a body that is made while it is sent (that of an insert) once, whoever asks for more."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._failed: tuple[str, Exception] | None = None

    def request(self, method: str, url: str, *args: Any, **named: Any) -> Any:
        if self._failed is not None and self._failed[0] == url:
            raise self._failed[1]
        ask: Callable[..., Any] = super().request
        if isinstance(named.get("body"), bytes | bytearray | str | None):
            return ask(method, url, *args, **named)
        try:
            return ask(method, url, *args, **{**named, "retries": False})
        except Exception as error:
            self._failed = url, error
            raise
