"""An embedded store that is not there: asking makes none. (Its own file: no other store may be open beside it.)"""

from __future__ import annotations

from pathlib import Path

from harvester.store import migrations
from harvester.store.engine import Engine


def test_asking_for_the_state_of_the_schema_creates_no_store(tmp_path: Path) -> None:
    engine = Engine(f"chdb://{tmp_path}/store", "poe_trade")
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE IF NOT EXISTS a (n UInt64) ENGINE = MergeTree ORDER BY n;\n")
    files = migrations.load_migrations(tmp_path)

    assert [entry.state.value for entry in migrations.status(engine, files).entries] == ["pending"]
    assert migrations.dry_run(engine, files).parsed
    assert not (tmp_path / "store").exists()
