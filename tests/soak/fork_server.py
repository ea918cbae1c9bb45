"""Children by the hundred: a process that has loaded everything forks one for each job, which may die of it.

`python -m tests.soak.fork_server` reads a line of JSON for each job, `[name, arguments]`, and answers with
`{"ended": …, "result": …}`. The embedded engine does not survive a fork, so each child starts its own.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.soak.preload import load_engine

_ROOT = Path(__file__).resolve().parents[2]
_PATIENCE_SECONDS = 120
"""After so long a child is ended, with SIGALRM."""


class JobFailed(Exception):  # noqa: N818
    """A child ended neither as it should nor as it was killed; the message holds what it said."""


class ForkServer:
    """Runs jobs of `tests.soak.one_commit`, one at a time, each in a process of its own."""

    def __init__(self, library: Path) -> None:
        """`library` is what `tests.soak.preload.build` made."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.fork_server"],
            cwd=_ROOT,
            env={**os.environ, "LD_PRELOAD": str(library)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, job: str, **arguments: Any) -> Any:
        """The result of a job that is to come to its end."""
        ended, result = self._ask(job, arguments)
        if ended:
            raise JobFailed(f"{job} {arguments} ended with {ended}: {result}")
        return result

    def kill(self, job: str, **arguments: Any) -> bool:
        """Run a job that kills itself on the way; False where it came to its end."""
        ended, result = self._ask(job, arguments)
        if ended not in (0, -signal.SIGKILL):
            raise JobFailed(f"{job} {arguments} ended with {ended}: {result}")
        return bool(ended)

    def _ask(self, job: str, arguments: dict[str, Any]) -> tuple[int, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([job, arguments], default=str) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise JobFailed(f"the server of {job} has ended")
        answer = json.loads(line)
        return answer["ended"], answer["result"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _serve() -> None:
    load_engine()
    from tests.soak.one_commit import JOBS, published

    published()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            signal.alarm(_PATIENCE_SECONDS)
            code = 0
            try:
                result: Any = JOBS[name](**arguments)
            except BaseException:
                code, result = 1, traceback.format_exc()
            with os.fdopen(writing, "w") as pipe:
                json.dump(result, pipe)
            os._exit(code)  # not through the engine's own way out, which has nothing more to do
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"ended": code, "result": json.loads(said) if said else None}), flush=True)


if __name__ == "__main__":
    _serve()
