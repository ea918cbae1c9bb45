"""The verdict rule of a sanity check: a small language over the columns of its result.

    -- verdict: red when bad > 0 or checked = 0; amber when lag_seconds > 20

Clauses are separated by `;` and tried in order; the first that holds gives the level, none of them means
green. A condition compares columns, numbers and 'texts' with = != < <= > >=, asks `is null` or `is not null`,
and joins with `and`, `or`, `not` and parentheses. Comparing a NULL or a NaN is judged red: no value is
no good news.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How a check stands, from good to worst."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    ERROR = "error"
    """It could not be judged."""

    @property
    def rank(self) -> int:
        """Greater is worse."""
        return list(Level).index(self)


class VerdictError(Exception):
    """A rule that cannot be read, or does not fit the result; the message says where."""


class _UnknownValueError(Exception):
    """A comparison met NULL or NaN."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The level of one row, and why."""

    level: Level
    reason: str


_Row = Mapping[str, Any]
_Condition = Callable[[_Row], bool]
_Operand = Callable[[_Row], Any]


@dataclass(frozen=True, slots=True)
class _Clause:
    level: Level
    text: str
    condition: _Condition
    names: tuple[str, ...]


_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'[^']*')|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|!=|<>|=|<|>|\(|\))|(?P<other>\S))"
)
_CLAUSE = re.compile(r"(red|amber)\s+when\s+(.+)", re.IGNORECASE | re.DOTALL)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS = frozenset({"and", "or", "not", "is", "null"})


class VerdictRule:
    """A rule, read once and applied to rows."""

    def __init__(self, text: str) -> None:
        """Raises `VerdictError` where the text is no rule."""
        self.text = " ".join(text.split())
        clauses = [part.strip() for part in _split_clauses(self.text)]
        self._clauses = tuple(_read_clause(part) for part in clauses if part)
        if not self._clauses:
            raise VerdictError("the verdict is empty; write for example: red when bad > 0")

    def judge(self, row: _Row) -> Verdict:
        """The level of one row.

        Raises:
            VerdictError: the rule names a column that the row has not, or compares what cannot be compared.
        """
        for clause in self._clauses:
            values = _values(clause, row)
            try:
                holds = clause.condition(row)
            except _UnknownValueError:
                return Verdict(Level.RED, f"no value to judge by: {clause.text} ({values})")
            if holds:
                return Verdict(clause.level, f"{values} ({clause.text})" if values else clause.text)
        return Verdict(Level.GREEN, "")


def _split_clauses(text: str) -> list[str]:
    return re.findall(r"(?:'[^']*'|[^;'])+", text)


def _values(clause: _Clause, row: _Row) -> str:
    return ", ".join(f"{name} = {'NULL' if row[name] is None else row[name]}" for name in clause.names if name in row)


def _read_clause(text: str) -> _Clause:
    found = _CLAUSE.fullmatch(text)
    if found is None:
        raise VerdictError(f"{text!r} is no clause; write: red when … or: amber when …")
    reader = _Reader(found.group(2))
    return _Clause(Level(found.group(1).lower()), text, reader.condition(), tuple(dict.fromkeys(reader.names)))


class _Reader:
    """Recursive descent over the tokens of one condition."""

    def __init__(self, text: str) -> None:
        self.names: list[str] = []
        self._text = text
        self._tokens = [(str(found.lastgroup), found.group().strip()) for found in _TOKEN.finditer(text)]
        self._position = 0

    def condition(self) -> _Condition:
        condition = self._either()
        if self._position < len(self._tokens):
            raise self._stop()
        return condition

    def _either(self) -> _Condition:
        left = self._both()
        while self._take_word("or"):
            left = _or(left, self._both())
        return left

    def _both(self) -> _Condition:
        left = self._single()
        while self._take_word("and"):
            left = _and(left, self._single())
        return left

    def _single(self) -> _Condition:
        if self._take_word("not"):
            inner = self._single()
            return lambda row: not inner(row)
        if self._take_sign("("):
            inner = self._either()
            if not self._take_sign(")"):
                raise self._stop()
            return inner
        left = self._operand()
        if self._take_word("is"):
            negated = self._take_word("not")
            if not self._take_word("null"):
                raise self._stop()
            return lambda row: (left(row) is None) != negated
        kind, sign = self._peek()
        if kind != "sign" or sign not in _COMPARISONS:
            raise self._stop()
        self._position += 1
        return _comparison(left, _COMPARISONS[sign], self._operand())

    def _operand(self) -> _Operand:
        kind, token = self._peek()
        self._position += 1
        if kind == "number":
            number = float(token)
            return lambda _: number
        if kind == "text":
            return lambda _: token[1:-1]
        if kind == "name" and token.lower() not in _WORDS:
            self.names.append(token)
            return _column(token)
        self._position -= 1
        raise self._stop()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("end", "the end")

    def _take_word(self, word: str) -> bool:
        kind, token = self._peek()
        taken = kind == "name" and token.lower() == word
        self._position += taken
        return taken

    def _take_sign(self, sign: str) -> bool:
        taken = self._peek() == ("sign", sign)
        self._position += taken
        return taken

    def _stop(self) -> VerdictError:
        return VerdictError(f"the verdict {self._text!r} cannot be read at {self._peek()[1]!r}")


def _or(left: _Condition, right: _Condition) -> _Condition:
    return lambda row: left(row) or right(row)


def _and(left: _Condition, right: _Condition) -> _Condition:
    return lambda row: left(row) and right(row)


def _column(name: str) -> _Operand:
    def value(row: _Row) -> Any:
        if name not in row:
            raise VerdictError(f"the verdict names {name}, but the result has only {', '.join(row)}")
        return row[name]

    return value


def _comparison(left: _Operand, compare: Callable[[Any, Any], bool], right: _Operand) -> _Condition:
    def holds(row: _Row) -> bool:
        one, other = left(row), right(row)
        if _unknown(one) or _unknown(other):
            raise _UnknownValueError
        if not _comparable(one, other):
            raise VerdictError(f"the verdict compares {one!r} with {other!r}")
        return compare(one, other)

    return holds


def _unknown(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _comparable(one: Any, other: Any) -> bool:
    numbers = (int, float, Decimal)
    return (isinstance(one, numbers) and isinstance(other, numbers)) or (
        isinstance(one, str) and isinstance(other, str)
    )
