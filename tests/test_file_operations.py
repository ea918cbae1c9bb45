"""A slice of the enumeration (`make soak`): a few kills between two changes of files, and the order of all syncs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from harvester.store.crash_points import CRASH_POINTS
from tests.soak.file_operations import Enumeration, enumeration_of
from tests.soak.preload import CannotPreload, Operation
from tests.soak.sync_order import unsafe


@pytest.fixture(scope="module")
def measured() -> Iterator[tuple[Enumeration, list[Operation]]]:
    """An enumeration, and what the commit of its page changes on disk."""
    try:
        with enumeration_of(1, workers=1) as made:
            yield made, made.measure()
    except CannotPreload as error:
        pytest.skip(str(error))


def test_nothing_is_relied_on_before_it_is_synced(measured: tuple[Enumeration, list[Operation]]) -> None:
    """The spool file before its name, every table's rows before the spool file goes, and the cursor file."""
    _, operations = measured

    assert unsafe(operations) == []
    parts = [operation for operation in operations if operation.name == "rename" and "tmp_insert" in operation.path]
    assert len(parts) >= len(set(CRASH_POINTS) - {"spool file"})


def test_a_file_killed_while_it_is_written_is_the_old_one_or_the_new_one(
    measured: tuple[Enumeration, list[Operation]],
) -> None:
    enumeration, _ = measured
    enumeration.kill_writers()

    assert enumeration.figures.wrong == []
    assert enumeration.figures.file_kills == enumeration.figures.file_points > 20


@pytest.mark.slow
def test_a_commit_killed_between_two_changes_of_files_is_repeated_without_trace(
    measured: tuple[Enumeration, list[Operation]],
) -> None:
    enumeration, operations = measured
    spooled, *_, committed = (
        number
        for number, operation in enumerate((o for o in operations if o.name != "sync"), 1)
        if operation.name == "rename"
    )
    enumeration.kill_at([spooled], recoveries=0)
    enumeration.kill_at([(spooled + committed) // 2], recoveries=1)

    assert enumeration.figures.good, enumeration.figures
    assert (enumeration.figures.commit_kills, enumeration.figures.recovery_kills) == (2, 1)


def changes(text: str) -> list[Operation]:
    return [Operation(*line.split()) for line in text.strip().splitlines()]


@pytest.mark.parametrize(
    ("log", "said"),
    [
        ("open d/a.tmp\nwrite d/a.tmp\nsync d/a.tmp\nrename d/a.tmp d/a\nsync d", []),
        (
            "open d/a.tmp\nwrite d/a.tmp\nrename d/a.tmp d/a\nsync d/a\nsync d",
            ["d/a.tmp is renamed before it is synced"],
        ),
        (
            "open d/a.tmp\nsync d/a.tmp\nwrite d/a.tmp\nrename d/a.tmp d/a\nsync d",
            ["d/a.tmp is renamed before it is synced", "d/a is never synced (write)"],
        ),
        (
            "open d/a.tmp\nsync d/a.tmp\nrename d/a.tmp d/a",
            ["d is never synced (renamed: d/a)"],
        ),
        (
            "mkdir t/tmp_insert_1\nopen t/tmp_insert_1/x\nwrite t/tmp_insert_1/x\nrename t/tmp_insert_1 t/1\nsync t\n"
            "sync t/1\nunlink spool/1.page\nsync t/1/x",
            ["spool/1.page goes before t/1/x is synced (write)"],
        ),
        ("open d/probe\nunlink d/probe", []),
    ],
    ids=["as it should be", "renamed first", "written after", "directory", "spool file first", "a probe"],
)
def test_the_order_of_syncs_is_judged(log: str, said: list[str]) -> None:
    assert unsafe(changes(log)) == said
