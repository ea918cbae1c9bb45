"""What the read-only door gives back: values as text and JSON, files, the history, completion, and the command."""

from __future__ import annotations

import csv
import io
import json
import math
import stat
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from harvester.commands.query import run_query
from harvester.commands.result_file import ResultFormat, save_result, write_result
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.plain_value import as_json, as_text
from harvester.store.query_completion import CandidateKind, QueryNames, read_names
from harvester.store.query_history import PastQuery, QueryHistory
from harvester.store.query_result import QueryResult
from harvester.store.read_only import ReadOnlyDoor


@pytest.mark.parametrize(
    ("value", "text", "plain"),
    [
        (None, "", None),
        (True, "true", True),
        (2**200, str(2**200), 2**200),
        (1.5, "1.5", 1.5),
        (math.nan, "nan", "nan"),
        (-math.inf, "-inf", "-inf"),
        (Decimal("1E+3"), "1000", "1000"),
        (Decimal("0.10"), "0.10", "0.10"),
        (date(2026, 11, 25), "2026-11-25", "2026-11-25"),
        (datetime(2026, 11, 25, 3, 0, tzinfo=UTC).replace(tzinfo=None), "2026-11-25T03:00:00Z", "2026-11-25T03:00:00Z"),
        (datetime(2026, 11, 25, 3, 0, 0, 120_000, UTC), "2026-11-25T03:00:00.120Z", "2026-11-25T03:00:00.120Z"),
        (
            datetime(2026, 11, 25, 3, 0, tzinfo=timezone(timedelta(hours=1))),
            "2026-11-25T03:00:00+01:00",
            "2026-11-25T03:00:00+01:00",
        ),
        (b"ab\0\0", "ab", "ab"),
        (b"\xff\x00", "ff00", "ff00"),
        ([1, None, "x"], '[1, null, "x"]', [1, None, "x"]),
        ((1, math.nan), '[1, "nan"]', [1, "nan"]),
        ({"a": Decimal(1)}, '{"a": "1"}', {"a": "1"}),
        ({1: {2: "x"}}, '{"1": {"2": "x"}}', {"1": {"2": "x"}}),
    ],
)
def test_a_value_has_one_form_as_text_and_one_in_json(value: Any, text: str, plain: Any) -> None:
    assert as_text(value) == text
    assert as_json(value) == plain
    json.dumps(as_json(value), allow_nan=False)


def result(*rows: tuple[Any, ...], columns: tuple[str, ...] = ("a", "b"), cut: str = "") -> QueryResult:
    return QueryResult("SELECT", columns, ("String",) * len(columns), rows, 12, 3, 40, cut)


def written(given: QueryResult, form: ResultFormat) -> str:
    out = io.StringIO()
    write_result(out, given, form)
    return out.getvalue()


def test_csv_tells_null_from_the_empty_text_and_quotes_what_needs_it() -> None:
    text = written(result((None, ""), ('say "x", y', "two\nlines"), (1, " pad ")), ResultFormat.CSV)

    assert text == 'a,b\n,""\n"say ""x"", y","two\nlines"\n1," pad "\n'
    assert list(csv.reader(io.StringIO(text)))[2] == ['say "x", y', "two\nlines"]


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1 to Level", "@x", "\tx", "\rx"])
def test_no_cell_of_a_csv_is_run_by_a_spreadsheet(text: str) -> None:
    cell = list(csv.reader(io.StringIO(written(result((text, -1)), ResultFormat.CSV), newline="")))[1]

    assert cell == [f"'{text}", "-1"], "numbers stay numbers"


def test_json_is_exact_and_says_that_it_was_cut() -> None:
    given = result(("=x", math.nan), ("\x1b[31m", None), cut="cut off after 2 rows; there are more")
    text = written(given, ResultFormat.JSON)

    assert json.loads(text) == {
        "columns": ["a", "b"],
        "types": ["String", "String"],
        "rows": [["=x", "nan"], ["\x1b[31m", None]],
        "cut": "cut off after 2 rows; there are more",
        "took_ms": 12,
    }
    assert "\x1b" not in text
    assert json.loads(written(result(), ResultFormat.JSON))["rows"] == []
    assert json.loads(written(given, ResultFormat.JSONL).splitlines()[0]) == {"a": "=x", "b": "nan"}


def test_a_result_is_saved_privately_and_overwrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "result.csv"
    save_result(file, result((1, 2)), ResultFormat.CSV)

    assert file.read_text("utf-8") == "a,b\n1,2\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        save_result(file, result((3, 4)), ResultFormat.CSV)
    assert file.read_text("utf-8") == "a,b\n1,2\n"


# ── History ──


def test_the_history_is_kept_privately_in_order_and_bounded(tmp_path: Path) -> None:
    file = tmp_path / "data" / "queries.jsonl"
    history = QueryHistory(file, kept=3)
    for number in range(5):
        history.add(PastQuery(f"SELECT {number}\n-- 'é", float(number)))

    kept = history.add(PastQuery("SELECT 3\n-- 'é", 9.0))

    assert [query.sql[7] for query in kept] == ["2", "4", "3"], "the same text is kept once, at its newest place"
    assert QueryHistory(file).read() == kept
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["queries.jsonl"]


def test_the_history_is_bounded_in_bytes_and_keeps_the_newest(tmp_path: Path) -> None:
    history = QueryHistory(tmp_path / "q", kept_bytes=1000)
    for number in range(5):
        kept = history.add(PastQuery(f"SELECT '{number}{'x' * 400}'", 0.0))
    assert [query.sql[8] for query in kept] == ["3", "4"]
    assert len(history.add(PastQuery("y" * 5000, 0.0))) == 1


