"""Would a power loss undo it? Judged by the log of what was changed and what was synced, in order."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from tests.soak.preload import Operation


def unsafe(operations: Iterable[Operation]) -> list[str]:
    """Where something is relied on that the disk need not have yet.

    A file must be synced before it is renamed over another; and when a spool file goes, and at the end, everything
    changed so far must be on the disk: the content of each file, and the directory that names it. That a file is gone
    need not be.
    """
    pending: dict[str, str] = {}
    found: list[str] = []
    for operation in operations:
        path, to = operation.path, operation.to
        if operation.name == "sync":
            pending.pop(path, None)
        elif operation.name in ("open", "write", "truncate", "allocate"):
            pending[path] = operation.name
            if operation.name == "open":
                pending[_parent(path)] = f"new: {path}"
        elif operation.name == "mkdir":
            pending[_parent(path)] = f"new: {path}"
        elif operation.name == "rename":
            if path in pending and "/tmp_insert_" not in path:
                found.append(f"{path} is renamed before it is synced")
            pending = {_moved(name, path, to): what for name, what in pending.items()}
            pending[_parent(path)] = pending[_parent(to)] = f"renamed: {to}"
        elif operation.name in ("unlink", "rmdir"):
            if path.endswith(".page"):
                found += [f"{path} goes before {name} is synced ({what})" for name, what in sorted(pending.items())]
            pending.pop(path, None)
            if pending.get(_parent(path)) == f"new: {path}":
                pending.pop(_parent(path))
    return [*found, *(f"{name} is never synced ({what})" for name, what in sorted(pending.items()))]


def _parent(path: str) -> str:
    return str(PurePosixPath(path).parent)


def _moved(name: str, path: str, to: str) -> str:
    return to + name[len(path) :] if name == path or name.startswith(f"{path}/") else name
