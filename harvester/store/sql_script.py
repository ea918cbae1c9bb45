"""Scripts of ClickHouse SQL, cut into statements: slices of the text as written, never regenerated SQL.

The cutting is done by sqlglot's ClickHouse tokenizer. Where it was measured to read a text otherwise than the
engine does (curly quotes, `//` comments, `$` inside names, `{# #}`, `#` before anything but a space), the
script is refused with the line and the way out, so that no statement is ever cut in the wrong place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar

from sqlglot.dialects.clickhouse import ClickHouse
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import Token, TokenType


class SqlScriptError(Exception):
    """A script that cannot be cut safely; `line` counts from 1 (0 where unknown)."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.line = line
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a script. `start` and `end` are character offsets of `sql` in the script's text."""

    number: int
    """Counts from 1 within the script."""
    line: int
    sql: str
    """Without the semicolon and without comments around it; comments inside stay."""
    start: int
    end: int
    kind: str
    """What it does, upper case: `CREATE TABLE`, `INSERT`, `SELECT`, …"""
    headline: str
    """Its first words on one line, for lists and progress."""

    @property
    def first_word(self) -> str:
        """The first word, upper case."""
        return self.kind.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Script:
    """A text, its statements, and what its tokens amount to."""

    text: str
    statements: tuple[Statement, ...]
    token_checksum: str
    """SHA-256 of the tokens: the same after an edit of comments, layout or empty statements only."""


@dataclass(frozen=True, slots=True)
class Word:
    """One token of a text: a name, a keyword, a sign, a number or a quoted text."""

    text: str
    """A name without its quotes; anything else as written."""
    quoted: str = ""
    """What it is quoted with: `'` is a text, "`" and `"` are names, `$` is a heredoc; empty for none."""

    @property
    def is_name(self) -> bool:
        """Whether the engine may take it for a name; unquoted keywords are names too."""
        return self.quoted in {"`", '"'} or (not self.quoted and (self.text[0].isalpha() or self.text[0] == "_"))

    @property
    def keyword(self) -> str:
        """Upper case where it could be a keyword or a sign; empty for anything quoted."""
        return "" if self.quoted else self.text.upper()


class _Tokenizer(ClickHouse.Tokenizer):
    # Without this everything after SHOW, RENAME, SYSTEM … becomes one token, comments and all.
    COMMANDS: ClassVar[set[TokenType]] = set()


_KIND_NOISE = frozenset({"OR", "REPLACE", "TEMPORARY", "MATERIALIZED", "REFRESHABLE"})
_TWO_WORD_KINDS = frozenset(
    {
        "CREATE",
        "ALTER",
        "DROP",
        "TRUNCATE",
        "RENAME",
        "EXCHANGE",
        "OPTIMIZE",
        "ATTACH",
        "DETACH",
        "SYSTEM",
        "SHOW",
    }
)
_HEADLINE_LENGTH = 72
_LINE_COMMENT = re.compile(r"(?:--|#[ !])[^\n]*")
_BLOCK_COMMENT_EDGE = re.compile(r"/\*|\*/")
_HEREDOC_START = re.compile(r"\$[A-Za-z0-9_]*\$")
_QUOTED = re.compile(r"""[nN]?(?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`)""", re.DOTALL)
_STRAY = re.compile(r"""['"`\\\0#$]|--|/\*|.;|;.""")
_SLASHES = "a comment that begins with //; begin it with --."
_CURLY_QUOTES = re.compile("[‘’“”]")
_TOKENIZER_GAVE_UP_AT = re.compile(r"from \d+:(\d+)")


def raw_checksum(data: bytes) -> str:
    """SHA-256 of the bytes, in hexadecimal."""
    return sha256(data).hexdigest()


def split(text: str) -> tuple[Statement, ...]:
    """The statements of a script, in order. Comments and empty statements are none.

    Raises:
        SqlScriptError: the script cannot be cut without doubt; nothing of it should be run.
    """
    return read_script(text).statements


def read_script(text: str) -> Script:
    """As `split`, with the checksum of the tokens.

    Raises:
        SqlScriptError: the script cannot be cut without doubt.
    """
    tokens = _tokenize(text)
    _refuse_doubtful(text, tokens)
    statements: list[Statement] = []
    digest = sha256()
    for group in _groups(tokens):
        _refuse_inline_data(text, group)
        statements.append(_statement(text, len(statements) + 1, group))
        for token in group:
            digest.update(text[token.start : token.end + 1].encode() + b"\0")
        digest.update(b";\0")
    return Script(text, tuple(statements), digest.hexdigest())


def words(text: str) -> tuple[Word, ...]:
    """The tokens of a text, comments left out.

    Raises:
        SqlScriptError: the text cannot be cut without doubt.
    """
    tokens = _tokenize(text)
    _refuse_doubtful(text, tokens)
    return tuple(word for token in tokens for word in _words(text[token.start : token.end + 1]))


def _words(source: str) -> list[Word]:
    quote = source[0]
    if quote in {"`", '"'}:
        return [Word(_unquoted(source), quote)]
    if quote == "'" or (len(source) > 1 and source[1] == "'"):
        return [Word(source, "'")]
    if quote == "$":
        return [Word(source, "$")]
    return [Word(part) for part in source.split()]  # the tokenizer takes GROUP BY for one token


def _unquoted(name: str) -> str:
    quote, inner = name[0], name[1:-1]
    return re.sub(r"\\(.)", r"\1", inner.replace(quote * 2, quote), flags=re.DOTALL)


