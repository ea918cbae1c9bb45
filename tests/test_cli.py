"""The commands as operators run them: exit codes, signals, what goes where, and who holds the store."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from harvester.commands.hints import program
from harvester.model import Queue
from harvester.store.spool import Spool
from poe_ledger_tui.cli import main
from tests.cli_bench import MARKET_HARVESTER, POE_TRADE, Done, Home, end, simulated_api, until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Done]:
    """A home in which a short demo has run without a terminal, and what it said."""
    home = Home(tmp_path_factory.mktemp("demo"))
    return home, home.run("harvest", "--pages", "3", "--demo")


def test_a_bounded_demo_shows_what_it_stored_and_what_to_try(demo: tuple[Home, Done]) -> None:
    home, done = demo

    assert done.code == 0
    assert [line.split()[:2] for line in done.out.splitlines()[1:3]] == [["psapi:pc", "3"], ["cxapi:pc", "3"]]
    assert "What is listed most just now" in done.out
    assert "What the exchange dealt in most" in done.out
    answer = done.out.partition("What the exchange dealt in most")[2].splitlines()[3:]
    currencies = [re.split(" {2,}", line)[1] for line in answer]
    assert len(set(currencies)) == len(currencies) == 5, "each currency once, from the league that deals in it most"
    assert f"Stored in chdb://{home.directory}" in done.err
    for command in ("status", "sanity", "migrate"):
        assert f"poe-ledger --demo --headless {command}" in done.err


@pytest.mark.soak
def test_the_demo_can_be_looked_at_afterwards(demo: tuple[Home, Done]) -> None:
    home, _ = demo

    status = home.run("--demo", "--headless", "status", "--json")
    assert status.code == 0
    answer = json.loads(status.out)
    assert [queue["queue"] for queue in answer["queues"]] == ["cxapi:pc", "psapi:pc"]
    assert answer["layers"]["raw_currency_exchange_hours"] == 3
    assert answer["layers"]["raw_public_stash_pages"] == 3
    assert answer["layers"]["v_listings_current"] > 0
    assert answer["schema"] == {"pending": 1, "drifted": 0}

    assert home.run("migrate", "--demo").code == 3, "the demo leaves a migration to try"
    rebuilt = home.run("rebuild", "silver", "--headless", "--demo", "--json")
    assert (rebuilt.code, json.loads(rebuilt.out)["realms"][0]["pages"]) == (0, 3)


def test_the_demo_of_one_feed_alone(tmp_path: Path) -> None:
    done = Home(tmp_path).run("harvest", "--demo", "--feed", "cxapi", "--pages", "1")

    assert done.code == 0, done.err
    assert "cxapi:pc  1 " in done.out


def test_without_a_demo_there_is_nothing_to_look_at(tmp_path: Path) -> None:
    done = Home(tmp_path).run("--demo", "status")

    assert done.code == 1
    assert "No demo was run yet" in done.err


IMAGINED_TERMINAL = (
    "-c",
    "import poe_ledger_tui.command_line as line, poe_ledger_tui.command_frame as frame, sys;"
    " line.on_a_terminal = frame.on_a_terminal = lambda: True; line.run(sys.argv[1:])",
)


@pytest.mark.soak
def test_ctrl_c_ends_a_demo_on_a_terminal_with_its_results_and_a_second_one_leads_to_its_own_data(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path)
    cursor = tmp_path / ".cache" / "poe-ledger" / "demo" / "cursors" / "psapi_pc.json"
    first = home.start("--demo", "harvest", "--headless", entry=IMAGINED_TERMINAL)
    until(cursor.exists, first)
    beside = home.run("--demo", "harvest", "--pages", "1", TMPDIR=str(tmp_path))

    done, _ = end(first, signal.SIGINT)

    assert done.code == 0
    assert "What is listed most just now" in done.out
    assert "poe-ledger --demo --headless status" in done.err
    (own,) = tmp_path.glob("poe-ledger-demo-*")
    assert beside.code == 0
    assert f"this one's data lies in {own}" in beside.err
    assert "--demo --headless" not in beside.err
    addressed = f"POE_CLICKHOUSE_URL=chdb://{own}/clickhouse POE_CURSOR_DIR={own}/cursors poe-ledger --headless"
    assert f"{addressed} status" in beside.err


@pytest.mark.soak
def test_hints_of_a_demo_lead_back_to_the_demo(demo: tuple[Home, Done]) -> None:
    home, done = demo

    assert "(poe-ledger --demo --headless migrate --apply)" in done.err
    assert "Run: poe-ledger --demo --headless migrate --apply" in home.run("migrate", "--demo").err
    assert "(poe-ledger --demo --headless migrate --status)" in home.run("status", "--demo").out


def test_hints_name_the_program_as_it_was_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("sys.argv", [str(tmp_path / ".venv" / "bin" / "poe-ledger")])
    assert program() == ".venv/bin/poe-ledger"

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "poe-ledger").touch(mode=0o755)
    assert program() == "poe-ledger"


@pytest.mark.parametrize("arguments", [["status"], ["migrate"], ["sanity"], ["rebuild", "silver"], ["harvest"]])
def test_every_command_tells_a_misspelled_setting(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_CLICKHOUSE_URL", f"chdb://{tmp_path}/none")
    monkeypatch.setenv("POE_REALM", "pc")
    monkeypatch.setenv("POE_FEEDS", "psapi")

    with pytest.raises(SystemExit):
        main(["--headless", *arguments])

    assert capsys.readouterr().err.count("Warning: POE_REALM is not known; did you mean POE_REALMS?\n") == 1


def test_without_a_store_the_sanity_says_how_to_begin(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_CLICKHOUSE_URL", f"chdb://{tmp_path}/none")

    with pytest.raises(SystemExit) as ended:
        main(["--headless", "sanity"])

    assert ended.value.code == 1
    assert "There is no store yet" in (said := capsys.readouterr().err)
    assert "Begin: poe-ledger --headless harvest" in said
    assert list(tmp_path.iterdir()) == []


def test_a_cursor_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    client = {"POE_OAUTH_CLIENT_ID": "a", "POE_OAUTH_CLIENT_SECRET": "b", "POE_CONTACT": "a@b.example"}
    store = {"POE_CLICKHOUSE_URL": f"chdb://{tmp_path}/store", "POE_CURSOR_DIR": f"{tmp_path}/file/cursors"}

    done = Home(tmp_path, client | store).run("--headless", "harvest")

    assert done.code == 1
    assert "Set POE_CURSOR_DIR" in done.err


@dataclass
class Market:
    """What a harvest left that was interrupted and then finished, and what was seen meanwhile."""

    home: Home
    beside: dict[str, Done]
    interrupted: Done
    seconds: float
    finished: Done
    asked_again: int
    broken: int
    process: int
    command_line: bytes


PAGES = 8
BESIDE = {
    "status": ("--headless", "status"),
    "sanity": ("--headless", "sanity"),
    "migrate": ("--headless", "migrate", "--status"),
    "rebuild": ("--headless", "rebuild", "silver"),
    "harvest": ("--headless", "harvest", "--once"),
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A harvest over HTTP, looked at by other processes, ended by Ctrl-C, and finished by a second one."""
    directory = tmp_path_factory.mktemp("market")
    with simulated_api(PAGES, limit="2:1:60") as (api, environ):
        store = {"POE_CLICKHOUSE_URL": f"chdb://{directory}/store", "POE_CURSOR_DIR": f"{directory}/cursors"}
        home = Home(directory, {**environ, **store, "POE_FEEDS": "psapi"})
        harvest = home.start("harvest", "--headless", "--json")
        until(home.cursor_file.exists, harvest)
        command_line = Path(f"/proc/{harvest.pid}/cmdline").read_bytes()
        beside = {name: home.run(*arguments) for name, arguments in BESIDE.items()}
        interrupted, seconds = end(harvest, signal.SIGINT)
        finished = home.run("--headless", "harvest", "--once", "--json")
        truth = api.truth.summary()
        yield Market(
            home,
            beside,
            interrupted,
            seconds,
            finished,
            truth["asked_again"],
            truth["rules_broken"],
            harvest.pid,
            command_line,
        )


