"""The library that kills a process before its k-th change of files: built from `file_operations.c`, put in front of
the C library with LD_PRELOAD, told from Python when to begin.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Self

_SOURCE = Path(__file__).with_name("file_operations.c")
_DEEPBIND = 8
_LETTERS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\.tmp[0-9a-z]+")


class CannotPreload(Exception):  # noqa: N818
    """There is no way to do it here; the message says why."""


def build(directory: Path) -> Path:
    """The library, built into `directory`.

    Raises:
        CannotPreload: no Linux, no C compiler, or it fails.
    """
    if sys.platform != "linux":
        raise CannotPreload("LD_PRELOAD is a matter of Linux")
    compiler = shutil.which(os.environ.get("CC") or "cc")
    if compiler is None:
        raise CannotPreload("no C compiler (cc) is installed")
    library = directory / "file_operations.so"
    done = subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(_SOURCE), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CannotPreload(f"{compiler} fails: {done.stderr[-500:]}")
    return library


def load_engine() -> None:
    """Load the embedded engine so that it calls the library, and so that this process may fork afterwards.

    Left alone, `chdb` loads itself past whatever is preloaded, and starts an engine in memory to ask for its version;
    no engine survives a fork. For a process that does nothing else, before `chdb` is imported.
    """

    class Shallow(ctypes.CDLL):
        def __init__(self, name: str | None, mode: int = ctypes.DEFAULT_MODE) -> None:
            super().__init__(name, mode & ~_DEEPBIND)

    class NoEngine:
        def query(self, *_: object) -> Self:
            return self

        def bytes(self) -> bytes:
            return b"unknown"

        def close(self) -> None:
            return

    library = next(path for root in sys.path if (path := Path(root, "chdb", "_chdb.abi3.so")).exists())
    spec = spec_from_file_location("chdb._chdb", library)
    assert spec is not None
    assert spec.loader is not None
    engine: Any = module_from_spec(spec)
    spec.loader.exec_module(engine)
    sys.modules["chdb._chdb"] = engine
    load, connect = ctypes.CDLL, engine.connect
    ctypes.CDLL, engine.connect = Shallow, lambda *_: NoEngine()  # type: ignore[misc]
    try:
        import chdb  # noqa: F401
        import clickhouse_connect.driver._chdbclient  # noqa: F401 - so that no child has to
    finally:
        ctypes.CDLL, engine.connect = load, connect  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Operation:
    """A change of files that was about to be made; paths are relative to the folder that was watched."""

    name: str
    path: str
    to: str = ""

    @property
    def label(self) -> str:
        """The same in each run: without the names that are made up anew."""
        return _LETTERS.sub("…", f"{self.name} {self.path} {self.to}").strip()


class Watch:
    """The library in this process, which must have been started with it."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._arm, self._disarm = library.file_operations_arm, library.file_operations_disarm
        self._arm.argtypes = [ctypes.c_char_p, ctypes.c_long, ctypes.c_int]
        self._disarm.restype = ctypes.c_long

    def begin(self, folder: Path, die_before: int, log: Path | None) -> None:
        """Count what changes below `folder` from now on, and die before the change number `die_before`; 0: never."""
        descriptor = -1 if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._arm(os.fsencode(folder.resolve()), die_before, descriptor)

    def end(self) -> int:
        """How many changes there were."""
        return int(self._disarm())


def read_log(log: Path, folder: Path) -> list[Operation]:
    """What was written to `log` while `folder` was watched."""
    root = str(folder.resolve())

    def relative(path: str) -> str:
        return "." if path.rstrip("/") == root else path.removeprefix(f"{root}/").rstrip("/")

    operations = []
    for line in log.read_text("utf-8", "replace").splitlines():
        name, _, paths = line.partition(" ")
        path, _, to = paths.partition("\t")
        operations.append(Operation(name, relative(path), relative(to)))
    return operations
