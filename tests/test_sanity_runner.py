"""Sanity checks: how files are read, how results are judged, and what the command says and returns."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest

from harvester.commands.sanity import run_sanity
from harvester.store import schema_files
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.handle import Handle
from harvester.store.sanity import SanityFilesError, load_checks, run_checks
from harvester.store.verdict import Level, VerdictError, VerdictRule
from tests.schema_template import migrate

RULE = "red when bad > 0 or checked = 0; amber when lag > 20"


@pytest.mark.parametrize(
    ("rule", "row", "level"),
    [
        (RULE, {"bad": 0, "checked": 3, "lag": 1.5}, Level.GREEN),
        (RULE, {"bad": 1, "checked": 3, "lag": 1}, Level.RED),
        (RULE, {"bad": 0, "checked": 0, "lag": 1}, Level.RED),
        (RULE, {"bad": 0, "checked": 3, "lag": 21}, Level.AMBER),
        (RULE, {"bad": 0, "checked": 3, "lag": None}, Level.RED),
        (RULE, {"bad": 0, "checked": 3, "lag": math.nan}, Level.RED),
        ("red when a = 1 and (b = 1 or c = 1)", {"a": 1, "b": 0, "c": 1}, Level.RED),
        ("red when a = 1 and b = 1 or c = 1", {"a": 0, "b": 0, "c": 1}, Level.RED),
        ("red when not a >= 5", {"a": 4}, Level.RED),
        ("red when not a >= 5", {"a": 5}, Level.GREEN),
        ("red when a != b", {"a": 4, "b": 4}, Level.GREEN),
        ("red when a < -1.5", {"a": -2}, Level.RED),
        ("red when state = 'a; b'", {"state": "a; b"}, Level.RED),
        ("red when state <> 'ok'", {"state": "ok"}, Level.GREEN),
        ("amber when since is null", {"since": None}, Level.AMBER),
        ("amber when since is not null", {"since": None}, Level.GREEN),
        ("RED WHEN a > 0 AND b IS NULL", {"a": 1, "b": None}, Level.RED),
    ],
)
def test_a_rule_judges_a_row(rule: str, row: dict[str, object], level: Level) -> None:
    assert VerdictRule(rule).judge(row).level is level


def test_the_reason_tells_the_clause_and_the_figures() -> None:
    verdict = VerdictRule(RULE).judge({"bad": 0, "checked": 0, "lag": 1})

    assert verdict.reason == "bad = 0, checked = 0 (red when bad > 0 or checked = 0)"


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "green",
        "red when",
        "red when bad",
        "red when bad >",
        "red when (bad > 0",
        "red when bad > 0 checked",
        "red when bad + 1 > 0",
        "red when __import__('os') = 0",
        "purple when bad > 0",
        "red when and > 0",
        "red when bad is 0",
        "red when a = 'open",
    ],
)
def test_what_is_no_rule_is_refused(rule: str) -> None:
    with pytest.raises(VerdictError):
        VerdictRule(rule)


@pytest.mark.parametrize("row", [{"a": 1}, {"bad": "text"}, {"bad": [1]}])
def test_a_rule_that_does_not_fit_the_result_is_an_error(row: dict[str, object]) -> None:
    with pytest.raises(VerdictError):
        VerdictRule("red when bad > 0").judge(row)


FILE = """\
-- Checks of a table; run them with clickhouse-client --multiquery.
USE poe_trade;

-- title: Numbers are small
-- verdict: red when bad > 0 or checked = 0
SELECT countIf(n > 10) AS bad, count() AS checked FROM t;

