"""Containers, the systemd unit and the observation files name only what exists in the product."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from harvester.metrics import metrics_of
from harvester.settings import VARIABLES
from harvester.snapshot import Snapshot
from tests.snapshot_bench import full_snapshot

ROOT = Path(__file__).resolve().parents[1]
OPERATIONS = ROOT / "docs" / "operations"
NAMES = {variable.name for variable in VARIABLES} | {alias for entry in VARIABLES for alias in entry.aliases}
OTHERS = {"CLICKHOUSE_IMAGE", "POE_METRICS_PORT"}
"""Variables that only the compose file reads."""


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def scripts() -> set[str]:
    return set(tomllib.loads(text("pyproject.toml"))["project"]["scripts"])


def test_every_variable_of_the_containers_is_one_of_ours() -> None:
    compose = text("docker-compose.yml")
    interpolated = set(re.findall(r"\$\{([A-Z_]+)", compose))
    given = set(re.findall(r"^\s+((?:POE|CH)_[A-Z_]+):", compose, re.MULTILINE))
    assert interpolated - NAMES - OTHERS == set()
    assert given - NAMES == set()
    dockerfile = set(re.findall(r"\b(POE_[A-Z_]+)=", text("Dockerfile")))
    unit = set(re.findall(r"\b(POE_[A-Z_]+)=", (OPERATIONS / "poe-ledger.service").read_text()))
    assert (dockerfile | unit) - NAMES == set()


def test_every_setting_reaches_the_containers() -> None:
    given = set(re.findall(r"^\s+(POE_[A-Z_]+):", text("docker-compose.yml"), re.MULTILINE))
    assert {variable.name for variable in VARIABLES if variable.name.startswith("POE_")} - given == set()


def test_every_command_exists() -> None:
    compose, unit = text("docker-compose.yml"), (OPERATIONS / "poe-ledger.service").read_text()
    assert re.findall(r'entrypoint: \["([\w-]+)"\]', compose) == ["poe-migrate"]
    assert {"poe-migrate", "poe-ledger", "market_harvester"} <= scripts()
    assert set(re.findall(r"/opt/poe-ledger/bin/([\w-]+) -", unit)) == {"poe-migrate", "poe-ledger"}
    assert '"-m", "poe_trade.cli", "service", "--name", "market_harvester", "--"' in text("Dockerfile")


def test_what_the_image_copies_exists_and_is_not_ignored() -> None:
    copied = {
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", text("Dockerfile"), re.MULTILINE)
        for name in line.split()[:-1]
    }
    assert copied
    kept = {line[1:] for line in text(".dockerignore").splitlines() if line.startswith("!")}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)


def test_images_are_pinned_and_ports_stay_on_this_machine() -> None:
    images = re.findall(r"^FROM (\S+)", text("Dockerfile"), re.MULTILINE)
    images += re.findall(r"CLICKHOUSE_IMAGE:-([^}]+)", text("docker-compose.yml"))
    assert images
    assert all(re.search(r":\d+\.\d+", image) and "latest" not in image for image in images)
    ports = re.findall(r"^\s+- (\S+:\d+)$", text("docker-compose.yml"), re.MULTILINE)
    published = [port for port in ports if port.count(":") >= 2]
    assert len(published) == 2
    assert all(port.startswith("127.0.0.1:") for port in published)


@pytest.mark.parametrize("with_env_file", [False, True])
def test_a_compose_client_takes_the_file(tmp_path: Path, with_env_file: bool) -> None:
    client = shutil.which("docker-compose")
    if client is None:
        pytest.skip("no docker-compose here")
    (tmp_path / "docker-compose.yml").write_text(text("docker-compose.yml"), encoding="utf-8")
    if with_env_file:
        (tmp_path / ".env").write_text(text(".env.example"), encoding="utf-8")
    run = subprocess.run([client, "config", "--quiet"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def metric_names(snapshot: Snapshot) -> set[str]:
    return {sample.name for metric in metrics_of(snapshot) for sample in metric.samples}


def expressions() -> list[str]:
    rules = (OPERATIONS / "alert-rules.yml").read_text()
    board: dict[str, Any] = json.loads((OPERATIONS / "grafana-dashboard.json").read_text())
    drawn = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [*re.findall(r"expr: (.+)", rules), *drawn]


def test_alerts_and_dashboard_ask_only_for_metrics_that_exist() -> None:
    asked = {name for expression in expressions() for name in re.findall(r"\bpoe_[a-z0-9_]+", expression)}
    assert len(asked) > 15
    assert asked - metric_names(full_snapshot()) == set()


def test_the_states_and_outcomes_that_alerts_name_exist() -> None:
    samples = [sample for metric in metrics_of(full_snapshot()) for sample in metric.samples]
    outcomes = {sample.labels["outcome"] for sample in samples if "outcome" in sample.labels}
    named = {value for expression in expressions() for value in re.findall(r'outcome="(\w+)"', expression)}
    assert named <= outcomes
