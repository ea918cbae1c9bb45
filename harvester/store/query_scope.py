"""What the names in an operator's query can mean in this store: the ground on which `query_guard` decides.

The engine itself says which functions and table functions it knows and which tables lie outside of it, so that a new
release of the engine, or a table that somebody attached, is not taken for harmless because nobody here has heard of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from harvester.store.errors import StoreError, StoreFault
from harvester.store.handle import Handle
from harvester.store.sql_script import SqlScriptError, words

ALLOWED_TABLE_FUNCTIONS = frozenset(
    {
        "generate_series",
        "generaterandom",
        "generateseries",
        "merge",
        "mergetreeindex",
        "mergetreeprojection",
        "null",
        "numbers",
        "numbers_mt",
        "primes",
        "sqlstandardvalues",
        "values",
        "view",
    }
)
"""They make rows out of nothing, or read tables of this store. Lower case; every other one is refused."""

_KNOWN = """
arrowflight arrowstream azureblobstorage azureblobstoragecluster bigquery cluster clusterallreplicas cosn deltalake
deltalakecluster dictionary eval executable file filecluster filesystem format fuzzjson fuzzquery gcs hdfs hdfscluster
hive hudi hudicluster iceberg icebergcluster input jdbc loop mongodb mysql odbc oss paimon postgresql prometheusquery
python redis remote remotesecure s3 s3cluster sqlite url urlcluster viewexplain viewifpermitted ytsaurus
"""
_KNOWN_TABLE_FUNCTIONS = frozenset(_KNOWN.split())
"""In case the engine does not say which it has."""

SCALAR_TWINS = frozenset({"format"})
"""Table functions whose names are also harmless functions, outside the place of a table."""

_REFUSED_FUNCTIONS = {
    "file": "reads files",
    "hascolumnintable": "can ask another server",
    "catboostevaluate": "runs another program",
    "reversednsquery": "asks the network",
    "generateserialid": "writes a counter",
    "logtrace": "writes to the log of the server",
    "showcertificate": "reads files",
    "lemmatize": "reads files",
    "synonyms": "reads files",
}
_REFUSED_PATTERNS = (
    (re.compile(r"dict(get|has|isin)", re.IGNORECASE), "reads a dictionary, whose source may be a file or the network"),
    (re.compile(r"region(to|in$|hierarchy)", re.IGNORECASE), "reads a dictionary of files"),
    (re.compile(r"(ai|AI)[A-Z]"), "asks a service on the network"),
)

_INSIDE_ENGINES = re.compile(
    r"(\w*MergeTree|View|MaterializedView|WindowView|LiveView|Memory|Null|Log|TinyLog|StripeLog|Set|Join|Buffer|Merge"
    r"|Alias|GenerateRandom|System\w*|)"
)
_INSIDE_DATABASES = frozenset({"Atomic", "Ordinary", "Memory", "Replicated", "Shared", "Lazy"})
_SYSTEM_DATABASES = ("system", "information_schema", "INFORMATION_SCHEMA")


@dataclass(frozen=True, slots=True)
class QueryScope:
    """The names that matter to a query on one store."""

    database: str
    """The database in force."""
    functions: tuple[str, ...] = ()
    """As the engine spells them."""
    table_functions: frozenset[str] = _KNOWN_TABLE_FUNCTIONS
    """All that the engine knows, lower case."""
    refused_functions: Mapping[str, str] = field(default_factory=lambda: dict(_REFUSED_FUNCTIONS))
    """Lower case, each with why."""
    outside_databases: frozenset[str] = frozenset()
    """Databases whose tables are files or lie on another server."""
    outside_tables: frozenset[tuple[str, str]] = frozenset()
    """Database and name of tables, and of views over them, that read files or the network."""

    def is_outside_table(self, database: str, table: str) -> bool:
        """Whether a table reads files or the network; without a database, whether any of that name here does."""
        return (database or self.database, table) in self.outside_tables


def read_scope(handle: Handle, database: str, known: QueryScope | None = None) -> QueryScope:
    """Ask the engine what it knows. `known` is an earlier answer: then only what can change is asked again.

    What a user of a server may not see is left to the lists of this module, and to the rights of that user.

    Raises:
        StoreError: the store cannot be asked.
    """
    if known is None:
        functions = tuple(sorted(name for (name,) in _rows(handle, "SELECT name FROM system.functions")))
        table_functions = {name for (name,) in _rows(handle, "SELECT lower(name) FROM system.table_functions")}
    else:
        functions, table_functions = known.functions, set(known.table_functions)
    added = [name for (name,) in _rows(handle, "SELECT name FROM system.functions WHERE toString(origin) != 'System'")]
    databases = _rows(handle, "SELECT name, engine FROM system.databases")
    tables = _rows(
        handle,
        "SELECT database, name, engine, if(engine LIKE '%View', as_select, '') FROM system.tables"
        f" WHERE database NOT IN {_SYSTEM_DATABASES}",
    )
    return QueryScope(
        database=database,
        functions=functions,
        table_functions=_KNOWN_TABLE_FUNCTIONS | table_functions,
        refused_functions=_refused(functions, added),
        outside_databases=frozenset(
            name for name, kind in databases if kind not in _INSIDE_DATABASES and name not in _SYSTEM_DATABASES
        ),
        outside_tables=_outside(tables),
    )


def _rows(handle: Handle, sql: str) -> list[tuple[str, ...]]:
    try:
        return [tuple(str(value) for value in row) for row in handle.rows(sql)]
    except StoreError as error:
        if error.fault in {StoreFault.NOT_ALLOWED, StoreFault.NO_TABLE, StoreFault.SYNTAX}:
            return []
        raise


def _refused(functions: Iterable[str], added: Iterable[str]) -> dict[str, str]:
    refused = dict(_REFUSED_FUNCTIONS)
    for name in functions:
        for pattern, why in _REFUSED_PATTERNS:
            if pattern.match(name):
                refused.setdefault(name.lower(), why)
    for name in added:
        refused.setdefault(name.lower(), "is not one of ClickHouse's own: it may run a program")
    return refused


def _outside(tables: Iterable[tuple[str, ...]]) -> frozenset[tuple[str, str]]:
    views: dict[tuple[str, str], frozenset[str]] = {}
    outside: set[tuple[str, str]] = set()
    for database, name, engine, select in tables:
        if not _INSIDE_ENGINES.fullmatch(engine):
            outside.add((database, name))
        elif select:
            views[database, name] = _names_in(select)
    # Views over views over such tables: until nothing more is found.
    while reached := {view for view, names in views.items() if view not in outside and _touches(names, outside)}:
        outside |= reached
    return frozenset(outside)


def _names_in(select: str) -> frozenset[str]:
    try:
        return frozenset(word.text for word in words(select) if word.is_name)
    except SqlScriptError:
        return frozenset()


def _touches(names: frozenset[str], outside: set[tuple[str, str]]) -> bool:
    return any(table in names for _, table in outside)
