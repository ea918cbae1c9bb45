"""The migrate command: what it prints where, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harvester.commands import poe_migrate
from harvester.commands.migrate import MigrateAction, run_migrate
from harvester.store import migrations, schema_files
from harvester.store.engine import Engine
from harvester.store.row_lease import owner_name

ONE = "CREATE TABLE IF NOT EXISTS a (n UInt64) ENGINE = MergeTree ORDER BY n;\n"
TWO = "CREATE TABLE IF NOT EXISTS b (n UInt64) ENGINE = MergeTree ORDER BY n;\nSELECT ';';\n"
CHECKOUT = Path(__file__).resolve().parent.parent


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def files(tmp_path: Path) -> Path:
    directory = tmp_path / "migrations"
    directory.mkdir()
    (directory / "0001_first.sql").write_text(ONE)
    (directory / "0002_second.sql").write_text(TWO)
    return directory


def run(engine: Engine, directory: Path, action: str, **options: bool) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run_migrate(engine, MigrateAction(action), out=out, err=err, directory=directory, **options)
    return code, out.getvalue(), err.getvalue()


def test_status_is_a_table_of_plain_text_with_the_way_on_beside_it(engine: Engine, files: Path) -> None:
    code, out, err = run(engine, files, "status")

    assert code == 0
    assert out.splitlines()[0].split() == ["migration", "state", "statements", "last", "change", "remark"]
    assert out.splitlines()[2].split() == ["0002_second", "pending", "0/2", "-"]
    assert err == f"Database {engine.database}: 0 applied, 2 pending, 0 drifted. Run: poe-migrate --apply\n"


def test_status_on_a_terminal_is_a_boxed_table_without_markup_of_strangers(engine: Engine, files: Path) -> None:
    (files / "0003_wrong.sql").write_text("SELECT missing_column AS `[red]x\x1b[31m[/]`;")
    run(engine, files, "apply")
    out = Terminal()

    run_migrate(engine, MigrateAction.STATUS, out=out, err=io.StringIO(), directory=files)

    shown = out.getvalue()
    assert "━" in shown
    assert "halfway" in shown
    assert "\x1b[31m[/]" not in shown


def test_exit_code_3_only_where_asked_for(engine: Engine, files: Path) -> None:
    assert run(engine, files, "status", exit_code=True)[0] == 3
    run(engine, files, "apply")
    assert run(engine, files, "status", exit_code=True)[0] == 0
    (files / "0002_second.sql").write_text(ONE)
    assert run(engine, files, "status", exit_code=True)[0] == 3
    assert run(engine, files, "status")[0] == 0


def test_apply_tells_each_statement_and_what_was_applied(engine: Engine, files: Path) -> None:
    code, out, err = run(engine, files, "apply")

    assert code == 0
    assert out == "applied 0001_first\napplied 0002_second\n"
    assert f"Applying migrations to database {engine.database} at {engine.url}." in err
    assert "[3/3] 0002_second 2/2 SELECT ';'" in err
    assert run(engine, files, "apply")[1] == ""


def test_apply_as_json(engine: Engine, files: Path) -> None:
    code, out, _ = run(engine, files, "apply", json=True)

    answer = json.loads(out)
    assert code == 0
    assert answer["applied"] == ["0001_first", "0002_second"]
    assert answer["statements"] == 3


def test_status_as_json(engine: Engine, files: Path) -> None:
    run(engine, files, "apply")
    (files / "0003_third.sql").write_text(ONE + "SELECT wrong_column;")
    run(engine, files, "apply")

    code, out, _ = run(engine, files, "status", json=True)

    answer = json.loads(out)
    assert code == 0
    assert (answer["clean"], answer["pending"], answer["drifted"]) == (False, 1, 0)
    third = answer["migrations"][2]
    assert (third["state"], third["finished_statements"], third["statements"]) == ("halfway", 1, 2)
    assert "wrong_column" in third["error"]
    assert answer["migrations"][0]["checksum"] == answer["migrations"][0]["applied_checksum"]


def test_a_dry_run_prints_sql_that_could_be_run_and_changes_nothing(empty_engine: Engine, files: Path) -> None:
    code, out, err = run(empty_engine, files, "apply", dry_run=True)

    assert code == 0
    assert "-- 0002_second: statement 2 of 2\nSELECT ';';\n" in out
    assert ONE.strip() in out
    assert "3 statements would be run" in err
    assert not empty_engine.database_exists()


def test_a_dry_run_of_what_cannot_be_parsed_fails_and_names_the_line(engine: Engine, files: Path) -> None:
    (files / "0003_wrong.sql").write_text("\n\nCREATE TABLE;")

    code, _, err = run(engine, files, "status", dry_run=True)

    assert code == 1
    assert "0003_wrong.sql, line 3: the engine cannot parse this statement: " in err


def test_a_dry_run_tells_that_applying_would_be_refused(engine: Engine, files: Path) -> None:
    run(engine, files, "apply")
    (files / "0001_first.sql").write_text(TWO)

    code, _, err = run(engine, files, "apply", dry_run=True)

    assert code == 1
    assert "Applying would be refused. 0001_first: the file's statements changed" in err
    assert run(engine, files, "apply", dry_run=True, allow_drift=True)[0] == 0


def test_a_failure_says_where_and_what_to_do(engine: Engine, files: Path) -> None:
    (files / "0003_wrong.sql").write_text("SELECT 1;\nSELECT wrong_column;")

    code, out, err = run(engine, files, "apply")

    assert (code, out) == (1, "")
    assert "0003_wrong failed at statement 2 of 2 (line 2: SELECT wrong_column)" in err
    assert "run this again: it resumes there" in err


def test_files_at_fault_are_a_matter_of_configuration(engine: Engine, files: Path) -> None:
    (files / "odd.sql").write_text(ONE)

    code, _, err = run(engine, files, "status")

    assert code == 2
    assert "odd.sql is no name for a migration" in err


def test_an_unreachable_store_is_a_failure_that_names_the_setting(files: Path) -> None:
    code, out, err = run(Engine("http://127.0.0.1:9", "poe_trade"), files, "status")

    assert (code, out) == (1, "")
    assert "POE_CLICKHOUSE_URL" in err


# The command line


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, engine_directory: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("POE_", "CH_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_CLICKHOUSE_URL", f"chdb://{engine_directory}")


def command(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        code = poe_migrate.run(arguments, out, err)
    except SystemExit as leaving:
        code = int(leaving.code or 0)
    return code, out.getvalue(), err.getvalue()


@pytest.mark.usefixtures("environment")
def test_the_command_applies_the_shipped_schema_to_the_database_that_is_named(empty_engine: Engine) -> None:
    name = ("--database", empty_engine.database)

    assert command("--status", "--exit-code", *name)[0] == 3
    assert command("--apply", "--dry-run", *name)[0] == 0
    assert not empty_engine.database_exists()
    assert command("--apply", *name)[0] == 0

    code, out, _ = command("--status", "--json", "--exit-code", *name)
    assert code == 0
    answer = json.loads(out)
    assert answer["clean"]
    shipped = migrations.load_migrations(schema_files.migrations_directory())
    assert [entry["name"] for entry in answer["migrations"]] == [migration.name for migration in shipped]


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--status", "--apply"),
        ("--apply", "--exit-code"),
        ("--status", "--allow-drift"),
        ("--status", "--database", ""),
        ("--stat",),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    assert command(*arguments)[0] == 2


@pytest.mark.usefixtures("environment")
def test_a_setting_that_cannot_be_read_is_2_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POE_CLICKHOUSE_URL", "ftp://nowhere")

    code, _, err = command("--status")

    assert code == 2
    assert "POE_CLICKHOUSE_URL" in err


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--help")[0] == 0
    shown = capsys.readouterr().out
    for word in ("--status", "--apply", "--dry-run", "--allow-drift", "--database NAME", "exit codes:"):
        assert word in shown


def test_a_second_process_on_the_embedded_store_is_told_who_holds_it(engine: Engine, tmp_path: Path) -> None:
    if engine.embedded_directory is None:
        pytest.skip("a server has many processes")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("POE_", "CH_"))}
    environment |= {"POE_CLICKHOUSE_URL": engine.url, "PYTHONPATH": str(CHECKOUT)}

    other = subprocess.run(
        [sys.executable, "-m", "harvester.commands.poe_migrate", "--apply"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=60,
    )

    assert other.returncode == 1
    assert f"in use by process {os.getpid()}" in other.stderr
    assert str(os.getpid()) in owner_name()