def _tokenize(text: str) -> list[Token]:
    try:
        return list(_Tokenizer().tokenize(text))
    except TokenError as error:
        # The cause names where the string or heredoc began; of a comment it names nothing.
        found = _TOKENIZER_GAVE_UP_AT.search(str(error.__cause__ or error))
        if found is None:
            line, problem = (
                _line_of_open_comment(text),
                "a comment begins here and never ends; comments nest.",
            )
        elif text[int(found.group(1))] == "$":
            line = _line_at(text, int(found.group(1)))
            problem = "a heredoc begins here and never ends; close it, or put a name with $ in backticks."
        else:
            line = _line_at(text, int(found.group(1)))
            problem = "a string or quoted name begins here and never ends; close it."
        raise SqlScriptError(line, problem) from error


def _line_of_open_comment(text: str) -> int:
    for opening in re.finditer(r"/\*", text):
        try:
            _Tokenizer().tokenize(text[: opening.start()])
            _end_of_block_comment(text, opening.start(), len(text))
        except TokenError:
            continue
        except SqlScriptError as error:
            return error.line
    return 0


def _groups(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    group: list[Token] = []
    for token in tokens:
        if token.token_type is not TokenType.SEMICOLON:
            group.append(token)
        elif group:
            yield group
            group = []
    if group:
        yield group


def _statement(text: str, number: int, tokens: Sequence[Token]) -> Statement:
    start, end = tokens[0].start, tokens[-1].end + 1
    words = [text[token.start : token.end + 1] for token in tokens[:16]]
    first = words[0].upper()
    kind = first
    if first in _TWO_WORD_KINDS:
        kind = " ".join([first, *[word.upper() for word in words[1:] if word.upper() not in _KIND_NOISE][:1]])
    headline = " ".join(text[start : tokens[min(len(tokens), 16) - 1].end + 1].split())
    if len(headline) > _HEADLINE_LENGTH or len(tokens) > 16:
        headline = headline[: _HEADLINE_LENGTH - 1].rstrip() + "…"
    return Statement(number, _line_at(text, start), text[start:end], start, end, kind, headline)


def _refuse_doubtful(text: str, tokens: Sequence[Token]) -> None:
    """Everything on which the tokenizer and the engine could disagree about where a statement ends."""
    position = 0
    previous: Token | None = None
    for token in tokens:
        if _touches_slash(text, previous, position) and text.startswith("/", position):
            raise SqlScriptError(_line_at(text, position), _SLASHES)
        _refuse_doubtful_gap(text, position, token.start)
        _refuse_doubtful_token(text, token)
        position, previous = token.end + 1, token
    if _touches_slash(text, previous, position) and text.startswith("/", position):
        raise SqlScriptError(_line_at(text, position), _SLASHES)
    _refuse_doubtful_gap(text, position, len(text))


def _refuse_doubtful_token(text: str, token: Token) -> None:
    source = text[token.start : token.end + 1]
    problem = ""
    if token.token_type is TokenType.HEREDOC_STRING:
        before = text[token.start - 1 : token.start] if token.start else ""
        if not _HEREDOC_START.match(source) or before in {"$", "_"} or before.isalnum():
            problem = "a dollar sign that opens no heredoc; put names with $ in backticks."
    elif source[-1] in "'\"`":
        if not _QUOTED.fullmatch(source):
            problem = "a quoted text that could end in two places; escape it otherwise."
    elif _CURLY_QUOTES.search(source):
        problem = "curly quotes outside a string: the engine quotes with them. Use ' or \"."
    elif found := _STRAY.search(source):
        problem = f"{found.group()!r} outside a string or a quoted name."
    if problem:
        raise SqlScriptError(_line_at(text, token.start), problem)


def _touches_slash(text: str, previous: Token | None, position: int) -> bool:
    """Whether the token before `position` is a division sign that stands right before it."""
    return previous is not None and previous.end + 1 == position and text[previous.start : position] == "/"


def _refuse_doubtful_gap(text: str, start: int, end: int) -> None:
    """What lies between two tokens must be white space and comments in the engine's reading too."""
    position = start
    while position < end:
        if text[position].isspace():
            position += 1
        elif comment := _LINE_COMMENT.match(text, position, end):
            position = comment.end()
        elif text.startswith("/*", position):
            position = _end_of_block_comment(text, position, end)
        elif text[position] == "#":
            raise SqlScriptError(_line_at(text, position), "a # comment needs a space after the #; or use --.")
        else:
            raise SqlScriptError(
                _line_at(text, position),
                f"{text[position : position + 2]!r} begins no comment in ClickHouse.",
            )


def _end_of_block_comment(text: str, start: int, end: int) -> int:
    depth, position = 1, start + 2
    while depth:
        edge = _BLOCK_COMMENT_EDGE.search(text, position, end)
        if edge is None:
            problem = "a comment whose end is in doubt; put spaces around the comment inside it."
            raise SqlScriptError(_line_at(text, start), problem)
        depth += 1 if edge.group() == "/*" else -1
        position = edge.end()
    return position


def _refuse_inline_data(text: str, tokens: Sequence[Token]) -> None:
    """`INSERT … FORMAT <name>` is followed by data that no SQL tokenizer can read."""
    if tokens[0].token_type is not TokenType.INSERT:
        return
    depth = 0
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        word = text[token.start : token.end + 1].upper()
        depth += {"(": 1, ")": -1}.get(word, 0)
        if depth == 0 and word in {"SELECT", "WITH", "VALUES"}:
            return
        if depth == 0 and word == "FORMAT" and following is not None and following.text != "(":
            raise SqlScriptError(
                _line_at(text, token.start),
                "INSERT … FORMAT with data in the script; use VALUES or INSERT … SELECT.",
            )


def _line_at(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1