def test_ctrl_c_ends_a_harvest_with_its_figures(market: Market) -> None:
    assert market.interrupted.code == 130
    assert market.seconds < 10
    (queue,) = json.loads(market.interrupted.out.splitlines()[-1])["queues"]
    assert set(queue) == {"queue", "pages", "stashes", "items", "cursor", "caught_up"}
    assert queue["pages"] >= 1


def test_the_next_harvest_goes_on_and_loses_nothing(market: Market) -> None:
    first = json.loads(market.interrupted.out.splitlines()[-1])["queues"][0]
    second = json.loads(market.finished.out.splitlines()[-1])["queues"][0]
    layers = json.loads(market.home.run("status", "--json").out)["layers"]

    assert market.finished.code == 0
    assert second["caught_up"] is True
    assert layers["raw_public_stash_pages"] == PAGES
    assert first["pages"] <= PAGES
    assert layers["silver_stashes"] >= first["stashes"]
    assert market.broken == 0


def test_beside_a_harvest_the_status_names_it_and_says_how_it_stands(market: Market) -> None:
    status = market.beside["status"]

    assert status.code == 0
    assert f"process {market.process}" in status.err
    assert status.out.splitlines()[1].split()[0] == "psapi:pc"


@pytest.mark.parametrize("command", ["sanity", "migrate", "rebuild", "harvest"])
def test_beside_a_harvest_every_other_command_names_who_holds_the_store(market: Market, command: str) -> None:
    done = market.beside[command]

    assert (done.code, done.out) == (1, "")
    assert f"process {market.process}" in done.err
    assert len(done.err.splitlines()) == 1


