"""The status: from the store and the files beside it, or from the files alone."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from harvester.clock import SystemClock, VirtualClock
from harvester.commands.status import run_status
from harvester.events import Event, EventLog, Level, moment
from harvester.model import Page, Queue, SpooledPage
from harvester.settings import Settings, load_settings
from harvester.snapshot import QueueState, Trouble
from harvester.snapshot_builder import SnapshotBuilder, this_harvester
from harvester.snapshot_server import SnapshotServer
from harvester.store.cursor_file import CursorFile
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.spool import Spool
from harvester.store.survey import unasked
from harvester.store.telemetry_sink import TelemetrySink
from tests.schema_template import migrate
from tests.snapshot_bench import full_snapshot
from tests.store_bench import item, open_bench, page_of, stash

NOW = 1_767_225_700.0
PC = Queue("psapi", "pc")


def settings_for(engine: Engine, directory: Path) -> Settings:
    environ = {
        "POE_CLICKHOUSE_URL": engine.url,
        "POE_CLICKHOUSE_DATABASE": engine.database,
        "POE_CURSOR_DIR": str(directory / "cursors"),
        "POE_REALMS": "pc,xbox",
    }
    return load_settings(environ, None)


def status(settings: Settings, *, as_json: bool = False, now: float = NOW) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run_status(settings, json=as_json, out=out, err=err, clock=VirtualClock(now))
    return code, out.getvalue(), err.getvalue()


def leave_files(directory: Path) -> None:
    CursorFile(directory / "cursors", PC).write("1-2-3", NOW - 30)
    Spool(directory / "cursors" / "spool", PC).put(SpooledPage(7, Page(PC, "1-2-3", "1-2-4", NOW, b"{}")))


def test_a_harvested_store_tells_queues_layers_and_schema(handle: Handle, engine: Engine, tmp_path: Path) -> None:
    bench = open_bench(handle, engine, tmp_path / "bench")
    bench.commit(page_of([stash("S", item("a"), item("b"))]))
    leave_files(tmp_path)

    code, out, err = status(settings_for(engine, tmp_path))

    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert f"database {engine.database}" in lines[0]
    assert lines[1] == "Schema  all 5 migrations applied" or "migrations applied" in lines[1]
    row = next(line.split() for line in lines if line.startswith("psapi:pc"))
    assert row[1] == "red", "the page is days old"
    assert row[-2:] == ["1", "c2"]
    assert ["v_listings_current", "2"] in [line.split() for line in lines]

    answer = json.loads(status(settings_for(engine, tmp_path), as_json=True)[1])
    assert set(answer) == {"store", "schema", "said", "queues", "layers", "harvest", "events"}
    queue, *waiting = answer["queues"]
    assert [entry["queue"] for entry in waiting] == ["psapi:xbox", "cxapi:pc", "cxapi:xbox"]
    assert {entry["level"] for entry in waiting} == {"unknown"}, "no page yet"
    assert (queue["cursor"], queue["cursor_file"], queue["spool_pages"]) == ("c2", "1-2-3", 1)


def test_pending_migrations_are_told(engine: Engine, handle: Handle, tmp_path: Path) -> None:
    migrate(engine)
    handle.run("ALTER TABLE poe_schema_migrations DELETE WHERE version = '0005'", settings={"mutations_sync": 2})

    assert "Schema  1 pending, 0 drifted" in status(settings_for(engine, tmp_path))[1]


def test_an_empty_store_is_no_failure_and_files_are_told(engine: Engine, tmp_path: Path) -> None:
    leave_files(tmp_path)

    code, out, err = status(settings_for(engine, tmp_path))

    assert code == 0
    assert "nothing was ever harvested" in err
    assert out.splitlines()[1].split() == ["psapi:pc", "amber", "30", "s", "–", "1", "1-2-3"]


def test_nothing_is_created_by_looking(tmp_path: Path) -> None:
    nowhere = Engine(f"chdb://{tmp_path}/none", "poe_trade")

    assert status(settings_for(nowhere, tmp_path))[0] == 0
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_leaves_the_files(tmp_path: Path) -> None:
    leave_files(tmp_path)
    away = Engine("http://127.0.0.1:9", "poe_trade")

    code, out, _ = status(settings_for(away, tmp_path), as_json=True)

    answer = json.loads(out)
    assert code == 1
    assert "POE_CLICKHOUSE_URL" in answer["said"]
    assert (answer["queues"][0]["level"], answer["queues"][0]["lag_seconds"]) == ("amber", 30)


def test_a_damaged_cursor_file_is_trouble_to_be_shown(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "cursors").mkdir()
    (tmp_path / "cursors" / "psapi_pc.json").write_text("{torn")

    code, out, _ = status(settings_for(engine, tmp_path))

    assert code == 0
    assert "psapi_pc.json cannot be read" in out


def test_a_demo_that_has_ended_is_not_late(handle: Handle, engine: Engine, tmp_path: Path) -> None:
    bench = open_bench(handle, engine, tmp_path / "bench")
    bench.commit(page_of([stash("S", item("a"))]))
    sink = TelemetrySink(engine)
    now = SystemClock().now()  # the table keeps Snapshots for 90 days
    ended = full_snapshot("psapi:pc", taken_at=now)
    sink.flush(replace(ended, queues=tuple(replace(queue, state=QueueState.STOPPED) for queue in ended.queues)))
    sink.close()
    levels = []
    for demo in (False, True):
        out, clock = io.StringIO(), VirtualClock(now)
        run_status(settings_for(engine, tmp_path), json=False, out=out, err=out, clock=clock, demo=demo)
        levels.append(next(line.split()[1] for line in out.getvalue().splitlines() if line.startswith("psapi:pc")))

    assert levels[0] != "ended", "anybody else wants to know how long ago it was"
    assert levels[1] == "ended"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_store_held_by_another_process_is_named(tmp_path: Path, as_json: bool) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "status").write_text("PID: 1\n")
    leave_files(tmp_path)
    held = Engine(f"chdb://{tmp_path}/store", "poe_trade")

    with (tmp_path / "store" / "status").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, out, err = status(settings_for(held, tmp_path), as_json=as_json)

    assert code == 0
    assert "in use by process 1." in out + err
    assert "1-2-3" in out


@pytest.mark.parametrize("as_json", [False, True])
def test_a_harvest_that_holds_the_store_says_itself_how_it_stands(tmp_path: Path, as_json: bool) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "status").write_text("PID: 1\n")
    leave_files(tmp_path)
    held = Engine(f"chdb://{tmp_path}/store", "poe_trade")
    server = SnapshotServer(tmp_path / "store", full_snapshot)
    server.start()

    with contextlib.closing(server), (tmp_path / "store" / "status").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, out, err = status(settings_for(held, tmp_path), as_json=as_json)

    assert code == 0
    expected = full_snapshot()
    if as_json:
        answer = json.loads(out)
        assert (answer["harvest"]["pid"], answer["harvest"]["rate_limited"]) == (4711, 1)
        assert (answer["store"]["bytes"], answer["schema"]["pending"]) == (1_200_000_000, 1)
        assert [queue["queue"] for queue in answer["queues"]] == ["psapi:pc", "psapi:xbox"]
        assert answer["queues"][0]["cursor"] == expected.queues[0].next_cursor
        assert answer["queues"][0]["cursor_file"] == "1-2-3"
    else:
        assert "A harvest is running: process 4711 on harvest-1, version 0.1.0, for 3 h 12 min." in err
        assert out.splitlines()[1].split()[:6] == ["psapi:pc", "ok", "3", "s", "harvesting", "1"]


def test_the_trouble_and_the_warnings_of_the_last_harvest_are_told(
    handle: Handle, engine: Engine, tmp_path: Path
) -> None:
    migrate(engine)
    now = SystemClock().now()  # the store drops status rows that are older than a quarter
    events = EventLog()
    events.add(Event(now - 60, Level.WARNING, "psapi:pc", "HTTP 503", "try 2 in 1 s", since=now - 61))
    events.add(Event(now - 50, Level.INFO, "psapi:pc", "no news"))
    builder = SnapshotBuilder(
        VirtualClock(now - 40),
        [PC],
        events,
        amber_seconds=20,
        red_seconds=60,
        spool_budget=1,
        store=unasked(engine),
        harvester=this_harvester(),
    )
    builder.meters[PC].trouble = Trouble("ClickHouse: disk full", now - 100, 7, now - 30, "Free disk space.")
    sink = TelemetrySink(engine)
    sink.flush(builder.build((), ()))
    sink.close()

    _, out, _ = status(settings_for(engine, tmp_path), now=now)

    row = next(line for line in out.splitlines() if line.startswith("psapi:pc"))
    assert row.endswith(f"ClickHouse: disk full (since {moment(now - 100, now)}) — Free disk space.")
    assert f"{moment(now - 60, now)} psapi:pc: HTTP 503 (since" in out
    assert "no news" not in out
    answer = json.loads(status(settings_for(engine, tmp_path), as_json=True)[1])
    assert [event["what"] for event in answer["events"]] == ["HTTP 503"]
