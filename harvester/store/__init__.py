"""ClickHouse: engine, spool, commit, reading, migrations, sanity."""
