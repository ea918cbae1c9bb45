"""500 seeded mixtures of faults of the API, the store and the disk; see `tests.test_fault_mixtures`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_fault_mixtures import mixture


@pytest.mark.soak
@pytest.mark.parametrize("first", range(1000, 1500, 25))
def test_every_page_survives_every_mixture(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 25):
        mixture(seed, tmp_path)
