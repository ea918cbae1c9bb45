"""ClickHouse SQL in colours, for looking at: a lexer that never fails, whatever half-written text it is given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rich.text import Text
from textual.theme import Theme

from poe_ledger_tui.theme import style

_WORDS = """
ADD ALIAS ALL ALTER AND ANY APPLY ARRAY AS ASC ASOF BETWEEN BY CASE CODEC COLUMN COMMENT CREATE CROSS CUBE DATABASE
DEFAULT DELETE DESC DESCRIBE DISTINCT DROP ELSE END ENGINE EXCEPT EXCHANGE EXISTS EXPLAIN FILL FINAL FIRST FOR FORMAT
FROM FULL FUNCTION GLOBAL GRANT GROUP HAVING IF ILIKE IN INDEX INNER INSERT INTERSECT INTERVAL INTO IS JOIN KEY LAST
LEFT LIKE LIMIT MATERIALIZE MATERIALIZED MODIFY NOT NULL NULLS OFFSET ON OPTIMIZE OR ORDER OUTER OVER PARTITION
PREWHERE PRIMARY PROJECTION QUALIFY RENAME REPLACE RIGHT ROLLUP ROWS SAMPLE SELECT SEMI SET SETTINGS SHOW STEP SYNC
SYNTAX SYSTEM TABLE TABLES TEMPORARY THEN TO TOTALS TRUNCATE TTL TYPE UNION UPDATE USE USING VALUES VIEW WHEN WHERE
WINDOW WITH
"""
_KEYWORDS = frozenset(_WORDS.split())
_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|\#[ !][^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<text>'(?:[^'\\]|\\.|'')*(?:'|\Z)|\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z))
    |(?P<name>`(?:[^`\\]|\\.)*(?:`|\Z)|"(?:[^"\\]|\\.)*(?:"|\Z))
    |(?P<number>\b\d[\w.]*)
    |(?P<call>[A-Za-z_]\w*(?=\())
    |(?P<word>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
_ROLES = {"comment": "muted", "text": "ok", "number": "bar", "call": "strong"}
LONGEST = 50_000
"""Characters that are coloured; what is longer stays plain, so that no key ever waits for it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start` to `end` of a text, and the role of their style."""

    start: int
    end: int
    role: str


def spans(sql: str) -> Iterator[Span]:
    """The parts that are drawn in a style of their own, in order."""
    if len(sql) > LONGEST:
        return
    for found in _TOKEN.finditer(sql):
        kind = found.lastgroup if found.lastgroup != "tag" else "text"
        keyword = kind in {"word", "call"} and found.group().upper() in _KEYWORDS
        role = "accent" if keyword else _ROLES.get(kind or "", "")
        if role:
            yield Span(found.start(), found.end(), role)


def coloured(text: Text, theme: Theme) -> Text:
    """The text, which has come through `safe_text`, with its SQL in colours."""
    for span in spans(text.plain):
        text.stylize(style(theme, span.role), span.start, span.end)
    return text
