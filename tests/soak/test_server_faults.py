"""The proofs over a server as tests of `make soak`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.proving import assert_nothing_lost, prove


@pytest.mark.soak
def test_a_server_that_fails_amid_inserts_a_few_times_has_every_page_once(tmp_path: Path) -> None:
    figures = prove("server_faults", tmp_path, "--faults", "2", "--seed", "5")

    assert_nothing_lost(figures)
    assert sum(figures["faults"].values()) == 2
    assert figures["pages"] > 6


@pytest.mark.soak
def test_a_server_that_fails_amid_inserts_two_hundred_times_has_every_page_once(tmp_path: Path) -> None:
    figures = prove("server_faults", tmp_path, "--faults", "200", "--seed", "1")

    assert_nothing_lost(figures)
    assert sum(figures["faults"].values()) == 200
    assert len(figures["faults"]) == 6
    assert figures["amid_inserts"] > 100


@pytest.mark.soak
def test_of_two_harvesters_one_works_and_the_other_takes_over(tmp_path: Path) -> None:
    figures = prove("takeover", tmp_path, "--rounds", "20", "--seed", "1")

    assert_nothing_lost(figures)
    assert figures["killed"] + figures["frozen"] == 20
    assert (figures["late"], figures["usurped"]) == (0, 0)
