"""Lets a monitoring system look in, where the operator gave an address for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from harvester.snapshot import Snapshot


@contextlib.contextmanager
def observing(
    address: tuple[str, int] | None, snapshot: Callable[[], Snapshot], tell: Callable[[str], None]
) -> Iterator[None]:
    """Answer while the block runs; without an address not at all. Where that fails `tell` hears why."""
    server = None
    if address is not None:
        # Not asked for by most, and the start of the program should not wait for it.
        from harvester.observation_server import ObservationServer

        try:
            server = ObservationServer(*address, snapshot)
            server.start()
        except OSError as error:
            tell(f"no metrics: {address[0]}:{address[1]} cannot be listened on: {error.strerror or error}")
    try:
        yield
    finally:
        if server is not None:
            server.close()