-- title: Numbers are few
-- Why: it is only a test; semicolons do no harm.
-- verdict: red when checked = 0
-- verdict: amber when checked > 2
WITH 1 AS one SELECT count() AS checked FROM t;
"""


@pytest.fixture
def checks(tmp_path: Path) -> Path:
    (tmp_path / "bronze.sql").write_text(FILE, encoding="utf-8")
    return tmp_path


@pytest.fixture
def table(handle: Handle) -> Handle:
    handle.run("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
    return handle


def levels(engine: Engine, directory: Path) -> list[str]:
    return [result.level.value for result in run_checks(engine, load_checks(directory))]


def test_checks_are_read_with_title_rule_and_line(checks: Path) -> None:
    first, second = load_checks(checks)

    assert (first.title, first.line, first.verdict) == (
        "Numbers are small",
        6,
        "red when bad > 0 or checked = 0",
    )
    assert second.verdict == "red when checked = 0; amber when checked > 2"


def test_checks_run_in_the_database_in_force_and_are_red_on_an_empty_store(
    engine: Engine, table: Handle, checks: Path
) -> None:
    assert levels(engine, checks) == ["red", "red"]
    table.run("INSERT INTO t VALUES (1)")
    assert levels(engine, checks) == ["green", "green"]
    table.run("INSERT INTO t VALUES (2), (3)")
    assert levels(engine, checks) == ["green", "amber"]
    table.run("INSERT INTO t VALUES (11)")
    assert levels(engine, checks) == ["red", "amber"]


def test_the_worst_row_counts_and_no_row_is_red(engine: Engine, table: Handle, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(
        "-- title: each\n-- verdict: red when n > 2; amber when n > 1\nSELECT n FROM t ORDER BY n;"
    )

    assert levels(engine, tmp_path) == ["red"]
    table.run("INSERT INTO t VALUES (1), (2)")
    assert levels(engine, tmp_path) == ["amber"]
    table.run("INSERT INTO t VALUES (3), (0)")
    (result,) = run_checks(engine, load_checks(tmp_path))
    assert (result.level, result.said) == (Level.RED, "n = 3 (red when n > 2)")
    assert result.rows == ((0,), (1,), (2,), (3,))


def test_a_query_that_fails_is_an_error_and_the_others_still_run(engine: Engine, checks: Path) -> None:
    text = FILE + "-- title: alive\n-- verdict: red when one != 1\nSELECT 1 AS one;"
    (checks / "bronze.sql").write_text(text, encoding="utf-8")

    results = run_checks(engine, load_checks(checks))

    assert [result.level.value for result in results] == ["error", "error", "green"]
    assert "migrate --status" in results[0].said


def test_a_check_cannot_write_and_cannot_run_for_ever(engine: Engine, table: Handle, tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(
        "-- title: many\n-- verdict: red when number < 0\nSELECT number FROM numbers(5000);"
    )
    (result,) = run_checks(engine, load_checks(tmp_path))
    assert result.level is Level.ERROR

    (tmp_path / "a.sql").write_text("-- title: w\n-- verdict: red when n < 0\nINSERT INTO t VALUES (1);")
    with pytest.raises(SanityFilesError, match=r"a\.sql, line 3: a check is one SELECT, not INSERT"):
        load_checks(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- title: x\nSELECT 1;", "line 2: above a check stand"),
        ("-- verdict: red when a > 0\nSELECT 1 AS a;", "line 2: above a check stand"),
        ("-- title: x\n-- verdict: red if a\nSELECT 1 AS a;", "line 3: 'red if a' is no clause"),
        ("-- title: x\n-- verdict: red when a > 0\nSELECT 1 AS a; SELECT 2;", "line 3: above a check stand"),
        ("SELECT 'x", "line 1: a string"),
    ],
)
def test_files_at_fault_are_named(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "odd.sql").write_text(text)

    with pytest.raises(SanityFilesError) as refusal:
        load_checks(tmp_path)

    assert str(refusal.value).startswith(f"odd.sql, {problem}")


def run(engine: Engine, directory: Path, **options: object) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run_sanity(engine, out=out, err=err, directory=directory, **options)  # type: ignore[arg-type]
    return code, out.getvalue(), err.getvalue()


def test_the_command_says_how_the_checks_stand(engine: Engine, table: Handle, checks: Path) -> None:
    code, out, err = run(engine, checks)

    assert code == 4
    assert out.splitlines()[1].startswith("red")
    assert "bad = 0, checked = 0 (red when bad > 0 or checked = 0)" in out
    assert err == "2 checks: 2 red.\n"

    table.run("INSERT INTO t VALUES (1), (2), (3)")
    code, out, err = run(engine, checks)
    assert (code, err) == (0, "2 checks: 1 green, 1 amber.\n")
    assert "bad = 0, checked = 3" in out


def test_the_command_as_json(engine: Engine, table: Handle, checks: Path) -> None:
    code, out, _ = run(engine, checks, json=True, only="bronze")

    answer = json.loads(out)["checks"]
    assert code == 4
    assert [check["level"] for check in answer] == ["red", "red"]
    assert answer[0]["columns"] == ["bad", "checked"]
    assert answer[0]["rows"] == [[0, 0]]


def test_the_command_fails_where_checks_cannot_be_judged(engine: Engine, checks: Path) -> None:
    assert run(engine, checks)[0] == 1


def test_an_unknown_name_is_wrong_usage_and_the_names_are_told(engine: Engine, checks: Path) -> None:
    code, _, err = run(engine, checks, only="gold")

    assert code == 2
    assert "There are no checks called gold; there are: bronze." in err


def test_a_store_that_cannot_be_asked_is_a_failure(checks: Path) -> None:
    engine = Engine("http://127.0.0.1:9", "poe_trade")

    code, out, err = run(engine, checks)

    assert (code, out) == (1, "")
    assert "POE_CLICKHOUSE_URL" in err
    with pytest.raises(StoreError):
        run_checks(engine, load_checks(checks))


def test_control_characters_of_a_result_do_not_reach_the_terminal(
    engine: Engine, handle: Handle, tmp_path: Path
) -> None:
    (tmp_path / "a.sql").write_text(
        "-- title: [bold]t[/]\n-- verdict: red when word = 'x'\nSELECT '\\x1b[31m[red]evil[/]' AS word;"
    )

    _, out, _ = run(engine, tmp_path)

    assert "\x1b" not in out
    assert "word = ·[31m[red]evil[/]" in out
    assert "[bold]t[/]" in out


def test_a_store_without_a_page_says_how_to_begin(engine: Engine, table: Handle, checks: Path) -> None:
    migrate(engine)
    begin = "The store is empty: nothing was ever harvested here. Begin: poe-ledger --headless harvest\n"
    assert run(engine, checks)[2] == f"2 checks: 2 red.\n{begin}"

    table.run("INSERT INTO bronze_ingest_checkpoints (queue_key, seq) VALUES ('psapi:pc', 1)")
    assert run(engine, checks)[2] == "2 checks: 2 red.\n"


def test_the_shipped_checks_are_red_on_an_empty_store_and_none_fails(engine: Engine) -> None:
    directory = schema_files.sanity_directory()
    if not list(directory.glob("*.sql")):
        pytest.skip("this checkout has no sanity files")
    migrate(engine)

    results = run_checks(engine, load_checks(directory))

    assert {result.title: result.said for result in results if result.level is not Level.RED} == {}
    for file in directory.glob("*.sql"):
        text = file.read_text(encoding="utf-8")
        assert "\nUSE poe_trade;" in f"\n{text}"
