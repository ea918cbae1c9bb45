"""Exchange hours filled by the command itself, killed and resumed: each is there once, as it was published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.exchange_year import prove


@pytest.mark.soak
def test_hours_are_filled_once_whatever_is_killed(tmp_path: Path) -> None:
    figures, wrong = prove(tmp_path, seed=7, hours=600, kills=5, markets=1450, seconds=3600.0)
    assert wrong == []
    assert figures.kills == 5
    assert (figures.hours >= 600, figures.lost, figures.doubled) == (True, 0, 0)
