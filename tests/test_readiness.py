"""What a harvest does about the schema before it starts."""

from __future__ import annotations

from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.migrations import MigrationProgress
from harvester.store.readiness import make_ready
from harvester.store.schema_files import migrations_directory


def silent(_: MigrationProgress) -> None:
    pass


def test_a_new_store_is_made_ready(empty_engine: Engine) -> None:
    readiness = make_ready(empty_engine, silent)
    assert readiness.applied == len(migrations.load_migrations(migrations_directory()))
    assert readiness.blocking == readiness.waiting == ()


def test_first_migrations_that_were_cut_off_are_finished(empty_engine: Engine) -> None:
    files = migrations.load_migrations(migrations_directory())
    migrations.apply(empty_engine, files, up_to=files[1].version)
    readiness = make_ready(empty_engine, silent)
    assert readiness.applied == len(files) - 2
    assert readiness.blocking == ()


def test_a_store_that_was_harvested_into_is_never_changed_unasked(empty_engine: Engine) -> None:
    files = migrations.load_migrations(migrations_directory())
    migrations.apply(empty_engine, files, up_to=files[0].version)
    with empty_engine.open() as handle:
        handle.run(
            "INSERT INTO bronze_ingest_checkpoints (queue_key, seq, retrieved_at)"
            " VALUES ('psapi:pc', 1, now64(3, 'UTC'))"
        )
    readiness = make_ready(empty_engine, silent)
    assert readiness.applied == 0
    assert files[1].name in readiness.blocking
    assert files[-1].name in readiness.waiting


def test_the_demo_leaves_the_newest_migration_to_be_tried(empty_engine: Engine) -> None:
    files = migrations.load_migrations(migrations_directory())
    readiness = make_ready(empty_engine, silent, leave_newest=True)
    assert readiness.applied == len(files) - 1
    assert readiness.waiting == (files[-1].name,)
