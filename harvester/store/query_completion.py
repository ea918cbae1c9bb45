"""What can be written next in a query: tables, columns, functions and keywords that begin like what is typed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from harvester.store.handle import Handle
from harvester.store.query_scope import ALLOWED_TABLE_FUNCTIONS

_WORDS = """
SELECT FROM WHERE PREWHERE GROUP BY HAVING ORDER BY LIMIT OFFSET WITH AS DISTINCT JOIN LEFT RIGHT INNER FULL ANY ALL
ASOF ARRAY JOIN USING ON AND OR NOT IN BETWEEN LIKE ILIKE IS NULL CASE WHEN THEN ELSE END UNION ALL INTERSECT EXCEPT
ASC DESC FINAL SAMPLE INTERVAL OVER PARTITION WINDOW QUALIFY SHOW TABLES CREATE TABLE DESCRIBE EXISTS EXPLAIN SYNTAX
PLAN PIPELINE TOTALS ROLLUP CUBE
"""
KEYWORDS = tuple(dict.fromkeys(_WORDS.split()))
_TYPED = re.compile(r"(?:(\w+)\.)?(\w*)$")
_NAMED = re.compile(r"\b(?:FROM|JOIN)\s+(?:\w+\.)?(\w+)(?:\s+(?:AS\s+)?(\w+))?", re.IGNORECASE)
_AFTER_TABLE_WORD = re.compile(r"\b(?:FROM|JOIN|TABLE|DESCRIBE|DESC|EXISTS)\s+(?:\w+\.)?\w*$", re.IGNORECASE)
_UNFINISHED = re.compile(r"'(?:[^'\\]|\\.)*\Z|--[^\n]*\Z|/\*(?:(?!\*/).)*\Z", re.DOTALL)
_FINISHED = re.compile(r"'(?:[^'\\]|\\.)*'|--[^\n]*\n|/\*.*?\*/", re.DOTALL)


class CandidateKind(StrEnum):
    """What a candidate is."""

    TABLE = "table"
    COLUMN = "column"
    FUNCTION = "function"
    KEYWORD = "keyword"


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that could be written in place of what is typed."""

    text: str
    kind: CandidateKind
    detail: str = ""
    """The type of a column and its table; empty for others."""


@dataclass(frozen=True, slots=True)
class Completion:
    """The candidates, and how many characters before the cursor they replace."""

    replaces: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class QueryNames:
    """The names of a store."""

    columns: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """By table: name and type."""
    functions: tuple[str, ...] = ()

    def complete(self, before: str, after: str = "", *, limit: int = 50) -> Completion:
        """What could be written at the cursor, between `before` and `after`; nothing inside texts and comments."""
        found = _TYPED.search(before)
        if found is None or _UNFINISHED.search(_FINISHED.sub(" ", before)):
            return Completion(0, ())
        qualifier, typed = found.group(1), found.group(2)
        if not typed and not qualifier and not _AFTER_TABLE_WORD.search(before):
            return Completion(0, ())
        named = _tables_named(before + after)
        if qualifier:
            table = named.get(qualifier.lower(), qualifier)
            pool = self._columns_of([table])
        elif _AFTER_TABLE_WORD.search(before):
            pool = self._tables()
        else:
            pool = self._anything([table for table in dict.fromkeys(named.values()) if table in self.columns])
        return Completion(len(typed), tuple(_best(pool, typed, limit)))

    def _tables(self) -> Iterator[Candidate]:
        for table in self.columns:
            yield Candidate(table, CandidateKind.TABLE)
        for function in sorted(ALLOWED_TABLE_FUNCTIONS & {"numbers", "values", "view", "merge"}):
            yield Candidate(f"{function}(", CandidateKind.FUNCTION)

    def _columns_of(self, tables: Iterable[str]) -> Iterator[Candidate]:
        for table in tables:
            for name, kind in self.columns.get(table, ()):
                yield Candidate(name, CandidateKind.COLUMN, f"{kind} · {table}")

    def _anything(self, named: list[str]) -> Iterator[Candidate]:
        yield from self._columns_of(named or self.columns)
        yield from (Candidate(word, CandidateKind.KEYWORD) for word in KEYWORDS)
        yield from self._tables()
        yield from (Candidate(f"{name}(", CandidateKind.FUNCTION) for name in self.functions)


def _tables_named(text: str) -> dict[str, str]:
    """The tables of a query by alias and by their own name, in lower case."""
    named: dict[str, str] = {}
    for table, alias in _NAMED.findall(text):
        named[table.lower()] = table
        if alias and alias.upper() not in KEYWORDS:
            named[alias.lower()] = table
    return named


def _best(pool: Iterable[Candidate], typed: str, limit: int) -> Iterator[Candidate]:
    """Those that begin so, then names that hold it; each text once."""
    wanted = typed.lower()
    begins: list[Candidate] = []
    holds: list[Candidate] = []
    for one in pool:
        at = one.text.lower().find(wanted)
        if at == 0:
            begins.append(one)
        elif at > 0 and len(wanted) > 1 and one.kind is not CandidateKind.KEYWORD:
            holds.append(one)
    seen: set[str] = {typed}
    for one in (*begins, *holds):
        if one.text not in seen:
            seen.add(one.text)
            yield one
        if len(seen) > limit:
            return


def read_names(handle: Handle) -> QueryNames:
    """The names of the database in force, and the functions of the engine.

    Raises:
        StoreError: the store cannot be asked.
    """
    columns: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in handle.rows(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase()"
        " ORDER BY table NOT LIKE 'v\\\\_%', table, position"
    ):
        columns.setdefault(str(table), []).append((str(name), str(kind)))
    functions = handle.rows("SELECT name FROM system.functions WHERE name NOT LIKE '\\\\_\\\\_%' ORDER BY lower(name)")
    return QueryNames(
        {table: tuple(found) for table, found in columns.items()}, tuple(str(name) for (name,) in functions)
    )
