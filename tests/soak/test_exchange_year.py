"""Exchange hours filled by the command itself, killed and resumed: each is there once, as it was published."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.proving import prove


@pytest.mark.soak
def test_hours_are_filled_once_whatever_is_killed(tmp_path: Path) -> None:
    figures = prove("exchange_year", tmp_path, "--hours", "600", "--kills", "5", "--seed", "7")

    assert figures["kills"] == 5
    assert figures["hours"] >= 600
