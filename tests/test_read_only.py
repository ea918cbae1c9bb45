"""The read-only door, attacked over the real engine: nothing is written or read outside, and each no is explained."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.query_result import QueryLimits
from harvester.store.quoting import quote_text
from harvester.store.read_only import QueryCancelledError, QueryRefusedError, ReadOnlyDoor

SECRET = "the-secret-of-the-file"


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a file that no query may read."""
    directory = tmp_path_factory.mktemp("outside")
    (directory / "secret.csv").write_text(f"{SECRET},2\n", encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def ground(file_engine: Engine, outside: Path) -> Iterator[tuple[Engine, Handle]]:
    """A database with a table, a view, a table over a file, and views over that one."""
    with file_engine.open(writes=False) as handle:
        handle.run("CREATE TABLE t (a UInt64, s String, file String) ENGINE = MergeTree ORDER BY a")
        handle.run("INSERT INTO t SELECT number, toString(number), 'f' FROM numbers(10)")
        handle.run("CREATE VIEW v AS SELECT a FROM t")
        handle.run(
            f"CREATE TABLE leak (x String, y UInt8) ENGINE = File(CSV, {quote_text(str(outside / 'secret.csv'))})"
        )
        handle.run("CREATE VIEW leaking AS SELECT x FROM leak")
        handle.run("CREATE VIEW leaking_twice AS SELECT x FROM leaking")
        yield file_engine, handle


@pytest.fixture(scope="module")
def door(ground: tuple[Engine, Handle]) -> Iterator[ReadOnlyDoor]:
    with ReadOnlyDoor(ground[0], QueryLimits(seconds=20, rows=100)) as opened:
        yield opened


def state(handle: Handle) -> tuple[object, ...]:
    return handle.rows(
        "SELECT (SELECT count(), groupBitXor(cityHash64(*)) FROM t), (SELECT count() FROM system.databases),"
        " (SELECT groupArray((database, name)) FROM (SELECT * FROM system.tables ORDER BY database, name))"
    )[0]


ATTACKS = """
CREATE TABLE x (a UInt8) ENGINE = Memory
CREATE TEMPORARY TABLE x (a UInt8)
CREATE VIEW x AS SELECT 1
CREATE FUNCTION f AS (x) -> x
CREATE DATABASE x
DROP TABLE t
TRUNCATE TABLE t
INSERT INTO t (a) VALUES (1)
INSERT INTO FUNCTION file('{new}', 'CSV', 'a UInt8') VALUES (1)
ALTER TABLE t DELETE WHERE 1
DELETE FROM t WHERE 1
UPDATE t SET s = '' WHERE 1
RENAME TABLE t TO u
EXCHANGE TABLES t AND v
OPTIMIZE TABLE t FINAL
KILL QUERY WHERE 1
SYSTEM RELOAD CONFIG
SYSTEM FLUSH LOGS
SET readonly = 0
USE default
GRANT ALL ON *.* TO default
ATTACH TABLE x (a UInt8) ENGINE = Memory
DETACH TABLE t
BACKUP TABLE t TO File('{new}')
BEGIN TRANSACTION
EXECUTE AS default SELECT 1
CHECK TABLE t
WATCH v
SELECT 1; CREATE TABLE x (a UInt8) ENGINE = Memory
SELECT 1;;CREATE TABLE x (a UInt8) ENGINE = Memory
SELECT 1 /* ; */; DROP TABLE t -- ;
SELECT ';'; DROP TABLE t
EXPLAIN AST SELECT 1; CREATE TABLE x (a UInt8) ENGINE = Memory
EXPLAIN CREATE TABLE x (a UInt8) ENGINE = Memory
EXPLAIN AST CREATE TABLE x (a UInt8) ENGINE = Memory
EXPLAIN AST optimize = 1 DROP TABLE t
EXPLAIN EXPLAIN SELECT 1
EXPLAIN SYNTAX INSERT INTO t SELECT 1, '', ''
EXPLAIN TABLE OVERRIDE mysql('127.0.0.1:1', 'd', 't', 'u', 'p') PARTITION BY a
EXPLAIN PLAN SELECT * FROM file('{secret}', 'LineAsString')
EXPLAIN CURRENT TRANSACTION
SELECT 1 INTO OUTFILE '{new}'
SELECT 1 into/**/outfile '{new}' FORMAT CSV
SELECT 1 INTO OUTFILE '{new}' TRUNCATE AND STDOUT
SELECT 1 UNION ALL SELECT 2 INTO OUTFILE '{new}'
(SELECT 1) INTO OUTFILE '{new}'
SHOW TABLES INTO OUTFILE '{new}'
DESCRIBE t INTO OUTFILE '{new}'
SELECT 1 FORMAT CSV
SELECT 1 FoRmAt `CSV`
SHOW TABLES FORMAT JSON
SELECT 1 SETTINGS readonly = 0
SELECT 1 settings max_execution_time = 0, max_result_rows = 0
SELECT * FROM (SELECT 1 SETTINGS max_memory_usage = 0)
SELECT * FROM view(SELECT 1 SETTINGS readonly=0)
SELECT * FROM file('{secret}')
SELECT * FROM file('{secret}', 'CSV', 'a String, b UInt8')
SELECT * FROM File('{secret}')
SELECT * FROM `file`('{secret}')
SELECT * FROM "file"('{secret}')
SELECT * FROM `fi\\x6ce`('{secret}')
SELECT * FROM file   ('{secret}')
SELECT * FROM file/* c */('{secret}')
SELECT * FROM file -- c
SELECT * FROM file /* /* nested */ */ ('{secret}')
SELECT * FROM (SELECT * FROM (SELECT * FROM file('{secret}')))
WITH x AS (SELECT * FROM file('{secret}')) SELECT * FROM x
SELECT * FROM t, file('{secret}') AS f
SELECT * FROM t JOIN file('{secret}') AS f ON 1
SELECT * FROM t WHERE s IN (SELECT * FROM file('{secret}', 'LineAsString'))
SELECT (SELECT line FROM file('{secret}', 'LineAsString') LIMIT 1)
SELECT 1 UNION ALL SELECT y FROM file('{secret}', 'CSV', 'x String, y UInt8')
SELECT * FROM view(SELECT * FROM file('{secret}'))
SELECT * FROM viewIfPermitted(SELECT * FROM file('{secret}') ELSE null('x String'))
SELECT * FROM loop(file('{secret}'))
SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM file('{secret}')))
DESCRIBE file('{secret}')
DESC TABLE file('{secret}')
DESCRIBE TABLE (SELECT * FROM file('{secret}'))
SELECT file('{secret}')
SELECT file /**/ ('{secret}')
SELECT `file`('{secret}')
SELECT arrayMap(file, ['{secret}'])
SELECT arrayMap(x -> file(x), ['{secret}'])
SELECT * APPLY file FROM (SELECT '{secret}' AS p)
SELECT * APPLY(file) FROM (SELECT '{secret}' AS p)
SELECT COLUMNS('p') APPLY(x -> file(x)) FROM (SELECT '{secret}' AS p)
SELECT * REPLACE (file(p) AS p) FROM (SELECT '{secret}' AS p)
SELECT p FROM (SELECT '{secret}' AS p) ORDER BY file(p)
SELECT 1 WHERE file('{secret}') != ''
SELECT 1 IN file('{secret}')
WITH (x -> file(x)) AS f SELECT f('{secret}')
SELECT * FROM leak
SELECT * FROM {database}.leak
SELECT * FROM `leak`
SELECT * FROM leaking
SELECT * FROM leaking_twice
SELECT 1 IN leak
SELECT 1 IN (leak)
SELECT ('x', 2) IN (leak)
SELECT in(('x', 2), leak)
SELECT globalIn(('x', 2), leak)
SELECT notIn(('x', 2), {database}.leak)
SELECT countIf(nullIn(('x', 2), leak))
SELECT arrayMap(x -> in(x, leak), [('x', 2)])
EXISTS `{secret}`
SELECT 1 FROM t, leak
SELECT * FROM merge('.*')
SELECT * FROM merge('{database}', 'le.*')
SELECT * FROM merge(REGEXP('.*'), '.*')
SELECT * FROM default.`{secret}`
SELECT * FROM `default`.`secret.csv`
EXISTS default.`{secret}`
DESCRIBE default.`{secret}`
SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a UInt8')
SELECT * FROM url('file://{secret}', 'LineAsString')
SELECT * FROM s3('http://127.0.0.1:1/b/k', 'CSV', 'a UInt8')
SELECT * FROM s3Cluster('c', 'http://127.0.0.1:1/b/k')
SELECT * FROM remote('127.0.0.1:1', system.one)
SELECT * FROM remoteSecure('127.0.0.1:1', system.one)
SELECT * FROM cluster('default', system.one)
SELECT * FROM clusterAllReplicas('default', system.one)
SELECT * FROM mysql('127.0.0.1:1', 'd', 't', 'u', 'p')
SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')
SELECT * FROM mongodb('127.0.0.1:1', 'd', 't', 'u', 'p', 'a UInt8')
SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')
SELECT * FROM sqlite('{secret}', 't')
SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'CSV', 'a UInt8')
SELECT * FROM iceberg('http://127.0.0.1:1/x')
SELECT * FROM icebergLocal('{secret}')
SELECT * FROM deltaLake('http://127.0.0.1:1/x')
SELECT * FROM deltaLakeLocal('{secret}')
SELECT * FROM executable('/bin/true', 'CSV', 'a UInt8')
SELECT * FROM input('a UInt8')
SELECT * FROM format(CSV, '1,2')
SELECT 1 IN format(CSV, '1')
SELECT * FROM dictionary('d')
SELECT * FROM python(door)
SELECT * FROM Python(door)
SELECT * FROM eval('SELECT 1')
SELECT * FROM nobody_knows_this_one('{secret}')
SELECT dictGet('d', 'a', 1)
SELECT dictGetOrDefault('d', 'a', 1, 2)
SELECT dictHas('d', 1)
SELECT hasColumnInTable('127.0.0.1:1', 'u', 'p', 'd', 't', 'c')
SELECT aiGenerate('c', 'hello')
SELECT generateSerialID('x')
SELECT “file”('{secret}')
SELECT * FROM ‘file’('{secret}')
SELECT $$a$$, * FROM file($$x$$)
SELECT * FROM t // c
SELECT 1 /* open
SELECT 'open
SELECT `open
""".strip().splitlines()

# Those that a line cannot hold.
ATTACKS += [
    "",
    "   -- nothing but a comment",
    ";",
    "\0SELECT 1",
    "SELECT 1\0; DROP TABLE t",
    "SELECT 1 INTO\nOUTFILE '{new}'",
    "SELECT * FROM file\n\n('{secret}')",
    "SELECT * FROM\u00a0file('{secret}')",
    "SELECT * FROM ﬁle('{secret}')",
    "SELECT 1\u2028; DROP TABLE t",
    "SELECT '" + "x" * 100_000 + "'",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_in_words_and_leaves_nothing(
    attack: str, door: ReadOnlyDoor, ground: tuple[Engine, Handle], outside: Path
) -> None:
    new = outside / "new"
    before = state(ground[1])

    attack = attack.replace("{database}", ground[0].database).replace("{secret}", str(outside / "secret.csv"))
    with pytest.raises(QueryRefusedError) as caught:
        door.query(attack.replace("{new}", str(new)))

    assert len(str(caught.value)) > 20
    assert SECRET not in str(caught.value)
    assert not new.exists()
    assert state(ground[1]) == before


HARMLESS = """
SELECT 1
select a, s from t order by a desc limit 3;
(SELECT 1) UNION ALL (SELECT 2)
FROM t SELECT a
WITH 1 AS one SELECT one
WITH x AS (SELECT a FROM t) SELECT count() FROM x JOIN t USING (a)
SHOW TABLES
SHOW CREATE TABLE t
SHOW DATABASES
DESCRIBE TABLE t
DESC v
EXISTS TABLE t
EXPLAIN SELECT a FROM t
EXPLAIN PLAN header = 1, actions = 1 SELECT a FROM t
EXPLAIN QUERY TREE SELECT 1
EXPLAIN PIPELINE SELECT 1
EXPLAIN SYNTAX SELECT 1
SELECT t.file FROM t
SELECT a AS file FROM t
SELECT trim(BOTH 'x' FROM lower('xAx')), substring('abc' FROM 2), extract(day FROM toDate('2020-01-02'))
SELECT format('{} {}', 'a', 'b'), formatReadableSize(1)
SELECT a AS format FROM t ORDER BY format
SELECT 1 IN tuple(1, 2), 1 IN (1, 2), 1 IN [1], 1 IN t.a FROM t
SELECT * FROM numbers(3) AS n, primes(2) AS z
SELECT * FROM values('a UInt8, b String', (1, 'x'))
SELECT * FROM (VALUES (1), (2))
SELECT * FROM generateRandom('a UInt8', 1) LIMIT 1
SELECT * FROM view(SELECT 1)
SELECT * FROM null('a UInt8')
SELECT arrayMap(x -> x + 1, [1, 2]), arrayJoin([1, 2])
SELECT a, x, y FROM t ARRAY JOIN [1] AS x, splitByChar(',', 'b') AS y
SELECT quantile(0.5)(a), count(DISTINCT s), sum(a) OVER () FROM t GROUP BY a
SELECT 'INTO OUTFILE', 'file(', ' SETTINGS x = 1' -- ; DROP TABLE t
SELECT $$; DROP TABLE t$$, $x$ it's $x$
SELECT 'a\\nb\\\\\\'c', 'it''s', 'é“”', '\t'
SELECT name FROM system.tables LIMIT 1
SELECT 1 # ; nothing
""".strip().splitlines()


@pytest.mark.parametrize("sql", HARMLESS)
def test_a_question_is_answered(sql: str, door: ReadOnlyDoor) -> None:
    result = door.query(sql)

    assert result.columns
    assert not result.cut


def test_merge_is_answered_where_no_table_lies_outside(engine: Engine, handle: Handle) -> None:
    handle.run("CREATE TABLE one (a UInt8) ENGINE = Memory")
    handle.run("INSERT INTO one VALUES (7)")
    with ReadOnlyDoor(engine) as door:
        assert door.query("SELECT a FROM merge('^one$')").rows == ((7,),)
        assert door.query(f"SELECT a FROM merge('{engine.database}', '^one$')").rows == ((7,),)
        with pytest.raises(QueryRefusedError, match="merge"):
            door.query("SELECT a FROM merge('default', '.*')")


@settings(max_examples=25)
@given(st.text(max_size=40))
@example("a\\'b")
@example("\\")
@example("{x:String} %s %(x)s")
@example("\x00'")
def test_a_text_comes_back_as_it_was_asked(door: ReadOnlyDoor, text: str) -> None:
    """What is run is what was written: nothing between the operator and the engine reads a text otherwise."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        return
    assert door.query(f"SELECT {quote_text(text)} AS x").rows == ((text,),)


_WORDS = """SELECT 1 ; -- /* */ ' " ` $$ $x$ ( ) , * FROM file 'S' JOIN t AS WITH INTO OUTFILE FORMAT CSV SETTINGS
readonly = 0 CREATE TABLE x ENGINE Memory DROP EXPLAIN AST UNION ALL APPLY arrayMap IN DESCRIBE leak # \\ “ // { }
VALUES view url numbers INSERT EXISTS"""
_PIECES = st.sampled_from([*_WORDS.split(), "\n", "\t"])


@settings(max_examples=40)
@given(st.lists(_PIECES, max_size=14), st.sampled_from(["", " ", "/**/"]))
def test_no_heap_of_pieces_gets_anything_done(
    door: ReadOnlyDoor, ground: tuple[Engine, Handle], outside: Path, pieces: list[str], glue: str
) -> None:
    text = f"{glue} ".join(pieces).replace("'S'", quote_text(str(outside / "secret.csv")))
    try:
        said: object = door.query(text).rows
    except (QueryRefusedError, StoreError) as error:
        said = error
    assert SECRET not in repr(said)
    assert ground[1].value("SELECT count() FROM t") == 10
    assert ground[1].value("SELECT count() FROM system.tables WHERE database = currentDatabase()") == 5


def test_what_is_nested_too_deeply_is_left_to_the_engine(door: ReadOnlyDoor) -> None:
    with pytest.raises(StoreError, match="depth"):
        door.query("SELECT " + "(" * 5000 + "1")


def test_the_engine_refuses_writes_on_its_own(ground: tuple[Engine, Handle]) -> None:
    """The last lock holds without the first: a handle with limits lets no setting and no table be changed."""
    with ground[0].open_read_only(QueryLimits().settings("x")) as handle:
        for sql in ("CREATE TABLE x (a UInt8) ENGINE = Memory", "SELECT 1 SETTINGS max_execution_time = 0"):
            with pytest.raises(StoreError) as caught:
                handle.rows(sql)
            assert caught.value.fault is StoreFault.NOT_ALLOWED or caught.value.code == 164


# ── Limits, figures, cancelling ──


def test_exactly_as_many_rows_as_allowed_are_whole_and_one_more_is_cut(door: ReadOnlyDoor) -> None:
    assert door.query("SELECT number FROM numbers(100)").cut == ""
    over = door.query("SELECT number FROM numbers(101)")
    assert (len(over.rows), over.cut) == (100, "cut off after 100 rows; there are more")


def test_a_result_too_large_is_cut_at_a_row_and_said(ground: tuple[Engine, Handle]) -> None:
    limits = QueryLimits(rows=10_000, result_bytes=1 << 20)
    with ReadOnlyDoor(ground[0], limits) as door:
        result = door.query("SELECT repeat('x', 1000) FROM numbers(9000)")
    assert 900 < len(result.rows) < 1_100
    assert "MB" in result.cut


def test_a_query_over_its_time_is_ended_in_words(ground: tuple[Engine, Handle]) -> None:
    with ReadOnlyDoor(ground[0], QueryLimits(seconds=1)) as door, pytest.raises(StoreError) as caught:
        door.query("SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 3")
    assert caught.value.fault is StoreFault.TIMEOUT


def test_a_result_tells_types_time_and_what_was_read(door: ReadOnlyDoor) -> None:
    result = door.query("SELECT s FROM t ORDER BY a LIMIT 3")
    assert (result.columns, result.types) == (("s",), ("String",))
    assert result.rows == (("0",), ("1",), ("2",))
    assert result.read_rows >= 3
    assert result.took_ms >= 0


def test_an_empty_result_has_its_columns(door: ReadOnlyDoor) -> None:
    result = door.query("SELECT a, s AS text FROM t WHERE a > 1000")
    assert (result.columns, result.types, result.rows) == (("a", "text"), ("UInt64", "String"), ())


def test_cancelling_ends_the_query_and_the_door_goes_on(ground: tuple[Engine, Handle]) -> None:
    said: list[object] = []
    started = threading.Event()
    with ReadOnlyDoor(ground[0], QueryLimits(seconds=60)) as door:

        def ask() -> None:
            started.set()
            try:
                said.append(door.query("SELECT count() FROM numbers(100000000000000) WHERE sipHash64(number) = 3"))
            except QueryCancelledError as error:
                said.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        started.wait()
        while not ground[1].value("SELECT count() FROM system.processes WHERE query LIKE '%100000000000000%sipHash%'"):
            pass
        assert door.cancel()
        thread.join(10)
        assert [type(item) for item in said] == [QueryCancelledError]
        assert door.query("SELECT 1").rows == ((1,),)
        assert door.cancel(), "with nothing to cancel"


def test_a_query_that_is_cancelled_before_it_begins_is_not_run(ground: tuple[Engine, Handle]) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with ReadOnlyDoor(ground[0]) as door:
        with pytest.raises(QueryCancelledError):
            door.query("SELECT 1", cancelled)
        assert door.query("SELECT 1").rows == ((1,),), "only that one"


def test_cancelling_one_door_leaves_another_alone(ground: tuple[Engine, Handle]) -> None:
    with ReadOnlyDoor(ground[0]) as one, ReadOnlyDoor(ground[0]) as other:
        assert one.query("SELECT sleep(0.01)").rows == ((0,),)
        assert other.cancel()
        assert one.query("SELECT 1").rows == ((1,),)
