"""The proofs over a server as tests: a slice in every run, the whole of them in `make soak`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def prove(proof: str, directory: Path, *options: str) -> dict[str, Any]:
    """Run a proof in `directory`; returns its figures and fails where it failed."""
    done = subprocess.run(
        [sys.executable, "-m", f"tests.soak.{proof}", "--directory", str(directory), *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    print(figures)
    assert (figures["lost"], figures["doubled"], figures["wrong"]) == (0, 0, 0)
    return figures


@pytest.mark.soak
def test_a_server_that_fails_amid_inserts_a_few_times_has_every_page_once(tmp_path: Path) -> None:
    figures = prove("server_faults", tmp_path, "--faults", "2", "--seed", "5")

    assert sum(figures["faults"].values()) == 2
    assert figures["pages"] > 6


@pytest.mark.soak
def test_a_server_that_fails_amid_inserts_two_hundred_times_has_every_page_once(tmp_path: Path) -> None:
    figures = prove("server_faults", tmp_path, "--faults", "200", "--seed", "1")

    assert sum(figures["faults"].values()) == 200
    assert len(figures["faults"]) == 6
    assert figures["amid_inserts"] > 100


@pytest.mark.soak
def test_of_two_harvesters_one_works_and_the_other_takes_over(tmp_path: Path) -> None:
    figures = prove("takeover", tmp_path, "--rounds", "20", "--seed", "1")

    assert figures["killed"] + figures["frozen"] == 20
    assert (figures["late"], figures["usurped"]) == (0, 0)
