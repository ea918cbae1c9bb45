"""A whole harvest as others see it: live, through its socket, and in the store; all three tell the same."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harvester.attach import AttachedSource
from harvester.commands.demo import demo_transport
from harvester.settings import demo_settings
from harvester.snapshot import QueueState
from harvester.snapshot_address import socket_directory
from harvester.snapshot_source import LiveSource, SnapshotSource, SourceLostError
from harvester.store.engine import Engine
from harvester.stored_source import StoredSource
from harvester.supervisor import Supervisor
from tests.schema_template import migrate


def test_live_attached_and_stored_tell_the_same(engine: Engine, tmp_path: Path) -> None:
    migrate(engine)
    store = "server" if engine.embedded_directory is None else "embedded"
    settings = demo_settings(tmp_path, "http://127.0.0.1:9").with_overrides(feeds=["psapi"], realms=["pc"])
    supervisor = Supervisor(
        settings, engine, settings.queues[:1], transport=lambda: demo_transport(settings), demo=True
    )
    attached: SnapshotSource = AttachedSource(socket_directory(settings, engine))
    live: SnapshotSource = LiveSource(supervisor.snapshot, supervisor.events)
    supervisor.start()
    try:
        over = time.monotonic() + 60
        seen = None
        while time.monotonic() < over and (seen is None or seen.schema is None or not seen.queues[0].pages):
            try:
                seen = attached.read()
            except SourceLostError:
                supervisor.wait(0.05)
        assert seen is not None
        assert seen.queues[0].pages >= 1
        assert seen.harvester == live.read().harvester
        assert (seen.store.kind, seen.store.reachable) == (store, True)
        assert seen.schema is not None
        assert (seen.schema.pending, seen.schema.drifted) == (0, 0)
        assert seen.queues[0].recent_pages[-1].seq == seen.queues[0].seq
    finally:
        supervisor.stop()
        assert supervisor.wait(30)

    last = live.read()
    assert last.queues[0].state is QueueState.STOPPED
    farewell = seen
    while farewell.queues[0].state is not QueueState.STOPPED:
        farewell = attached.read()
    assert [(q.cursor, q.next_cursor, q.pages) for q in farewell.queues] == [
        (q.cursor, q.next_cursor, q.pages) for q in last.queues
    ]
    with pytest.raises(SourceLostError, match="has ended"):
        attached.read()

    stored: SnapshotSource = StoredSource(engine)
    kept = stored.read()
    stored.close()
    assert kept.queues[0].pages == last.queues[0].pages
    assert kept.harvester == last.harvester
    assert {event.what for event in kept.events} <= {event.what for event in live.new_events()}
