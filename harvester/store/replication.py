"""Statements that define tables, as a replicated cluster wants them. The files of the schema stay as they are.

On a cluster a definition must say where it goes (`ON CLUSTER`), and a table must say that it is replicated (its
engine). Both are added on the way to the server, so that migrations and their checksums are the same everywhere. What
changes rows, or columns of a replicated table, the replicas hand on to each other: it gets no clause, for every
replica would do it once more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harvester.store.quoting import quote_name

_NAME = r"(?:`(?:[^`\\]|\\.)+`|\"(?:[^\"\\]|\\.)+\"|\w+)"
_OBJECT = rf"{_NAME}(?:\s*\.\s*{_NAME})?"
_KIND = r"(?:DATABASE|TABLE|(?:MATERIALIZED\s+)?VIEW|DICTIONARY|FUNCTION)"
_SPACE = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_HEAD = re.compile(
    rf"\A{_SPACE}(?:"
    rf"(?P<create>CREATE\s+(?:OR\s+REPLACE\s+)?{_KIND}\s+(?:IF\s+NOT\s+EXISTS\s+)?{_OBJECT})"
    rf"|DROP\s+{_KIND}\s+(?:IF\s+EXISTS\s+)?{_OBJECT}"
    rf"|EXCHANGE\s+(?:TABLES|DICTIONARIES)\s+{_OBJECT}\s+AND\s+{_OBJECT}"
    rf"|RENAME\s+{_KIND}\s+(?:IF\s+EXISTS\s+)?{_OBJECT}\s+TO\s+{_OBJECT}(?:\s*,\s*{_OBJECT}\s+TO\s+{_OBJECT})*"
    r")(?=\s|\(|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_HAS_CLUSTER = re.compile(r"\s*ON\s+CLUSTER\b", re.IGNORECASE)
_ENGINE = re.compile(
    r"(?P<text>'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.)+`|\"(?:[^\"\\]|\\.)+\"|--[^\n]*|/\*.*?\*/)"
    r"|(?P<head>\bENGINE\s*=\s*)(?P<engine>\w*MergeTree)\b",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Replication:
    """How a server's tables are replicated; by default not at all."""

    cluster: str = ""
    """Definitions go to every replica of this cluster; empty sends them to the server that is spoken to."""
    replicated: bool = False
    """Whether tables get replicated engines; a cluster implies it."""

    @property
    def is_plain(self) -> bool:
        """Whether statements stay as they are."""
        return not (self.cluster or self.replicated)

    @property
    def quoted_cluster(self) -> str:
        """The cluster as a name in SQL; empty where there is none."""
        return quote_name(self.cluster) if self.cluster else ""

    def worded(self, sql: str) -> str:
        """The statement as this server wants it."""
        if self.is_plain:
            return sql
        found = _HEAD.match(sql)
        if found is None:
            return sql
        head, tail = sql[: found.end()], sql[found.end() :]
        if found["create"]:
            tail = _ENGINE.sub(_replicated, tail)
        if not self.cluster or _HAS_CLUSTER.match(tail):
            return head + tail
        return f"{head} ON CLUSTER {self.quoted_cluster}{tail}"


def _replicated(found: re.Match[str]) -> str:
    """Without path and name of the replica: the server has its own defaults, and a cloud wants none."""
    engine = found["engine"]
    if engine is None or engine.startswith(("Replicated", "Shared")):
        return found[0]
    return f"{found['head']}Replicated{engine}"


PLAIN = Replication()
"""A server of its own, or an embedded engine."""
