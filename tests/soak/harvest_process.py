"""The harvests that the proofs torment: `tests.soak.child` as processes of their own."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 120.0
"""Seconds after which a child that says nothing is a failure of its own."""
_FINISH_PAGES = 6


class HarvestBroke(Exception):  # noqa: N818
    """A harvest ended by itself, or does not move; the message holds what it said."""


class Child:
    """One harvest process; it loads while its predecessor still runs, and begins when told."""

    def __init__(self, directory: Path, seed: int, *options: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.child", str(directory), str(seed), *options],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._said: queue.Queue[str] = queue.Queue()
        self._heard: set[str] = set()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def begin(self) -> None:
        """Let it open the store; returns when it does."""
        self.expect("loaded")
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self.expect("recovering")

    def expect(self, phase: str, within: float = _PATIENCE) -> None:
        """Wait until it says `phase`."""
        while phase not in self._heard:
            try:
                said = self._said.get(timeout=within)
            except queue.Empty:
                raise HarvestBroke(f"nothing but {self._heard} in {within} s. {self.complaint()}") from None
            if not said:
                raise HarvestBroke(f"it ended before {phase!r}. {self.complaint()}")
            self._heard.add(said)

    def lives(self) -> None:
        """Raises where it has ended by itself."""
        if self._process.poll() is not None:
            raise HarvestBroke(f"it ended by itself. {self.complaint()}")

    def freeze(self) -> None:
        """Stop it where it is, as a machine that sleeps does."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, knowing nothing."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> bool:
        """Kill it; True where it was still recovering."""
        self.lives()
        self._process.kill()
        self._end()
        return "recovered" not in self._heard

    def wait(self) -> int:
        """Its exit code, when it ends by itself."""
        try:
            code = self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            raise HarvestBroke(f"it does not end. {self.complaint()}") from None
        self._end()
        return code

    def discard(self) -> None:
        """End it wherever it is."""
        self._process.kill()
        self._end()

    def complaint(self) -> str:
        """What it wrote to standard error."""
        self._errors.seek(0)
        return self._errors.read().decode("utf-8", "replace")[-3000:]

    def _end(self) -> None:
        self._process.wait()
        self._reader.join()
        while not self._said.empty():
            self._heard.add(self._said.get())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line.strip())
        self._said.put("")


def finish(directory: Path, seed: int, *options: str) -> None:
    """Harvest undisturbed to the end of the stream."""
    child = Child(directory, seed, "--finish", str(_FINISH_PAGES), *options)
    try:
        child.begin()
        code = child.wait()
        if code != 0:
            raise HarvestBroke(f"the last harvest ended with {code}. {child.complaint()}")
    finally:
        child.discard()
