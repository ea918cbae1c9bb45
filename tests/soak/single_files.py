"""Each file that must survive, written alone: after a kill the old content is there or the new, and nothing between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harvester.api.restrictions import RestrictionFile, SavedLimits, SavedPolicy
from harvester.model import Page, Queue, SpooledPage
from harvester.store.cursor_file import CursorFile
from harvester.store.lease import Lease
from harvester.store.spool import Spool
from tests.soak.preload import Watch

_QUEUE = Queue("psapi", "pc")
_OLD, _NEW = b"old " * 3000, b"new " * 4000


@dataclass(frozen=True, slots=True)
class Writer:
    """One way of writing a file: what is there before, the act, and how the next process reads it."""

    before: Callable[[Path], object]
    act: Callable[[Path], object]
    read: Callable[[Path], str]
    """`old`, `new`, or what is wrong."""


def _nothing(directory: Path) -> None:
    directory.mkdir(exist_ok=True)


def _put(seq: int, body: bytes) -> Callable[[Path], None]:
    return lambda directory: Spool(directory, _QUEUE).put(SpooledPage(seq, Page(_QUEUE, "a", "b", 1.0, body)))


def _spooled(directory: Path) -> str:
    spool = Spool(directory, _QUEUE)
    spool.remove_torn()
    names = sorted(path.name for path in spool.directory.iterdir())
    if spool.sequences != [1] or names != ["000000000001.page"]:
        return "old" if not names else f"in the spool: {names}"
    return {_OLD: "old", _NEW: "new"}[spool.get(1).page.body]


def _aside(directory: Path) -> str:
    spool = Spool(directory, _QUEUE)
    names = [path.name for path in spool.directory.iterdir()]
    return {"000000000001.page": "old", "000000000001.damaged": "new"}["".join(names)]


def _removed(directory: Path) -> str:
    return "old" if Spool(directory, _QUEUE).sequences else "new"


def _save_cursor(cursor: str) -> Callable[[Path], None]:
    return lambda directory: CursorFile(directory, _QUEUE).write(cursor, 1.0)


def _cursor(directory: Path) -> str:
    saved = CursorFile(directory, _QUEUE).read()
    return saved.cursor if saved else "old"


def _save_limits(seconds: float) -> Callable[[Path], None]:
    return lambda directory: RestrictionFile(directory).save(SavedLimits({"p": SavedPolicy(seconds, seconds)}))


def _limits(directory: Path) -> str:
    limits, warning = RestrictionFile(directory).load()
    policy = limits.policies.get("p")
    return warning or ("old" if policy is None else {1.0: "old", 2.0: "new"}[policy.restricted_until])


def _lease(directory: Path) -> str:
    Lease(directory, "the queue").release()
    return "new" if (directory / "lease").read_text().startswith("process ") else "no owner in it"


WRITERS = {
    "first page of a spool": Writer(_nothing, _put(1, _NEW), _spooled),
    "page put again": Writer(_put(1, _OLD), _put(1, _NEW), _spooled),
    "page set aside": Writer(_put(1, _OLD), lambda at: Spool(at, _QUEUE).set_aside(1, "damaged"), _aside),
    "page removed": Writer(_put(1, _OLD), lambda at: Spool(at, _QUEUE).remove(1), _removed),
    "first cursor": Writer(_nothing, _save_cursor("new"), _cursor),
    "next cursor": Writer(_save_cursor("old"), _save_cursor("new"), _cursor),
    "first limits": Writer(_nothing, _save_limits(2.0), _limits),
    "next limits": Writer(_save_limits(1.0), _save_limits(2.0), _limits),
    "lease": Writer(_nothing, lambda at: Lease(at, "the queue"), _lease),
}


def write_files(directory: str, writer: str, die_before: int = 0, log: str | None = None) -> int:
    """Write over what is there before, and count what the act changes on disk."""
    chosen, watch = WRITERS[writer], Watch()
    chosen.before(Path(directory))
    watch.begin(Path(directory), die_before, Path(log) if log else None)
    chosen.act(Path(directory))
    return watch.end()


def read_files(directory: str, writer: str) -> str:
    """What the next process finds."""
    return WRITERS[writer].read(Path(directory))
