"""Backup and restore as the runbook has them: its own commands, with other directories."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from harvester.store.engine import Engine
from harvester.store.sql_script import split
from tests.cli_bench import CHECKOUT, POE_LEDGER, Home, simulated_api
from tests.http_front.process import ServerProcess
from tests.soak.stream import Stream
from tests.store_bench import Bench, contents, open_bench

RUNBOOK = (CHECKOUT / "docs" / "ops-runbook.md").read_text("utf-8")


def blocks(section: str, kind: str) -> list[str]:
    """The fenced blocks below a heading, up to the next one."""
    text = RUNBOOK.partition("## Backup and restore")[2].partition(f"### {section}\n")[2].partition("\n##")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.soak
def test_an_embedded_store_is_copied_away_and_back(tmp_path: Path) -> None:
    away, back = blocks("Embedded", "sh")
    with simulated_api(None) as (_, environ):
        home = Home(tmp_path / "home", environ)
        home.directory.mkdir()
        assert home.run("--headless", "harvest", "--pages", "2").code == 0
        shell(away, home, tmp_path)
        assert home.run("--headless", "harvest", "--pages", "1").code == 0
        assert pages(home) == 3
        shell(back, home, tmp_path)
        assert pages(home) == 2
        assert home.run("--headless", "harvest", "--pages", "2").code == 0
        assert pages(home) == 4
        assert home.run("--headless", "sanity").code == 0


def pages(home: Home) -> int:
    answer = json.loads(home.run("--headless", "status", "--json").out)
    return int(answer["layers"]["raw_public_stash_pages"])


def shell(script: str, home: Home, directory: Path) -> None:
    """Run the commands of a block, the program from this checkout."""
    program = shlex.join([sys.executable, *POE_LEDGER])
    text = script.replace("/backup/", f"{directory}/backup/").replace("poe-ledger --", f"{program} --")
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(home.directory), "PYTHONPATH": str(CHECKOUT), **home.environ}
    done = subprocess.run(
        ["sh", "-euc", text], env=environ, cwd=home.directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.soak
def test_a_server_copies_the_database_away_and_back(tmp_path: Path) -> None:
    away, back = blocks("Server", "sql")
    with ServerProcess(tmp_path / "data", backups=tmp_path / "backups") as server:
        engine = Engine(server.url, "poe_trade", pause=lambda _: None)
        engine.create_database()
        published = Stream(3).walk()
        with engine.open() as handle:
            bench = open_bench(handle, engine, tmp_path / "spool")
            for page in islice(published, 2):
                bench.commit(page.body)
            before = contents(handle)
        run(engine, away, tmp_path)
        with engine.open() as handle:
            Bench(handle, tmp_path / "spool").commit(next(published).body)
        run(engine, back, tmp_path)
        with engine.open() as handle:
            assert contents(handle) == before
            bench = Bench(handle, tmp_path / "spool")
            assert bench.next_seq == 3
            bench.commit(next(islice(Stream(3).walk(), 2, None)).body)


def run(engine: Engine, script: str, directory: Path) -> None:
    """Run the statements of a block, as a client that has no database of its own."""
    with Engine(engine.url, "default").open(writes=False) as handle:
        for statement in split(script.replace("/backups/", f"{directory}/backups/")):
            handle.run(statement.sql)


def test_the_place_for_backups_is_the_one_of_the_containers() -> None:
    configured = (CHECKOUT / "docs" / "operations" / "clickhouse-backups.xml").read_text("utf-8")
    (place,) = re.findall(r"<allowed_path>(.*)</allowed_path>", configured)
    assert f"clickhouse_backups:{place.rstrip('/')}\n" in (CHECKOUT / "docker-compose.yml").read_text("utf-8")
    assert all(place in block for block in blocks("Server", "sql"))
