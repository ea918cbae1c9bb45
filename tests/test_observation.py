"""What a monitoring system is told over HTTP is what the Snapshot says."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from harvester.health import progress_health, readiness
from harvester.metrics import exposition
from harvester.observation import observing
from harvester.observation_server import ObservationServer
from harvester.settings import SettingsError, load_settings
from harvester.snapshot import QueueState, Snapshot, StoreSnapshot
from tests.snapshot_bench import NOW, full_snapshot, in_trouble


@contextlib.contextmanager
def served(snapshot: Snapshot) -> Iterator[str]:
    server = ObservationServer("127.0.0.1", 0, lambda: snapshot)
    server.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.close()


def changed(snapshot: Snapshot, **changes: object) -> Snapshot:
    """With the first queue changed."""
    first, *rest = snapshot.queues
    return replace(snapshot, queues=(replace(first, **changes), *rest))  # type: ignore[arg-type]


def test_metrics_are_the_figures_of_the_snapshot() -> None:
    snapshot = full_snapshot()
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(exposition(snapshot).decode())
        for sample in family.samples
    }
    assert found["poe_requests_total", "ok"] == 11_204
    assert found["poe_requests_total", "rate_limited"] == 1
    assert found["poe_items_total", "psapi:pc"] == 7_600_000
    assert found["poe_lag_seconds", "psapi:xbox"] == 3.0
    assert found["poe_lag_level", "psapi:pc"] == 0
    assert found["poe_queue_state", "psapi:pc", "harvesting"] == 1
    assert found["poe_pace_seconds", "public-stash-tabs-request-limit-pc"] == 0.56
    assert found["poe_request_p95_seconds",] == 0.841
    assert found["poe_store_bytes",] == 1_200_000_000
    assert found["poe_migrations_pending",] == 1


def test_what_is_not_known_is_left_out() -> None:
    unknown = replace(changed(full_snapshot(), lag_seconds=None), store=StoreSnapshot(), schema=None)
    text = exposition(unknown).decode()
    assert "poe_store_up" not in text
    assert "poe_migrations_pending" not in text
    assert 'poe_lag_seconds{queue="psapi:pc"}' not in text


def test_the_runbook_names_every_metric_and_no_other() -> None:
    runbook = (Path(__file__).parent.parent / "docs" / "ops-runbook.md").read_text(encoding="utf-8")
    samples = (
        sample.name
        for family in text_string_to_metric_families(exposition(full_snapshot()).decode())
        for sample in family.samples
    )
    table = "".join(line for line in runbook.splitlines() if line.startswith("| `poe_"))
    assert set(re.findall(r"`(poe_[a-z0-9_]+)`", table)) == set(samples)


def test_health_is_progress_and_not_attempts() -> None:
    good = full_snapshot()
    assert progress_health(good).good
    stuck = changed(good, lag_seconds=75.0, trouble=in_trouble(good.queues[0]))
    assert progress_health(stuck).reasons == ("psapi:pc: no progress for 75 s: 503 from the API of psapi:pc",)
    assert progress_health(changed(good, lag_seconds=75.0, state=QueueState.PAUSED)).good
    assert progress_health(changed(good, state=QueueState.FAILED)).reasons == ("psapi:pc: failed",)
    young = replace(changed(good, lag_seconds=None), started_at=NOW - 30)
    assert progress_health(young).good
    assert not progress_health(replace(young, started_at=NOW - 61)).good


def test_readiness_is_a_harvest_that_has_begun_and_a_store_that_takes() -> None:
    good = full_snapshot()
    assert readiness(good).good
    assert readiness(changed(good, state=QueueState.RECOVERING)).reasons == ("psapi:pc: recovering",)
    away = replace(good, store=replace(good.store, reachable=False, trouble="connection refused"))
    assert readiness(away).reasons == ("store: connection refused",)
    assert readiness(replace(good, store=StoreSnapshot())).reasons == ("store: not asked yet",)


def test_over_http() -> None:
    with served(changed(full_snapshot(), lag_seconds=75.0)) as url:
        metrics = httpx.get(f"{url}/metrics")
        assert (metrics.status_code, metrics.headers["content-type"].split(";")[0]) == (200, "text/plain")
        assert metrics.content == exposition(changed(full_snapshot(), lag_seconds=75.0))
        health = httpx.get(f"{url}/healthz?verbose=1")
        assert (health.status_code, health.text) == (503, "psapi:pc: no progress for 75 s\n")
        ready = httpx.get(f"{url}/readyz")
        assert (ready.status_code, ready.text) == (200, "ok\n")
        assert httpx.get(f"{url}/").status_code == 404
        assert httpx.head(f"{url}/healthz").status_code == 503
        assert httpx.post(f"{url}/metrics", content=b"stop").status_code == 501


def test_rubbish_and_idlers_hold_nothing_up() -> None:
    with served(full_snapshot()) as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))
        idle = socket.create_connection(address)
        rubbish = socket.create_connection(address)
        rubbish.sendall(b"\xff\x00\r\n\r\n")
        assert httpx.get(f"{url}/readyz").status_code == 200
    idle.close()
    rubbish.close()


def test_an_address_that_is_taken_is_told_and_the_harvest_goes_on() -> None:
    told: list[str] = []
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        observing(taken.getsockname(), full_snapshot, told.append),
    ):
        assert "cannot be listened on" in told[0]
    with observing(None, full_snapshot, told.append):
        assert len(told) == 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", None),
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:9464", ("::1", 9464)),
        ("localhost:9464", ("localhost", 9464)),
    ],
)
def test_the_address_is_off_unless_given(text: str, address: tuple[str, int] | None) -> None:
    assert load_settings({"POE_METRICS_ADDRESS": text}, None).metrics_address == address


@pytest.mark.parametrize(
    "text", ["9464", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:70000", "http://x:1", "a b:1", "::1:9"]
)
def test_an_address_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="POE_METRICS_ADDRESS"):
        load_settings({"POE_METRICS_ADDRESS": text}, None)
