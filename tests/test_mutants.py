"""The mutants of `make soak` break code that is there, and name tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.soak.mutant_list import MUTANTS, Mutant, MutantOutdated

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_breaks_code_that_is_there_and_names_a_test_that_is_there(mutant: Mutant) -> None:
    assert mutant.broken(ROOT) != (ROOT / mutant.file).read_text()
    file, _, test = mutant.test.partition("::")
    assert re.search(rf"^def {test.partition('[')[0]}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_a_mutant_that_code_has_outgrown_is_told(tmp_path: Path) -> None:
    (tmp_path / "code").write_text("a = 1\na = 1\n")

    for pattern, times in (("a = 1", "2 times"), ("a = 2", "0 times")):
        with pytest.raises(MutantOutdated, match=times):
            Mutant("", "code", pattern, "", "").broken(tmp_path)
    assert Mutant("", "code", "1\na", "1\nb", "").broken(tmp_path) == "a = 1\nb = 1\n"
