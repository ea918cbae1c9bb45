"""Tables on a replicated cluster: what the statements become, and that the migrations are the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
import sqlglot
from sqlglot import exp

from harvester.clock import SystemClock
from harvester.commands.store_access import engine_of
from harvester.settings import SettingsError, load_settings
from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.replication import PLAIN, Replication
from harvester.store.retention import apply_retention
from harvester.store.row_lease import RowLease
from harvester.store.schema_files import migrations_directory
from harvester.store.settling import settle

CLUSTER = Replication("main-1")
_CLAUSE = " ON CLUSTER `main-1`"


@pytest.mark.parametrize(
    ("plain", "worded"),
    [
        (
            "CREATE TABLE IF NOT EXISTS t (a Int8) ENGINE = MergeTree ORDER BY a",
            "CREATE TABLE IF NOT EXISTS t{} (a Int8) ENGINE = ReplicatedMergeTree ORDER BY a",
        ),
        (
            "create table `d`.`t`(a Int8) engine=ReplacingMergeTree(a) ORDER BY a",
            "create table `d`.`t`{}(a Int8) engine=ReplicatedReplacingMergeTree(a) ORDER BY a",
        ),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", "CREATE OR REPLACE VIEW v{} AS SELECT 1"),
        ("CREATE TABLE shadow AS t", "CREATE TABLE shadow{} AS t"),
        ("CREATE DATABASE IF NOT EXISTS `d`", "CREATE DATABASE IF NOT EXISTS `d`{}"),
        ("DROP TABLE IF EXISTS t SYNC", "DROP TABLE IF EXISTS t{} SYNC"),
        ("EXCHANGE TABLES a AND b", "EXCHANGE TABLES a AND b{}"),
        ("RENAME TABLE a TO b, c TO d", "RENAME TABLE a TO b, c TO d{}"),
        ("-- why\nDROP VIEW v", "-- why\nDROP VIEW v{}"),
    ],
)
def test_a_definition_goes_to_every_replica(plain: str, worded: str) -> None:
    assert CLUSTER.worded(plain) == worded.format(_CLAUSE)
    assert Replication(replicated=True).worded(plain) == worded.format("")
    assert PLAIN.worded(plain) == plain


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t SELECT * FROM u",
        "ALTER TABLE t DELETE WHERE a = 1",
        "ALTER TABLE t MODIFY TTL b + INTERVAL 1 DAY",
        "SELECT 'CREATE TABLE t ENGINE = MergeTree'",
        "CREATE TABLE t ON CLUSTER other (a Int8) ENGINE = ReplicatedMergeTree('/p', 'r') ORDER BY a",
        "SYSTEM FLUSH LOGS",
    ],
)
def test_what_the_replicas_hand_on_by_themselves_stays_as_it_is(sql: str) -> None:
    assert CLUSTER.worded(sql) == sql


def test_texts_and_comments_are_no_engines() -> None:
    sql = "CREATE TABLE t (a Int8 COMMENT 'ENGINE = MergeTree') /* ENGINE = MergeTree */ ENGINE = Memory"
    assert CLUSTER.worded(sql) == sql.replace("CREATE TABLE t", f"CREATE TABLE t{_CLAUSE}")


class _Cluster:
    """A driver client that takes down what it is asked, and runs it on a server that is no cluster."""

    def __init__(self, client: Any, asked: list[str]) -> None:
        self._client = client
        self._asked = asked

    def command(self, sql: str, **more: Any) -> Any:
        self._asked.append(sql)
        return self._client.command(sql.replace(_CLAUSE, "").replace("= Replicated", "= "), **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class ClusterEngine(Engine):
    """An engine whose server seems to be a cluster."""

    asked: list[str]

    def _connect(self, settings: Mapping[str, Any], database: str | None, mark: str = "") -> Handle:
        handle = super()._connect(settings, database, mark)
        handle.replication = CLUSTER
        handle._client = _Cluster(handle._client, self.asked)
        return handle


@pytest.fixture
def cluster(empty_engine: Engine) -> ClusterEngine:
    engine = ClusterEngine(empty_engine.url, empty_engine.database)
    engine.asked = []
    return engine


def checksums(engine: Engine) -> list[Any]:
    with engine.open(writes=False) as handle:
        return handle.rows("SELECT DISTINCT version, checksum, token_checksum FROM poe_schema_migrations ORDER BY 1")


def test_the_migrations_run_on_a_cluster_as_they_are(cluster: ClusterEngine, empty_engine: Engine) -> None:
    files = migrations.load_migrations(migrations_directory())

    migrations.apply(cluster, files)

    asked = [sql for sql in cluster.asked if re.match(r"\s*(CREATE|DROP|EXCHANGE|RENAME)\b", sql)]
    assert len(asked) > sum(len(file.statements) for file in files), "and the tables that the program keeps for itself"
    with empty_engine.open(writes=False) as handle:
        for sql in asked:
            assert sql.count(_CLAUSE) == 1, sql
            assert not re.search(r"ENGINE = (?!Replicated)\w*MergeTree", sql), sql
            assert "ON CLUSTER `main-1`" in handle.value("SELECT formatQuery({sql:String})", {"sql": sql})
            (created,) = sqlglot.parse(sql, read="clickhouse")
            assert isinstance(created, exp.Create)
            assert created.find(exp.OnCluster) is not None, sql
    # A plain server takes what was applied on a cluster for its own: nothing is pending, nothing has drifted.
    assert migrations.status(empty_engine, files).clean
    assert [row[1:] for row in checksums(empty_engine)] == [(file.checksum, file.token_checksum) for file in files]


def test_a_rehearsal_shows_what_a_cluster_would_be_asked(cluster: ClusterEngine) -> None:
    cluster.create_database()
    rehearsal = migrations.dry_run(cluster, migrations.load_migrations(migrations_directory()))

    assert rehearsal.parsed
    assert all(_CLAUSE in item.statement.sql for item in rehearsal.statements)


def test_leases_and_retention_work_on_a_cluster(cluster: ClusterEngine) -> None:
    migrations.apply(cluster, migrations.load_migrations(migrations_directory()))
    cluster.asked.clear()
    with cluster.open() as handle:
        lease = RowLease(cluster, handle, SystemClock(), "poe_queue_leases", comment="who")
        with lease.hold():
            apply_retention(handle, raw_days=3, silver_days=4, cx_days=5)

    definitions = [sql for sql in cluster.asked if _CLAUSE in sql]
    assert len(definitions) == 1
    assert "ReplicatedMergeTree" in definitions[0]
    assert any(sql.startswith("ALTER TABLE") for sql in cluster.asked)


def test_statements_in_doubt_are_looked_for_on_all_replicas() -> None:
    asked: list[str] = []
    running = iter([1, 0, 0, 0, 0])

    def ask(sql: str, _parameters: dict[str, Any]) -> Any:
        asked.append(sql)
        return next(running) if sql.startswith("SELECT") else None

    settle(ask, "mark", lambda _seconds: None, cluster=CLUSTER.quoted_cluster)

    assert "clusterAllReplicas(`main-1`, system.processes)" in asked[0]
    assert asked[1].startswith("KILL QUERY ON CLUSTER `main-1` WHERE")


def test_the_settings_name_the_cluster() -> None:
    server = {"POE_CLICKHOUSE_URL": "https://clickhouse.example:8443"}
    settings = load_settings({**server, "POE_CLICKHOUSE_CLUSTER": "main-1"}, None)
    assert engine_of(settings)._options.replication == CLUSTER
    settings = load_settings({**server, "POE_CLICKHOUSE_REPLICATED": "yes"}, None)
    assert engine_of(settings)._options.replication == Replication(replicated=True)
    assert engine_of(load_settings(server, None))._options.replication.is_plain
    with pytest.raises(SettingsError, match="POE_CLICKHOUSE_CLUSTER"):
        load_settings({**server, "POE_CLICKHOUSE_CLUSTER": "a; DROP TABLE b"}, None)
