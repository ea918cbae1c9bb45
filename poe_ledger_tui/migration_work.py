"""What the migrations screen has done in the background: look, rehearse, apply. Blocks; touches no widget."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from harvester.store import migrations
from harvester.store.migrations import ApplyResult, DryRun, Migration, MigrationPlan, MigrationProgress, MigrationStatus
from harvester.store.schema_files import migrations_directory

if TYPE_CHECKING:
    from harvester.store.engine import Engine

_DESTRUCTIVE = re.compile(
    r"\b(DROP\s+(?:TABLE|DATABASE|COLUMN|PARTITION|PART|DICTIONARY)|TRUNCATE|DELETE\s+(?:FROM|WHERE))\b", re.IGNORECASE
)
_COMMENT_OR_TEXT = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^'\\]|\\.|'')*'", re.DOTALL)


def files() -> list[Migration]:
    """The migrations of this release."""
    return migrations.load_migrations(migrations_directory())


def look(engine: Engine) -> MigrationStatus:
    """How the store stands to the files. Raises what `harvester.store.migrations.status` raises."""
    return migrations.status(engine, files())


def rehearse(engine: Engine) -> DryRun:
    """What applying would run, each statement parsed by the engine. Writes nothing."""
    return migrations.dry_run(engine, files(), allow_drift=True)


def apply(engine: Engine, report: Callable[[MigrationProgress], None], *, allow_drift: bool) -> ApplyResult:
    """Run what is pending, on a handle of its own. Raises what `harvester.store.migrations.apply` raises."""
    return migrations.apply(engine, files(), report, allow_drift=allow_drift)


def destructive(plan: MigrationPlan) -> tuple[str, ...]:
    """The headlines of planned statements that throw data away, or can."""
    return tuple(
        statement.headline
        for step in plan.steps
        for statement in step.migration.statements[step.first_statement - 1 :]
        if _DESTRUCTIVE.search(_COMMENT_OR_TEXT.sub(" ", statement.sql))
    )


def place_of(engine: Engine) -> str:
    """The store as a question names it: the server's address, or the directory of the embedded one."""
    directory = engine.embedded_directory
    return f"the embedded store in {directory}" if directory is not None else f"the server {engine.url}"


def names(steps: Iterable[migrations.PlannedMigration]) -> str:
    """The planned migrations, one a line, those that are resumed with where."""
    return "\n".join(
        f"  {step.migration.name}"
        + (f" (from statement {step.first_statement} on)" if step.first_statement > 1 else "")
        for step in steps
    )
