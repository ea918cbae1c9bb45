"""Spool and cursor of one queue: what waits, what is damaged, and whether cursor file and store agree."""

from __future__ import annotations

from pathlib import Path

from harvester.diagnosis.finding import Finding, failed, note, ok, warning
from harvester.diagnosis.store_checks import StoreView
from harvester.model import Queue
from harvester.settings import Settings
from harvester.store.cursor_file import CursorFile, CursorFileDamaged
from harvester.store.lease import lease_holder
from harvester.store.spool import DamagedPage, ForeignPage, Spool, spool_folder

SPOOL, CURSOR = "spool", "cursor"
MOST_PAGES_READ = 200
"""Spooled pages that are read back; each may hold some megabytes."""


def holder_of_queue(settings: Settings, queue: Queue) -> int | None:
    """The process that runs a queue; None where none does."""
    return lease_holder(spool_folder(settings.spool_dir, queue))


def queue_findings(settings: Settings, queue: Queue, store: StoreView) -> list[Finding]:
    """What there is to say of one queue."""
    holder = holder_of_queue(settings, queue)
    spooled, chain_end, found = _spool(settings, queue, store, running=holder is not None)
    if holder is not None:
        found.append(note(SPOOL, f"{queue}: run by process {holder}"))
    return [*found, _cursor(settings, queue, store, chain_end, spooled=spooled)]


def _spool(
    settings: Settings, queue: Queue, store: StoreView, *, running: bool
) -> tuple[int, str | None, list[Finding]]:
    """Pages that wait, the cursor behind the last of them, and the findings."""
    folder = spool_folder(settings.spool_dir, queue)
    if not folder.is_dir():
        return 0, None, [ok(SPOOL, f"{queue}: empty")]
    spool = Spool(settings.spool_dir, queue)
    sequences = spool.sequences
    found: list[Finding] = []
    damaged: dict[int, DamagedPage] = {}
    foreign: list[str] = []
    chain_end: str | None = None
    if not running:  # else pages come and go while we look
        for seq in sequences[-MOST_PAGES_READ:]:
            try:
                chain_end = spool.get(seq).page.next_change_id
            except ForeignPage as error:
                foreign.append(str(error))
            except DamagedPage as error:
                damaged[seq] = error
    if damaged:
        found.append(_damage(queue, folder, damaged, store, first=sequences[0]))
    if foreign:
        todo = "The next start sets them aside, with all their bytes. Look how they came there."
        found.append(warning(SPOOL, f"{queue}: pages of other queues: {'; '.join(foreign[:3])}", todo))
    aside = [path.name for path in _set_aside(folder)]
    if aside:
        todo = "They hold pages as they came. Look at them, then delete them; nothing reads them."
        if any(name.endswith(".foreign") for name in aside):
            todo += " Those of another queue (.foreign) belong into its folder where it still misses them."
        names = f"{', '.join(aside[:3])}{' …' if len(aside) > 3 else ''}"
        found.append(warning(SPOOL, f"{queue}: {len(aside)} files were set aside: {names}", todo))
    used, most = spool.total_bytes, settings.spool_max_bytes
    words = f"{queue}: {len(sequences)} pages wait, {used / 1e6:,.1f} of {most / 1e6:,.0f} MB"
    if used > 0.8 * most:
        found.append(warning(SPOOL, words, "The store does not take pages: see the check of the store."))
    elif not damaged and not foreign:
        found.append(ok(SPOOL, words))
    return len(sequences), chain_end, found


def _damage(queue: Queue, folder: Path, damaged: dict[int, DamagedPage], store: StoreView, *, first: int) -> Finding:
    """What a start does about damaged files: see `harvester.store.commit.Committer.recover`."""
    words = f"{queue}: {'; '.join(map(str, list(damaged.values())[:3]))} ({len(damaged)} damaged)"
    begun = store.begun.get(queue.key)
    if store.readable and queue.key not in store.checkpoints and begun is None and first in damaged:
        todo = f"Move the file out of {folder}, then start the harvest. Check disk and memory."
        return failed(SPOOL, f"{words}; the store has no page before it, so a start stops at it", todo)
    heals = "a start sets damaged files aside, and asks again for pages that the store has not"
    if begun in damaged:
        heals = f"a start takes page {begun} from the store" if len(damaged) == 1 else f"{heals}; page {begun} it has"
    return warning(SPOOL, f"{words}; {heals}", "Start the harvest: it heals this. Check disk and memory.")


def _set_aside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".damaged", ".discarded", ".foreign"))


def _cursor(settings: Settings, queue: Queue, store: StoreView, chain_end: str | None, *, spooled: int) -> Finding:
    file = settings.cursor_dir / f"{queue.key.replace(':', '_')}.json"
    try:
        saved = CursorFile(settings.cursor_dir, queue).read() if settings.cursor_dir.is_dir() else None
    except CursorFileDamaged as error:
        return failed(CURSOR, str(error), f"Remove {file}: the store knows the cursor better.")
    last = store.checkpoints.get(queue.key)
    if not store.readable:
        said = f"the file says {saved.cursor} ({saved.saved_at})" if saved else "no cursor file"
        return note(CURSOR, f"{queue}: {said}; not compared with the store")
    if last is None:
        if saved is not None:
            return note(CURSOR, f"{queue}: the store has no page; it goes on from the cursor file, {saved.cursor}")
        if spooled:
            return note(CURSOR, f"{queue}: the store has no page; it begins with those in the spool")
        start = "a day back" if queue.feed == "cxapi" else "at the oldest page that the API keeps"
        return ok(CURSOR, f"{queue}: none yet; the harvest begins {start}")
    place = f"{queue}: page {last.seq:,}, next {last.next_cursor_id}"
    if saved is None:
        return note(CURSOR, f"{place}; no cursor file: it is written with the next page")
    if saved.cursor in (last.next_cursor_id, last.last_cursor_id, chain_end):
        return ok(CURSOR, f"{place}; the cursor file agrees")
    return warning(
        CURSOR,
        f"{place}, but the cursor file says {saved.cursor} ({saved.saved_at}): the store is believed",
        "Is this the store that belongs to this POE_CURSOR_DIR, and not an older copy? If so, nothing is to be done.",
    )
