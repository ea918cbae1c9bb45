"""10,000 simulated hours of pacing against every kind of window: not one violation of ours. Prints the table."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.soak.pacer_proof import cases, play, summary, table_of

HOURS = float(os.environ.get("PACER_PROOF_HOURS", "10000"))
SEED = int(os.environ.get("PACER_PROOF_SEED", "1"))
LEARNED_ONCE = 1


@pytest.mark.soak
def test_ten_thousand_hours_break_no_rule(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        played = list(pool.map(play, cases(HOURS, SEED), chunksize=4))
    with capsys.disabled():
        print(f"\n{table_of(played)}\nseed {SEED}, {time.monotonic() - began:.0f} s of wall time")
    assert sum(case.hours for case, _ in played) == pytest.approx(HOURS)
    assert summary(outcome for _, outcome in played) == {"ours": 0, "early": 0}
    assert all(outcome.learning <= LEARNED_ONCE for _, outcome in played)
    steady = [
        outcome
        for case, outcome in played
        if case.window == "sliding" and case.latency == "300 ms" and not (case.neighbour or case.changes or case.losses)
    ]
    assert steady
    assert all(outcome.rate >= 0.85 for outcome in steady)
