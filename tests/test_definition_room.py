"""What is defined on a full disk is lost, so nothing is."""

from __future__ import annotations

import pytest

from harvester.store import definition_room
from harvester.store.definition_room import ROOM_BYTES, require_room
from harvester.store.engine import Engine
from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.retention import apply_retention
from tests.schema_template import migrate


@pytest.mark.parametrize(
    "sql", ["ALTER TABLE t MODIFY TTL d", "-- why\n  create table t", "EXCHANGE TABLES a AND b", "RENAME TABLE a TO b"]
)
def test_a_definition_needs_room(sql: str) -> None:
    with pytest.raises(StoreError, match="a full disk would lose it") as refused:
        require_room(sql, lambda _: ROOM_BYTES - 1)

    assert refused.value.fault is StoreFault.DISK_FULL
    require_room(sql, lambda _: ROOM_BYTES)


@pytest.mark.parametrize("sql", ["INSERT INTO t SELECT 'ALTER'", "OPTIMIZE TABLE t", "DROP TABLE t SYNC"])
def test_what_defines_nothing_asks_for_no_room(sql: str) -> None:
    def ask(_: str) -> object:
        raise AssertionError("asked")

    require_room(sql, ask)


def test_who_may_not_see_the_disks_may_define_all_the_same() -> None:
    def ask(_: str) -> object:
        raise StoreError(StoreFault.NOT_ALLOWED, "no")

    require_room("CREATE TABLE t", ask)
    require_room("CREATE TABLE t", lambda _: None)


def test_retention_is_left_as_it_is_on_a_full_disk(
    engine: Engine, handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(engine)
    monkeypatch.setattr(definition_room, "ROOM_BYTES", 1 << 60)  # more than any disk has

    with pytest.raises(StoreError, match="a full disk would lose it"):
        apply_retention(handle, raw_days=3, silver_days=4)

    monkeypatch.undo()
    assert apply_retention(handle, raw_days=3, silver_days=4)[0] == "raw_public_stash_pages: kept 3 days"
