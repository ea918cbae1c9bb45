"""Is this text one statement that only reads this store? The door in front of every query of an operator.

The engine's `readonly` alone is not enough: embedded, it runs a second statement of the same text, and it lets
`INTO OUTFILE`, `KILL QUERY`, `file('…')`, `arrayMap(file, …)` and `DESCRIBE file('…')` pass. So a text is read
twice, by the tokenizer of this package and by the engine's own parser, which gives back the statement as *it*
understood it (`formatQuerySingleLine`, nothing is run). Both readings must pass, and the second one is what is run:
comments, quotes, escapes and look-alikes are gone from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harvester.store.query_scope import ALLOWED_TABLE_FUNCTIONS, SCALAR_TWINS, QueryScope
from harvester.store.quoting import quote_text
from harvester.store.sql_script import SqlScriptError, Word, split, words

MAX_LENGTH = 100_000
"""Characters of a query."""

_NOTHING_RAN = "Nothing was run."
_READING = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN"})
_OPENING = _READING | {"(", "FROM"}
_EXPLAINS = frozenset({"AST", "SYNTAX", "QUERY", "TREE", "PLAN", "PIPELINE", "ESTIMATE"})
_CLAUSES = "SELECT WHERE PREWHERE GROUP ORDER HAVING LIMIT OFFSET WINDOW QUALIFY UNION INTERSECT EXCEPT SETTINGS FORMAT"
_LEAVE_FROM = frozenset(_CLAUSES.split())
_BEFORE_PARENTHESES = frozenset({"SELECT", "WITH", "IN", "AS", "USING", "ON"})
_NO_FORMAT = frozenset({"ASC", "DESC", "FINAL", "AS", "FROM", "IS", "IN", "LIKE", "AND", "OR"})


class QueryRefusedError(Exception):
    """A query that is not run; the message says why and what to write instead."""


def read_text(text: str) -> str:
    """The one statement of an operator's text, as written, without its semicolon.

    Raises:
        QueryRefusedError: there is none, more than one, or it does not begin like a question.
    """
    if len(text) > MAX_LENGTH:
        raise QueryRefusedError(f"The query has {len(text)} characters; {MAX_LENGTH} are allowed.")
    try:
        statements = split(text)
    except SqlScriptError as error:
        raise QueryRefusedError(f"The query cannot be read: {error}") from error
    if not statements:
        raise QueryRefusedError("There is no query: write for example SELECT count() FROM v_listings_current")
    if len(statements) > 1:
        raise QueryRefusedError(
            f"These are {len(statements)} statements, and one is run at a time. {_NOTHING_RAN}"
            f" The second begins on line {statements[1].line}: {statements[1].headline}"
        )
    statement = statements[0]
    if statement.first_word not in _OPENING:
        raise QueryRefusedError(
            f"{statement.first_word} is not among the statements that are run here. {_NOTHING_RAN}"
            " Begin with SELECT, WITH, SHOW, DESCRIBE, EXISTS or EXPLAIN."
        )
    return statement.sql


_PATH_SIGNS = frozenset("/\\")
"""What no table is named with, and every path of a file outside of the working directory."""


def inspect(sql: str, scope: QueryScope) -> None:
    """Check one reading of a statement.

    Raises:
        QueryRefusedError: it does more than read this store.
    """
    try:
        found = words(sql)
    except SqlScriptError as error:
        raise QueryRefusedError(f"The query cannot be read: {error}") from error
    if not found or found[0].keyword not in _OPENING:
        raise QueryRefusedError(f"The query does not only read. {_NOTHING_RAN}")
    if found[0].keyword == "EXPLAIN":
        _inspect_explain(found)
    for place in _places(found):
        _inspect_clause(place)
        _inspect_name(place, scope)


@dataclass(frozen=True, slots=True)
class _Place:
    """A word with its surroundings."""

    words: Sequence[Word]
    index: int
    of_table: bool
    """Whether a table, or a table function, stands here."""
    in_set: bool
    """Whether it stands right behind IN: a table, or a value."""

    def at(self, offset: int) -> Word:
        index = self.index + offset
        return self.words[index] if 0 <= index < len(self.words) else Word(" ", " ")

    @property
    def word(self) -> Word:
        return self.words[self.index]

    @property
    def is_call(self) -> bool:
        return self.at(1).keyword == "("


@dataclass(slots=True)
class _Level:
    """What is known of the parentheses that a word stands in."""

    words: int = 0
    is_query: bool = False
    in_from: bool = False

    def enter(self, keyword: str, before: str) -> None:
        if not self.words:
            self.is_query = self.is_query or keyword in {"SELECT", "WITH", "FROM", "EXPLAIN", "("}
        self.words += 1
        if keyword == "FROM" and self.is_query:
            self.in_from = True
        elif keyword in _LEAVE_FROM or (keyword == "JOIN" and before == "ARRAY"):
            self.in_from = False


def _places(found: Sequence[Word]) -> Iterator[_Place]:
    """Each word, and whether it stands where a table does: behind FROM, JOIN and their commas, or DESCRIBE."""
    levels = [_Level(is_query=True)]
    for index, word in enumerate(found):
        before = found[index - 1].keyword if index else ""
        second = found[index - 2].keyword if index > 1 else ""
        level = levels[-1]
        of_table = (
            (before == "FROM" and level.in_from)
            or (before == "JOIN" and second != "ARRAY")
            or (before == "," and level.in_from)
            or (before in {"DESCRIBE", "DESC", "EXISTS"} and index == 1)
            or (before == "TABLE" and index <= 3)
        )
        yield _Place(found, index, of_table, before == "IN")
        level.enter(word.keyword, before)
        if word.keyword == "(":
            levels.append(_Level())
        elif word.keyword == ")" and len(levels) > 1:
            levels.pop()


def _inspect_explain(found: Sequence[Word]) -> None:
    """EXPLAIN of a question only; what it explains begins behind its kind and its settings."""
    index = 1
    while index < len(found) and found[index].keyword in _EXPLAINS:
        index += 1
    while index + 2 < len(found) and found[index + 1].keyword == "=":
        index += 3
        if index < len(found) and found[index].keyword == ",":
            index += 1
    subject = found[index] if index < len(found) else Word(" ")
    if subject.keyword not in {"SELECT", "WITH", "(", "FROM"}:
        raise QueryRefusedError(f"EXPLAIN of {subject.text!r} is refused; only SELECT is explained. {_NOTHING_RAN}")


def _inspect_clause(place: _Place) -> None:
    keyword, following = place.word.keyword, place.at(1)
    if keyword == "INTO" and following.keyword == "OUTFILE":
        raise QueryRefusedError(f"INTO OUTFILE writes a file. {_NOTHING_RAN} Export the result instead.")
    if keyword == "SETTINGS" and following.is_name and place.at(2).keyword == "=":
        raise QueryRefusedError(f"SETTINGS cannot be given here: the limits hold for every query. {_NOTHING_RAN}")
    if keyword == "FORMAT" and following.is_name and place.at(-1).keyword not in {".", "AS", ",", "SELECT"}:
        ends = place.index + 2 >= len(place.words) or place.at(2).keyword in {"SETTINGS", "INTO"}
        if ends and following.keyword not in _NO_FORMAT:
            raise QueryRefusedError(f"FORMAT is refused: choose the format of the export instead. {_NOTHING_RAN}")


def _inspect_name(place: _Place, scope: QueryScope) -> None:
    word = place.word
    if not word.is_name:
        return
    name = word.text.lower()
    before = place.at(-1).keyword
    if name in scope.refused_functions and before not in {".", "AS"}:
        # Functions are also taken as values: arrayMap(file, …), * APPLY file. So the bare name is refused too.
        raise QueryRefusedError(
            f"{word.text} {scope.refused_functions[name]}. {_NOTHING_RAN}"
            f" A column of that name is written with its table in front: t.{word.text}"
        )
    if place.is_call and name not in ALLOWED_TABLE_FUNCTIONS:
        opens_parentheses = word.keyword in _BEFORE_PARENTHESES
        twin = name in SCALAR_TWINS and not place.of_table and not place.in_set
        if (name in scope.table_functions and not twin) or (place.of_table and not opens_parentheses):
            raise QueryRefusedError(
                f"The table function {word.text} is refused: it may read files or the network. {_NOTHING_RAN}"
            )
    if name == "merge" and place.is_call:
        _inspect_merge(place, scope)
    _inspect_table(place, scope)


def _inspect_merge(place: _Place, scope: QueryScope) -> None:
    """`merge` takes tables by pattern: of this database only, and only where none of them lies outside."""
    first, behind = place.at(2), place.at(3).keyword
    here = first.quoted == "'" and (behind == ")" or first.text == quote_text(scope.database))
    if not here or any(database == scope.database for database, _ in scope.outside_tables):
        raise QueryRefusedError(
            f"merge is refused: it could reach a table that reads files or the network. {_NOTHING_RAN}"
        )


def _inspect_table(place: _Place, scope: QueryScope) -> None:
    word = place.word
    before = place.at(-1).keyword
    qualified = place.at(1).keyword == "." and place.at(2).is_name
    if qualified and word.text in scope.outside_databases and before != "." and word.text != scope.database:
        raise QueryRefusedError(f"The tables of database {word.text} lie outside of this store. {_NOTHING_RAN}")
    if place.is_call:
        return
    # A table may stand wherever a value may: IN (t), in(x, t), t as an argument of a lambda.
    database = place.at(-2).text if before == "." else ""
    if scope.is_outside_table(database, word.text):
        raise QueryRefusedError(f"The table {word.text} reads files or another server. {_NOTHING_RAN}")
    named = place.at(2).text if qualified else word.text
    if place.of_table and _PATH_SIGNS & set(named):
        raise QueryRefusedError(f"{named} is no table of this store but the path of a file. {_NOTHING_RAN}")
    if not (place.of_table or place.in_set):
        return
    if qualified and scope.is_outside_table(word.text, named):
        raise QueryRefusedError(f"The table {named} reads files or another server. {_NOTHING_RAN}")