def test_the_secret_is_nowhere_to_be_seen(market: Market) -> None:
    secret = market.home.environ["POE_OAUTH_CLIENT_SECRET"]

    assert secret.encode() not in market.command_line
    said = [market.interrupted, market.finished, *market.beside.values()]
    assert not any(secret in done.out + done.err for done in said)


@pytest.mark.soak
def test_a_missing_migration_stops_the_harvest_and_says_what_to_run(market: Market) -> None:
    """A store from before migration 0004, made by forgetting that it was applied."""
    forget = (
        "from harvester.store.engine import Engine\n"
        f"engine = Engine({market.home.environ['POE_CLICKHOUSE_URL']!r}, 'poe_trade')\n"
        "with engine.open() as handle:\n"
        "    handle.run(\"ALTER TABLE poe_schema_migrations DELETE WHERE version >= '0004'\","
        " settings={'mutations_sync': 2})\n"
    )
    assert market.home.run(entry=("-c", forget)).code == 0

    done = market.home.run("--headless", "harvest", "--once")
    assert done.code == 3
    assert "poe-ledger --headless migrate --apply" in done.err
    assert market.home.run("--headless", "rebuild", "silver").code == 3
    assert market.home.run("--headless", "migrate", "--apply").code == 0


def test_a_second_signal_ends_the_process_where_it_is(tmp_path: Path) -> None:
    stubborn = (
        "import os, signal, time\n"
        "from harvester.commands.signals import leaving_on_signals\n"
        "with leaving_on_signals(lambda: None) as leave:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    assert leave.exit_code == 130\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(60)\n"
    )

    assert Home(tmp_path).run(entry=("-c", stubborn)).code == 128 + signal.SIGTERM


def test_sigterm_ends_a_harvest_cleanly_within_seconds(tmp_path: Path) -> None:
    home = Home(tmp_path)
    cursor = tmp_path / ".cache" / "poe-ledger" / "demo" / "cursors" / "psapi_pc.json"
    harvest = home.start("--demo", "--headless", "harvest", "--pages", "500")
    until(cursor.exists, harvest)

    done, seconds = end(harvest, signal.SIGTERM)

    assert done.code == 0
    assert seconds < 10
    assert not Spool(cursor.parent / "spool", Queue("psapi", "pc")).sequences or "in the spool" in done.out


