"""The lease: one process a queue, and none is held by the dead."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harvester.store.lease import Lease, LeaseTaken


def holder(directory: Path) -> subprocess.Popen[str]:
    """Another process that holds the lease until its standard input closes."""
    program = """
        import sys
        from pathlib import Path
        from harvester.store.lease import Lease
        lease = Lease(Path(sys.argv[1]), "psapi:pc")
        print("held", flush=True)
        sys.stdin.read()
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def open_files() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_second_process_is_told_who_holds_it_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    other = holder(tmp_path)
    try:
        with pytest.raises(LeaseTaken, match=rf"psapi:pc is already run by process {other.pid}\."):
            Lease(tmp_path, "psapi:pc")
    finally:
        other.kill()
        other.communicate()

    Lease(tmp_path, "psapi:pc").release()


def test_a_holder_that_ends_frees_it(tmp_path: Path) -> None:
    holder(tmp_path).communicate("")

    Lease(tmp_path, "psapi:pc").release()


def test_the_same_process_cannot_take_it_twice(tmp_path: Path) -> None:
    lease = Lease(tmp_path, "psapi:pc")
    with pytest.raises(LeaseTaken, match=f"process {os.getpid()}"):
        Lease(tmp_path, "psapi:pc")

    lease.release()
    lease.release()
    Lease(tmp_path, "psapi:pc").release()


def test_failed_tries_leave_no_file_open(tmp_path: Path) -> None:
    lease = Lease(tmp_path, "psapi:pc")
    before = open_files()
    for _ in range(5):
        with pytest.raises(LeaseTaken):
            Lease(tmp_path, "psapi:pc")

    assert open_files() == before
    lease.release()


def test_a_place_that_cannot_be_written_is_no_lease_taken(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Lease(tmp_path / "missing", "psapi:pc")
