"""The store: can it be asked, who holds it, and is its schema the one of this release?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harvester.diagnosis.finding import Fault, Finding, failed, note, ok, warning
from harvester.model import Checkpoint, Queue
from harvester.store import migrations
from harvester.store.begun import begun_after
from harvester.store.checkpoints import last_checkpoint
from harvester.store.embedded import holder_of
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.migration_status import MigrationState, MigrationStatus, is_unborn
from harvester.store.migrations import MigrationError
from harvester.store.rebuild_shadow import swap_was_cut_off
from harvester.store.schema_files import SchemaFilesMissingError, migrations_directory

STORE, SCHEMA = "store", "schema"


@dataclass(frozen=True, slots=True)
class StoreView:
    """What was found, and what the store knows of each queue."""

    findings: tuple[Finding, ...]
    readable: bool
    """Whether `checkpoints` is the whole truth; else the store could not be asked."""
    checkpoints: dict[str, Checkpoint]
    """The newest by queue key."""
    begun: dict[str, int] = field(default_factory=dict)
    """The page that the store holds in raw form and without a checkpoint, by queue key."""


def store_view(
    engine: Engine, queues: tuple[Queue, ...], *, harvest_of: Callable[[int], bool], command: str
) -> StoreView:
    """Open the store, look, and close it.

    `harvest_of` says whether a process runs one of our queues; `command` begins the commands in hints.
    """
    where = f"{engine.url}, database {engine.database}"
    try:
        if is_unborn(engine):
            words = f"{where}: not there yet; the first harvest makes it"
            return StoreView((ok(STORE, words), _schema_not_yet()), True, {})
        status = migrations.status(engine, migrations.load_migrations(migrations_directory()))
        if status.untouched:
            words = f"{where}: empty; the first harvest makes the tables"
            return StoreView((ok(STORE, words), _schema_not_yet()), True, {})
        with engine.open(writes=False) as handle:
            found = ok(STORE, f"{where}: reachable, engine {handle.server_version}")
            checkpoints = _checkpoints(handle, queues)
            begun = _begun(handle, queues, checkpoints)
            cut_off = swap_was_cut_off(handle)
    except StoreError as error:
        if error.fault is StoreFault.HELD:
            return _held(engine, harvest_of)
        fault = Fault.CONFIGURATION if error.fault is StoreFault.CREDENTIALS else Fault.OPERATION
        unknown = note(SCHEMA, "not looked at: the store cannot be asked")
        return StoreView((failed(STORE, f"{where}: {error}", error.hint, fault), unknown), False, {})
    except (MigrationError, SchemaFilesMissingError) as error:
        return StoreView((failed(SCHEMA, str(error), "Install the release anew.", Fault.SCHEMA),), False, {})
    return StoreView((found, *_schema(status, cut_off=cut_off, command=command)), True, checkpoints, begun)


def _checkpoints(handle: Handle, queues: tuple[Queue, ...]) -> dict[str, Checkpoint]:
    if not handle.value("EXISTS TABLE bronze_ingest_checkpoints"):
        return {}
    found = {queue.key: last_checkpoint(handle, queue) for queue in queues}
    return {key: checkpoint for key, checkpoint in found.items() if checkpoint is not None}


def _begun(handle: Handle, queues: tuple[Queue, ...], checkpoints: dict[str, Checkpoint]) -> dict[str, int]:
    found: dict[str, int] = {}
    for queue in queues:
        last = checkpoints.get(queue.key)
        try:
            begun = begun_after(handle, queue, last.seq if last else 0)
        except StoreError as error:
            if error.fault is not StoreFault.NO_TABLE:
                raise
            continue  # its migration is pending, and told
        if begun is not None:
            found[queue.key] = begun.seq
    return found


def _held(engine: Engine, harvest_of: Callable[[int], bool]) -> StoreView:
    holder = holder_of(engine.embedded_directory) if engine.embedded_directory is not None else None
    unknown = note(SCHEMA, "not looked at: the store is in use")
    where = f"{engine.url} is in use by process {holder or '?'}{_program(holder)}"
    if holder and harvest_of(holder):
        return StoreView((note(STORE, f"{where}, the running harvest"), unknown), False, {})
    todo = f"Look with: ps -fp {holder or '…'}. End it, or point POE_CLICKHOUSE_URL at another directory."
    return StoreView((failed(STORE, f"{where}, which runs no queue of these settings", todo), unknown), False, {})


def _program(process: int | None) -> str:
    """What a process calls itself, where the system tells."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return f" ({words[:80]})" if words else ""


def _schema_not_yet() -> Finding:
    return ok(SCHEMA, "none yet; the first harvest applies all migrations and says so")


def _schema(status: MigrationStatus, *, cut_off: bool, command: str) -> list[Finding]:
    look, apply = f"See: {command} migrate --status", f"Run: {command} migrate --apply"
    found: list[Finding] = []
    undone = [
        entry
        for entry in status.entries
        if entry.state in (MigrationState.PENDING, MigrationState.OUT_OF_ORDER, MigrationState.HALFWAY)
    ]
    needed = [entry for entry in undone if entry.migration is None or entry.migration.needed_by_harvest]
    if cut_off:
        words = "a rebuild of silver was cut off while it put its tables in place"
        found.append(failed(SCHEMA, words, f"Run: {command} rebuild silver", Fault.SCHEMA))
    if needed:
        names = ", ".join(f"{entry.name} ({entry.state})" for entry in needed)
        found.append(failed(SCHEMA, f"the harvest needs what is not applied: {names}", apply, Fault.SCHEMA))
    if optional := [entry.name for entry in undone if entry not in needed]:
        found.append(warning(SCHEMA, f"pending, not needed by the harvest: {', '.join(optional)}", apply))
    if status.drifted:
        words = f"{status.drifted} applied migrations are not those of this release"
        found.append(failed(SCHEMA, words, look, Fault.SCHEMA))
    if status.holder is not None:
        found.append(note(SCHEMA, f"migrations are being applied by {status.holder.owner}"))
    return found or [ok(SCHEMA, f"all {len(status.entries)} migrations applied")]
