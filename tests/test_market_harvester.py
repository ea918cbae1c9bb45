"""`market_harvester`: one realm, one league, and a dry run that leaves no trace."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from harvester.commands.market_harvester import run
from harvester.model import Queue
from harvester.store.cursor_file import CursorFile
from tests.cli_bench import MARKET_HARVESTER, POE_TRADE, Home, simulated_api

ASKED = ("--league", "Standard", "--realm", "pc")


@pytest.fixture
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory into which every setting points."""
    for name, place in (("POE_CURSOR_DIR", "cursors"), ("POE_SPOOL_DIR", "spool")):
        monkeypatch.setenv(name, str(tmp_path / place))
    monkeypatch.setenv("POE_CLICKHOUSE_URL", f"chdb://{tmp_path}/store")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return run(arguments, out, err), out.getvalue(), err.getvalue()


def test_a_dry_run_asks_once_and_leaves_no_trace(somewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated_api(3) as (api, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)

        code, out, err = command(*ASKED, "--dry-run")

    assert (code, err) == (0, "Dry run: nothing was written.\n")
    told = dict(line.split("  ", 1) for line in out.splitlines())
    assert told["asked with"].strip() == "no cursor: the start of the stream"
    assert "2:1:60" in told["rate limit"] or "20:1:60" in told["rate limit"]
    assert "Standard" in told["leagues"]
    assert [page.times for page in api.truth.published] == [1]
    assert list(somewhere.iterdir()) == []


def test_a_dry_run_asks_where_the_harvest_would_go_on(somewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated_api(3) as (api, environ):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        cursor = api.rivers["pc"].page("", 0.0).next_change_id
        file = CursorFile(somewhere / "cursors", Queue("psapi", "pc"))
        file.write(cursor, 0.0)
        before = file.path.read_bytes()

        _, out, _ = command(*ASKED, "--dry-run")

    assert cursor in out
    assert [path.name for path in (somewhere / "cursors").iterdir()] == [file.path.name]
    assert file.path.read_bytes() == before


def test_a_dry_run_tells_what_the_api_refuses(somewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated_api(3) as (_, environ):
        for name, value in {**environ, "POE_OAUTH_CLIENT_SECRET": "wrong-secret"}.items():
            monkeypatch.setenv(name, value)
        code, out, err = command(*ASKED, "--dry-run")

    assert (code, out) == (1, "")
    assert "wrong-secret" not in err
    assert err.count("\n") == 1


def test_once_harvests_one_league_through_the_router(tmp_path: Path) -> None:
    with simulated_api(3) as (_, environ):
        home = Home(tmp_path, {**environ, "POE_CLICKHOUSE_URL": f"chdb://{tmp_path}/store"})
        done = home.run("service", "--name", "market_harvester", "--", *ASKED, "--once", entry=POE_TRADE)
        assert done.code == 0, done.err
        assert done.out.splitlines()[1].split()[:2] == ["psapi:pc", "3"]
        answer = json.loads(home.run("status", "--json").out)

    assert answer["layers"]["raw_public_stash_pages"] == 3
    assert "no item of league" not in done.err


def test_a_league_of_which_nothing_came_is_told(tmp_path: Path) -> None:
    with simulated_api(3) as (_, environ):
        home = Home(tmp_path, {**environ, "POE_CLICKHOUSE_URL": f"chdb://{tmp_path}/store"})
        done = home.run("--league", "standard", "--realm", "pc", "--once", entry=MARKET_HARVESTER)

    assert done.code == 0
    assert "Warning: no item of league 'standard' came by in 3 pages. League names are exact" in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("--realm", "pc"),
        ("--league", "Standard"),
        ("--league", "", "--realm", "pc"),
        ("--league", "Standard", "--realm", "mars"),
        (*ASKED, "--poll-interval", "soon"),
        (*ASKED, "--poll-interval", "0"),
        (*ASKED, "--poll", "5"),
    ],
)
def test_wrong_usage_ends_with_2(
    somewhere: Path, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(*arguments)

    assert ended.value.code == 2
    assert "market_harvester: error" in capsys.readouterr().err


def test_without_a_client_it_says_what_is_missing(somewhere: Path) -> None:
    for more in ((), ("--dry-run",)):
        code, _, err = command(*ASKED, *more)

        assert code == 2
        assert "POE_OAUTH_CLIENT_ID" in err
    assert list(somewhere.iterdir()) == []


def test_the_console_script_is_where_the_packaging_says(tmp_path: Path) -> None:
    done = Home(tmp_path).run("--version", entry=MARKET_HARVESTER)

    assert (done.code, done.out[:17]) == (0, "market_harvester ")
