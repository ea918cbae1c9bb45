"""A slice of the pacer's long proof (`make soak`): every window, latency and circumstance once, some minutes each."""

from __future__ import annotations

from pathlib import Path

import pytest

from harvester.api import window as window_module
from harvester.api.pace import Pace
from tests.soak.pacer_proof import KINDS, Case, Outcome, Simulation, cases, play, summary, table_of

MINUTES = 3 / 60


def one(window: str, rules: dict[str, list[str]], hours: float = 1.0, **more: object) -> Outcome:
    return Simulation(Case(window, rules, 5, hours, **more)).run()  # type: ignore[arg-type]


def test_no_rule_is_broken_by_us_in_any_window_at_any_latency_in_any_company() -> None:
    windows = sum(len(kinds) for _, _, kinds in KINDS)
    played = [play(case) for case in cases(windows * 4 * 9 * MINUTES, seed=3, length=MINUTES)]
    assert summary(outcome for _, outcome in played) == {"ours": 0, "early": 0}, table_of(played)
    assert all(outcome.learning <= 1 for _, outcome in played)
    assert {case.window.split()[0] for case, _ in played} == {"sliding", "fixed", "bucketed"}
    assert all(
        any(trait(case) for case, _ in played)
        for trait in (
            lambda case: case.neighbour,
            lambda case: case.changes,
            lambda case: case.restarts,
            lambda case: case.losses,
        )
    )


@pytest.mark.parametrize("limit", ["2:1:60", "15:10:60", "30:60:60"])
def test_at_300_ms_at_most_15_percent_of_the_rate_are_lost(limit: str) -> None:
    outcome = one("sliding", {"Ip": [limit]})
    assert outcome.refused == 0
    assert outcome.rate >= 0.85


@pytest.mark.parametrize("seed", range(4))
def test_a_noisy_neighbour_on_a_bucketed_server_costs_one_429_of_ours_at_most(seed: int) -> None:
    case = Case("bucketed 5 s", {"Ip": ["15:10:60"]}, seed, 1.5, 0.02, 0.2, neighbour=0.2, callers=3, growth=False)
    outcome = Simulation(case).run()
    assert (outcome.ours, outcome.early) == (0, 0), outcome.worst
    assert outcome.learning <= 1


@pytest.mark.parametrize("seed", range(4))
def test_a_neighbour_hidden_by_a_window_that_starts_anew_is_not_taken_for_our_own_past(seed: int) -> None:
    case = Case("fixed", {"Ip": ["2:1:60"]}, seed, 1.0, 0.15, neighbour=0.1, growth=False)
    outcome = Simulation(case).run()
    assert outcome.ours == 0, outcome.worst


@pytest.mark.parametrize("seed", range(3))
def test_a_restriction_binds_to_the_second_across_restarts(seed: int, tmp_path: Path) -> None:
    case = Case("sliding", {"Ip": ["2:1:60"]}, seed, 0.5, neighbour=0.3, restarts=60, growth=False)
    outcome = Simulation(case, tmp_path).run()
    assert outcome.refused > 5
    assert outcome.early == 0
    assert outcome.ours == 0


def test_what_a_bucket_taught_outlives_a_restart(tmp_path: Path) -> None:
    case = Case("bucketed 5 s", {"Ip": ["15:10:60"]}, 5, 2.0, restarts=10)
    outcome = Simulation(case, tmp_path).run()
    assert outcome.ours == 0, outcome.worst
    assert outcome.learning == 1


def test_the_proof_sees_a_pacer_without_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module.Window, "observe", lambda *_args, **_more: None)
    case = Case("sliding", {"Ip": ["15:10:60"]}, 5, 1.0, neighbour=1.2, growth=False)
    assert Simulation(case).run().ours > 0


def test_the_proof_sees_a_pacer_that_is_too_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module.Window, "margin", property(lambda _window: -0.2))
    assert one("sliding", {"Ip": ["2:1:60"]}, 0.2, growth=False).ours > 0


def test_the_proof_sees_a_restriction_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pace, "block", lambda _pace, _until: None)
    case = Case("sliding", {"Ip": ["2:1:60"]}, 5, 0.5, neighbour=0.3, growth=False)
    assert Simulation(case).run().early > 0