def test_a_line_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    file = tmp_path / "q"
    file.write_bytes(
        b'{"sql": "SELECT 1", "asked_at": 1}\n\xff\n{"sql": 3}\n[]\n{"sql": "SELECT 2", "asked_at": 2}\n{"sq'
    )
    assert [query.sql for query in QueryHistory(file).read()] == ["SELECT 1", "SELECT 2"]
    assert QueryHistory(tmp_path / "none").read() == ()


# ── Completion ──

NAMES = QueryNames(
    {
        "v_listings_current": (("league", "String"), ("price_amount", "Nullable(Float64)")),
        "silver_items": (("item_id", "String"), ("league", "String")),
    },
    ("count", "countIf", "quantile"),
)


def offered(text: str) -> list[str]:
    """The candidates at the `|` of a text."""
    before, _, after = text.partition("|")
    return [candidate.text for candidate in NAMES.complete(before, after).candidates]


def test_behind_from_and_join_come_tables() -> None:
    assert offered("SELECT * FROM |")[:2] == ["v_listings_current", "silver_items"]
    assert offered("SELECT * FROM v|") == ["v_listings_current", "values(", "view("]
    assert offered("SELECT 1 FROM silver_items JOIN lis|") == ["v_listings_current"]


def test_columns_come_from_the_tables_of_the_query_even_before_they_are_named() -> None:
    assert offered("SELECT it| FROM silver_items") == ["item_id", "silver_items"]
    assert offered("SELECT pri| FROM silver_items") == []
    assert offered("SELECT x.| FROM silver_items AS x JOIN v_listings_current y") == ["item_id", "league"]
    assert offered("SELECT y.p| FROM silver_items AS x JOIN v_listings_current y") == ["price_amount"]


def test_functions_and_keywords_are_offered_and_what_is_typed_is_replaced() -> None:
    assert offered("SELECT cou|") == ["count(", "countIf("]
    assert offered("SELECT 1 wher|") == ["WHERE"]
    completion = NAMES.complete("SELECT leag")
    assert completion.replaces == 4
    assert [(one.text, one.kind) for one in completion.candidates] == [("league", CandidateKind.COLUMN)]


@pytest.mark.parametrize(
    "text", ["", "SELECT |", "SELECT 'leag|'", "SELECT 1 -- leag|", "SELECT /* leag|", "SELECT 12|"]
)
def test_nothing_is_offered_where_nothing_fits(text: str) -> None:
    assert offered(text) == []


def test_the_names_come_from_the_database_in_force(engine: Engine, handle: Handle) -> None:
    handle.run("CREATE TABLE t (a UInt8, b String) ENGINE = Memory")
    handle.run("CREATE VIEW v_a AS SELECT a FROM t")
    names = read_names(handle)
    assert list(names.columns) == ["v_a", "t"], "views first: they are what people ask"
    assert names.columns["t"] == (("a", "UInt8"), ("b", "String"))
    assert {"count", "toDate"} <= set(names.functions)
    assert not any(name.startswith("__") for name in names.functions)


# ── The command ──


@pytest.fixture
def asked(engine: Engine, handle: Handle) -> Iterator[Any]:
    def ask(sql: str, form: str = "table") -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = run_query(engine, sql, out=out, err=err, form=form)
        return code, out.getvalue(), err.getvalue()

    return ask


def test_the_command_prints_data_on_one_stream_and_talk_on_the_other(asked: Any) -> None:
    code, out, err = asked("SELECT number AS n, if(n = 0, NULL, '\x1b[31m') AS x FROM numbers(2)")
    assert code == 0
    assert out == "n  x\n0  NULL\n1  ·[31m\n"
    assert err.startswith("2 rows in ")
    assert asked("SELECT 1 AS a", "csv")[1] == "a\n1\n"
    assert json.loads(asked("SELECT 1 AS a", "json")[1])["rows"] == [[1]]
    assert json.loads(asked("SELECT 1 AS a", "jsonl")[1]) == {"a": 1}


def test_the_command_tells_what_is_refused_from_what_failed(asked: Any) -> None:
    assert asked("DROP TABLE t")[0] == 2
    code, out, err = asked("SELECT nope")
    assert (code, out) == (1, "")
    assert "nope" in err


def test_every_type_of_the_engine_can_be_written(engine: Engine) -> None:
    with ReadOnlyDoor(engine) as door:
        given = door.query(
            "SELECT NULL, toInt256(-1), toUInt128(1), 1.5::Float32, nan, toDecimal128('1.10', 2), toDate('2026-11-25'),"
            " toDateTime64('2026-11-25 03:00:00.123', 3, 'UTC'), toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0'),"
            " toIPv4('1.2.3.4'), toIPv6('::1'), 'a'::Enum8('a' = 1), toFixedString('ab', 4), unhex('ff'), [1, NULL],"
            " (1, 'x'), tuple(1, 'x')::Tuple(a UInt8, b String), map('k', 1), map(1, [map('x', 2)]), true,"
            " toLowCardinality('l'), INTERVAL 1 DAY, CAST(1 AS Variant(UInt8, String)), CAST('{\"a\":1}' AS JSON), []"
        )
    for form in ResultFormat:
        text = written(given, form)
        assert "61f0c404-5cb3-11e7-907b-a6006ad3dba0" in text
        assert "2026-11-25T03:00:00.123Z" in text
    json.loads(written(given, ResultFormat.JSON))
