"""Watching a harvest through a server: what stands in the store is shown, its past too; the server goes and returns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from harvester.clock import SystemClock
from harvester.settings import load_settings
from harvester.snapshot_source import SourceKind
from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.schema_files import migrations_directory
from harvester.store.telemetry_sink import TelemetrySink
from poe_ledger_tui.messages import Stage
from poe_ledger_tui.session import HarvestPlan
from tests.http_front.process import ServerProcess
from tests.snapshot_bench import full_snapshot
from tests.tui.test_engine_room import Posted, Rooms, rooms

__all__ = ["rooms"]


def shown(kind: SourceKind, total: int) -> object:
    """Whether that Snapshot is the newest that was posted."""
    return lambda seen: (
        seen.snapshot is not None and seen.snapshot.kind is kind and seen.snapshot.snapshot.requests.total == total
    )


def test_a_server_is_read_lost_and_found_again(rooms: Rooms, tmp_path: Path) -> None:
    now = SystemClock().now()
    with ServerProcess(tmp_path / "data") as server:
        engine = Engine(server.url, "poe_trade")
        migrations.apply(engine, migrations.load_migrations(migrations_directory())[:1])
        sink = TelemetrySink(engine)
        for total, age in ((1, 20.0), (2, 1.0)):
            taken = full_snapshot("psapi:pc", taken_at=now - age, pid=1)
            sink.flush(replace(taken, requests=replace(taken.requests, total=total)))
        sink.close()
        settings = load_settings({"POE_CLICKHOUSE_URL": server.url, "POE_CURSOR_DIR": str(tmp_path / "c")}, None)
        room, seen = rooms(lambda: HarvestPlan(settings, "poe-ledger --headless", start=True, monitor=True))

        def until(kind: SourceKind, total: int) -> Posted:
            seen.snapshot = None
            seen.until(shown(kind, total))  # type: ignore[arg-type]
            return seen

        until(SourceKind.STORED, 2)
        assert seen.room.stage is Stage.WATCHING
        assert seen.room.monitor
        assert room.engine is not None, "the checks and the query editor can ask the store"

        assert room.travel(-1) == ""
        until(SourceKind.PAST, 1)
        room.go_to(None)
        until(SourceKind.STORED, 2)

        server.kill()
        seen.said.clear()
        seen.until(lambda seen: any("POE_CLICKHOUSE_URL" in line for line in seen.said))
        server.start()
        until(SourceKind.STORED, 2)


def test_where_another_process_holds_the_store_its_past_cannot_be_looked_at(rooms: Rooms, tmp_path: Path) -> None:
    settings = load_settings({"POE_CLICKHOUSE_URL": f"chdb://{tmp_path}/held", "POE_CURSOR_DIR": str(tmp_path)}, None)
    room, seen = rooms(lambda: HarvestPlan(settings, "poe-ledger --headless", start=True, monitor=True))
    seen.until(lambda seen: seen.room.stage is Stage.WATCHING)

    assert "look at it in the app of that harvest" in room.travel(-1)
    assert "look at it in the app of that harvest" in room.go_to(0.0)
    assert room.go_to(None) == ""
