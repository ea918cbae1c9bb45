"""A Snapshot as Prometheus metrics. Names and units follow the conventions of Prometheus: base units, `_total`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from harvester.lag import LagLevel
from harvester.snapshot import QueueSnapshot, Snapshot

CONTENT_TYPE = CONTENT_TYPE_LATEST
_LEVELS = {LagLevel.OK: 0, LagLevel.AMBER: 1, LagLevel.RED: 2}


class _Of(Collector):
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        return metrics_of(self._snapshot)


def exposition(snapshot: Snapshot) -> bytes:
    """The metrics in the text format of Prometheus. What is not known is left out."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Of(snapshot))
    return generate_latest(registry)


def metrics_of(snapshot: Snapshot) -> Iterator[Metric]:
    """Every metric there is."""
    harvester, requests, store = snapshot.harvester, snapshot.requests, snapshot.store
    info = GaugeMetricFamily("poe_harvester_info", "Always 1; which program runs.", labels=["version", "demo", "store"])
    info.add_metric([harvester.program_version, str(harvester.demo).lower(), store.kind], 1)
    yield info
    yield _gauge("poe_start_time_seconds", "When the harvest began, Unix time.", snapshot.started_at)
    outcomes = CounterMetricFamily("poe_requests", "Requests by how they ended.", labels=["outcome"])
    for name, count in (
        ("ok", requests.ok),
        ("rate_limited", requests.rate_limited),
        ("refused", requests.refused),
        ("server_error", requests.server_errors),
        ("network_error", requests.network_errors),
        ("cancelled", requests.cancelled),
    ):
        outcomes.add_metric([name], count)
    yield outcomes
    yield CounterMetricFamily("poe_request_wire_bytes", "Bytes of answers, compressed.", value=requests.wire_bytes)
    for name, quantile in (("p50", requests.p50_ms), ("p95", requests.p95_ms)):
        if quantile is not None:
            yield _gauge(f"poe_request_{name}_seconds", "Of the latest requests, to the last byte.", quantile / 1000)
    yield from _queues(snapshot.queues)
    yield from _pacers(snapshot)
    yield _gauge("poe_lag_amber_seconds", "Lag from which a queue is amber.", snapshot.amber_seconds)
    yield _gauge("poe_lag_red_seconds", "Lag from which a queue is red.", snapshot.red_seconds)
    yield _gauge("poe_spool_budget_bytes", "Where polling stops.", snapshot.spool.budget_bytes)
    if store.reachable is not None:
        yield _gauge("poe_store_up", "Whether the store takes pages.", int(store.reachable))
    if store.bytes_on_disk is not None:
        yield _gauge("poe_store_bytes", "Size of the database on disk.", store.bytes_on_disk)
    if snapshot.schema is not None:
        yield _gauge("poe_migrations_pending", "Migrations still to be applied.", snapshot.schema.pending)
        yield _gauge("poe_migrations_drifted", "Migrations of which store and files disagree.", snapshot.schema.drifted)


def _queues(queues: Iterable[QueueSnapshot]) -> Iterator[Metric]:
    label = ["queue"]
    counters = {
        name: CounterMetricFamily(f"poe_{name}", text, labels=label)
        for name, text in (
            ("pages", "Pages committed."),
            ("stashes", "Stash records committed."),
            ("items", "Items of committed pages."),
            ("page_bytes", "Bytes of committed pages, uncompressed."),
            ("dead_letters", "Records and pages set aside."),
        )
    }
    lag = GaugeMetricFamily("poe_lag_seconds", "Age of a queue's last progress.", labels=label)
    level = GaugeMetricFamily("poe_lag_level", "0 ok, 1 amber, 2 red; absent before the first progress.", labels=label)
    caught_up = GaugeMetricFamily("poe_caught_up", "Whether the end of the stream is confirmed.", labels=label)
    spool = GaugeMetricFamily("poe_spool_pages", "Pages that wait for the store.", labels=label)
    spool_bytes = GaugeMetricFamily("poe_spool_bytes", "What they take on disk.", labels=label)
    commit = GaugeMetricFamily("poe_commit_seconds", "Last page: from its last byte to queryable.", labels=label)
    state = GaugeMetricFamily("poe_queue_state", "1 for the state that a queue is in.", labels=["queue", "state"])
    for queue in queues:
        key = [queue.queue_key]
        for name, value in (
            ("pages", queue.pages),
            ("stashes", queue.stashes),
            ("items", queue.items),
            ("page_bytes", queue.page_bytes),
            ("dead_letters", queue.set_aside),
        ):
            counters[name].add_metric(key, value)
        if queue.lag_seconds is not None:
            lag.add_metric(key, queue.lag_seconds)
        if queue.level in _LEVELS:
            level.add_metric(key, _LEVELS[queue.level])
        caught_up.add_metric(key, int(queue.caught_up))
        spool.add_metric(key, queue.spool_pages)
        spool_bytes.add_metric(key, queue.spool_bytes)
        commit.add_metric(key, queue.commit_ms / 1000)
        state.add_metric([queue.queue_key, queue.state.value], 1)
    yield from (*counters.values(), lag, level, caught_up, spool, spool_bytes, commit, state)


def _pacers(snapshot: Snapshot) -> Iterator[Metric]:
    pace = GaugeMetricFamily("poe_pace_seconds", "Between two requests of a policy.", labels=["policy"])
    restricted = GaugeMetricFamily("poe_restricted_seconds", "Until a restriction ends; 0 without.", labels=["policy"])
    for pacer in snapshot.pacers:
        pace.add_metric([pacer.name], pacer.pace_seconds)
        restricted.add_metric([pacer.name], max(0.0, (pacer.restricted_until or 0.0) - snapshot.taken_at))
    yield from (pace, restricted)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
