"""A migrated database at the price of a few statements: the migrations run once a process, the rest are copies.

Applying all migrations costs a second of CPU, for each statement is locked, proved and recorded. That is tested
(`tests/test_migrations.py`); all other tests only want its result, which the engine itself describes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from harvester.store import migrations
from harvester.store.engine import Engine
from harvester.store.errors import StoreError
from harvester.store.handle import Handle
from harvester.store.quoting import quote_name
from harvester.store.schema_files import migrations_directory


@dataclass(frozen=True)
class _Template:
    database: str
    tables: tuple[str, ...]
    views: tuple[str, ...]
    history: Sequence[Any]


_templates: dict[str, _Template] = {}


def migrate(engine: Engine) -> None:
    """Bring the empty database of `engine` to the newest schema."""
    template = _templates.get(engine.url)
    if template is None:
        template = _templates[engine.url] = _made(engine)
    with engine.open() as handle:
        _copy(handle, template, engine.database)


def _made(engine: Engine) -> _Template:
    """From a database of its own: the one at hand may hold more than the migrations make."""
    own = Engine(engine.url, f"template_{uuid4().hex[:12]}", user=engine._user, password=engine._password)
    own.create_database()
    migrations.apply(own, migrations.load_migrations(migrations_directory()))
    with own.open(writes=False) as handle:
        template = _read(handle, own.database)
        handle.run(f"DROP DATABASE {quote_name(own.database)} SYNC")
    return template


def _read(handle: Handle, database: str) -> _Template:
    rows = handle.rows(
        "SELECT engine = 'View', create_table_query FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    )
    columns, history = handle.table(f"SELECT * FROM {migrations.HISTORY_TABLE}")
    types = dict(
        handle.rows(
            "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": migrations.HISTORY_TABLE},
        )
    )
    return _Template(
        database,
        tuple(sql for view, sql in rows if not view),
        tuple(sql for view, sql in rows if view),
        ({name: types[name] for name in columns}, history),
    )


def _copy(handle: Handle, template: _Template, database: str) -> None:
    def renamed(sql: str) -> str:
        return sql.replace(f"{template.database}.", f"{quote_name(database)}.")

    for sql in template.tables:
        handle.run(renamed(sql).replace("CREATE TABLE ", "CREATE TABLE IF NOT EXISTS ", 1))
    waiting = [renamed(sql) for sql in template.views]
    while waiting:  # a view may read another one
        left = []
        for sql in waiting:
            try:
                handle.run(sql)
            except StoreError:
                left.append(sql)
        if len(left) == len(waiting):
            handle.run(left[0])
        waiting = left
    columns, history = template.history
    handle.insert(migrations.HISTORY_TABLE, columns, history)