WRONG = [
    (["--nonsense"], "No such option"),
    (["nonsense"], "No such command"),
    (["harvest", "--pages", "0"], "--pages"),
    (["harvest", "--pages", "many"], "--pages"),
    (["harvest", "--realm", "mars"], "--realm: got 'mars'"),
    (["harvest", "--feed", "rss"], "--feed: got 'rss'"),
    (["harvest", "--league", ""], "the name is empty"),
    (["rebuild", "gold"], "Only silver"),
    (["rebuild"], "Missing argument"),
    (["migrate", "--status", "--apply"], "exclude each other"),
    (["sanity", "nonsense"], "nonsense"),
    (["--monitor"], "terminal app"),
    (["harvest", "--feed", "psapi"], "POE_OAUTH_CLIENT_ID"),
    (["harvest", "--feed", "cxapi", "--since", "soon"], "is no date"),
    (["harvest", "--feed", "cxapi", "--since", "2999-01-01"], "in the future"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG)
def test_wrong_usage_is_told_and_ends_with_2(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_CLICKHOUSE_URL", f"chdb://{tmp_path}/store")

    with pytest.raises(SystemExit) as ended:
        main(["--headless", *arguments])

    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert said in captured.err


@pytest.mark.parametrize("arguments", [["harvest"], ["status"], ["migrate"], ["sanity"], ["rebuild", "silver"]])
def test_a_setting_that_cannot_be_read_is_named(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_CLICKHOUSE_URL", "ftp://nowhere")

    with pytest.raises(SystemExit) as ended:
        main(["--headless", *arguments])

    assert ended.value.code == 2
    assert "POE_CLICKHOUSE_URL" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--help"], ["harvest", "migrate", "sanity", "status", "rebuild", "--headless", "--demo"]),
        (["--headless", "harvest", "--help"], ["--once", "--pages", "--feed", "--realm", "--league", "--json"]),
        (["migrate", "--headless", "-h"], ["--status", "--apply", "--dry-run"]),
        (["rebuild", "--help"], ["silver", "--realm"]),
        (["--version"], ["poe-ledger "]),
    ],
)
def test_help_stands_at_every_level(arguments: list[str], said: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)

    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert [word for word in said if word not in out] == []


def test_the_shell_can_complete_it(tmp_path: Path) -> None:
    done = Home(tmp_path).run(_POE_LEDGER_COMPLETE="complete_bash", COMP_WORDS="poe-ledger --headless ", COMP_CWORD="2")

    assert {"harvest", "migrate", "rebuild", "sanity", "status"} <= set(done.out.split())


def test_a_server_that_is_away_is_told_with_the_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POE_CLICKHOUSE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("POE_CURSOR_DIR", str(tmp_path))
    for arguments in (["status"], ["sanity"], ["migrate"], ["rebuild", "silver"]):
        with pytest.raises(SystemExit) as ended:
            main(["--headless", *arguments])

        assert ended.value.code == 1
        assert "POE_CLICKHOUSE_URL" in capsys.readouterr().err


def test_the_router_passes_arguments_and_exit_codes_through(tmp_path: Path) -> None:
    home = Home(tmp_path)

    asked = home.run("service", "--name", "market_harvester", "--", "--help", entry=POE_TRADE)
    assert (asked.code, asked.err) == (0, "")
    assert "--poll-interval" in asked.out
    wrong = home.run("service", "--name", "market_harvester", "--", "--realm", "mars", entry=POE_TRADE)
    assert wrong.code == 2
    assert "market_harvester: error" in wrong.err
    stray = home.run("service", "--name", "market_harvester", "--once", entry=POE_TRADE)
    assert stray.code == 2
    assert "behind '--'" in stray.err
    assert home.run("service", "--name", "nonsense", entry=POE_TRADE).code == 2
    assert home.run("--help", entry=POE_TRADE).code == 0
    assert home.run("--help", entry=MARKET_HARVESTER).out.startswith("usage: market_harvester")


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_the_simulator_refuses_what_is_no_port(tmp_path: Path, port: str) -> None:
    done = Home(tmp_path).run(f"--port={port}", entry=("-m", "harvester.simulator"))

    assert done.code == 2
    assert f"'{port}' is no port" in done.err
