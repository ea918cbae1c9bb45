"""Scripts are cut where the engine would cut them, or refused: the embedded engine is the judge."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harvester.store.errors import StoreError
from harvester.store.handle import Handle
from harvester.store.sql_script import SqlScriptError, raw_checksum, read_script, split

# Each trap is a list of statements; each selects one value, so that the engine can tell what it has read.
TRAPS: dict[str, tuple[str, list[object]]] = {
    "semicolon in a string": ("SELECT 'a;b'; SELECT 2", ["a;b", 2]),
    "doubled quote": ("SELECT 'it''s; fine'; SELECT 2", ["it's; fine", 2]),
    "escaped quote": (r"SELECT 'it\'s; fine'; SELECT 2", ["it's; fine", 2]),
    "escaped backslash before the closing quote": (r"SELECT 'a\\'; SELECT 2", ["a\\", 2]),
    "four quotes": ("SELECT ''''; SELECT ''';'", ["'", "';"]),
    "dash comment": ("SELECT 1 -- a;b\n; SELECT 2", [1, 2]),
    "dash comment without space": ("SELECT 1 --a;b\n; SELECT 2", [1, 2]),
    "quote in a dash comment": ("SELECT 1 -- don't\n; SELECT 2", [1, 2]),
    "dash comment does not end at a carriage return": ("SELECT 1 -- a\r;b\n; SELECT 2", [1, 2]),
    "hash comment": ("SELECT 1 # a;b\n; SELECT 2", [1, 2]),
    "hash-bang comment": ("#!a;b\nSELECT 1; SELECT 2", [1, 2]),
    "block comment": ("SELECT /* a;b */ 1; SELECT 2", [1, 2]),
    "nested block comment": ("SELECT /* a /* ; */ ; */ 1; SELECT 2", [1, 2]),
    "block comment whose first slash closes nothing": ("SELECT /*/ ; */ 1; SELECT 2", [1, 2]),
    "quote in a block comment": ("SELECT /* don't; */ 1; SELECT 2", [1, 2]),
    "optimizer hint": ("SELECT /*+ a;b */ 1; SELECT 2", [1, 2]),
    "comment signs in a string": ("SELECT '-- /* # ;'; SELECT 2", ["-- /* # ;", 2]),
    "heredoc": ("SELECT $$a;'b$$; SELECT 2", ["a;'b", 2]),
    "heredoc with a tag": ("SELECT $tag$a;$$;b$tag$; SELECT 2", ["a;$$;b", 2]),
    "heredoc with a number as tag": ("SELECT $1$;$1$; SELECT 2", [";", 2]),
    "backtick name": ("SELECT 1 AS `a;b`; SELECT 2", [1, 2]),
    "backtick name with escape": (r"SELECT 1 AS `a\`;b`; SELECT 2", [1, 2]),
    "backtick name with doubled backtick": ("SELECT 1 AS `a``;b`; SELECT 2", [1, 2]),
    "double-quoted name": ('SELECT 1 AS "a;b"; SELECT 2', [1, 2]),
    "double-quoted name with escape": (r'SELECT 1 AS "a\";b"; SELECT 2', [1, 2]),
    "curly quotes inside a string": ("SELECT '“a;b”'; SELECT 2", ["“a;b”", 2]),
    "curly quotes inside a comment": ("SELECT 1 -- “a\n; SELECT 2", [1, 2]),
    "unicode minus": ("SELECT 3−2; SELECT 2", [1, 2]),
    "hexadecimal string": ("SELECT x'3b'; SELECT 2", [";", 2]),
    "binary string": ("SELECT b'00111011'; SELECT 2", [";", 2]),
    "number with underscores": ("SELECT 1_000; SELECT 0x1F", [1000, 31]),
    "emoji before the semicolon": ("SELECT '😀;'; SELECT 2", ["😀;", 2]),
    "no-break space": ("SELECT\u00a01; SELECT 2", [1, 2]),
    "comment after the last semicolon": ("SELECT 1; -- the end\n/* really */", [1]),
    "nothing but comments": ("-- nothing\n/* at; all */ # here\n", []),
    "empty statements": (";;\n; SELECT 1;;", [1]),
    "no last semicolon": ("SELECT 1;\nSELECT 2\n", [1, 2]),
    "windows line ends": ("SELECT 1; -- one\r\nSELECT 2;\r\n", [1, 2]),
    "command words keep their strings": ("SHOW TABLES LIKE 'a;b' -- c;d\n; SELECT 2", [None, 2]),
}

REFUSED: dict[str, tuple[str, str]] = {
    "curly single quotes": ("SELECT 1;\nSELECT ‘a;b’", "line 2: curly quotes"),
    "curly double quotes": ("SELECT 1 AS “a;b”", "line 1: curly quotes"),
    "string without end": ("SELECT 1;\nSELECT 'a; b", "line 2: a string"),
    "name without end": ("SELECT 1;\n\nSELECT `a; b", "line 3: a string or quoted name"),
    "comment without end": ("SELECT '/*';\n/* a /* b */ ; SELECT 1", "line 2: a comment"),
    "comment nested without a space": ("SELECT 1 /*/*;*/*/", "line 1: a comment whose end is in doubt"),
    "heredoc without end": ("SELECT 1;\nSELECT $$a;b", "line 2: a heredoc"),
    "slash comment": ("SELECT 1 // a;b\n", "line 1: a comment that begins with //"),
    "slash comment that looks like a block": ("SELECT 1 //* a;\n*/", "line 1: a comment that begins with //"),
    "hash without space": ("SELECT 1 #a;b", "line 1: a # comment needs a space"),
    "template comment": ("SELECT {# ; #} 1", "line 1: '{#'"),
    "dollar in names": ("SELECT a$b$ ; SELECT $b$", "line 1: a dollar sign"),
    "vertical output": ("SELECT 1\\G;", "line 1: '\\\\' outside"),
    "inline data": ('SELECT 1;\nINSERT INTO t FORMAT JSONEachRow {"a": 1}', "line 2: INSERT … FORMAT"),
    "inline values by format": ("INSERT INTO t (a) FORMAT Values (1)", "line 1: INSERT … FORMAT"),
}


def first_value(handle: Handle, sql: str) -> object:
    value = handle.value(sql)
    return value.decode() if isinstance(value, bytes) else value


@pytest.mark.parametrize(("script", "values"), TRAPS.values(), ids=TRAPS.keys())
def test_the_engine_reads_each_statement_as_it_was_cut(handle: Handle, script: str, values: list[object]) -> None:
    statements = split(script)

    assert [first_value(handle, statement.sql) for statement in statements] == values
    for statement in statements:
        assert script[statement.start : statement.end] == statement.sql


@pytest.mark.parametrize(("script", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_script_of_doubtful_cut_is_refused_with_its_line(script: str, problem: str) -> None:
    with pytest.raises(SqlScriptError) as refusal:
        split(script)

    assert str(refusal.value).startswith(problem)


def test_create_alter_and_values_with_semicolons_reach_the_engine_whole(handle: Handle) -> None:
    script = """
    -- a table; with a view
    CREATE TABLE t (a String COMMENT 'a;b', `c;d` UInt8 DEFAULT 0) ENGINE = MergeTree ORDER BY a;
    INSERT INTO t (a) VALUES ('x;y'), /* ; */ ('--z');
    ALTER TABLE t ADD COLUMN e String DEFAULT $$;$$;
    CREATE VIEW v AS SELECT a, e FROM t WHERE a != ';' # the end;
    """

    statements = split(script)
    for statement in statements:
        handle.run(statement.sql)

    assert handle.rows("SELECT * FROM v ORDER BY a") == [("--z", ";"), ("x;y", ";")]
    assert [statement.kind for statement in statements] == [
        "CREATE TABLE",
        "INSERT",
        "ALTER TABLE",
        "CREATE VIEW",
    ]
    assert [statement.line for statement in statements] == [3, 4, 5, 6]
    assert [statement.number for statement in statements] == [1, 2, 3, 4]


def test_a_column_called_format_and_the_format_function_are_no_inline_data() -> None:
    assert len(split("INSERT INTO t (format) VALUES (1); INSERT INTO t SELECT * FROM format(CSV, '1')")) == 2


def test_a_headline_is_one_short_line() -> None:
    (statement,) = split("CREATE TABLE IF NOT EXISTS\n  t (" + ", ".join(f"c{n} UInt8" for n in range(50)) + ")")

    assert statement.headline.startswith("CREATE TABLE IF NOT EXISTS t (c0 UInt8")
    assert "\n" not in statement.headline
    assert len(statement.headline) <= 72


def test_token_checksum_ignores_comments_and_layout_only() -> None:
    script = read_script("SELECT 1, 'a b';\nSELECT 2;")

    assert read_script("-- why\nSELECT  1,\n'a b'\n; SELECT /* two */ 2").token_checksum == script.token_checksum
    assert read_script("SELECT 1, 'a  b'; SELECT 2").token_checksum != script.token_checksum
    assert read_script("SELECT 1, 'a b' SELECT 2").token_checksum != script.token_checksum
    plain, commented = (
        read_script("RENAME TABLE a TO b"),
        read_script("RENAME TABLE a /* old */\n TO b -- new"),
    )
    assert plain.token_checksum == commented.token_checksum
    assert raw_checksum(b"a") != raw_checksum(b"a ")


TEXTS = st.text(alphabet="ab;'\"`\\$#-/* \n“é", max_size=8)


def _heredoc_body(text: str) -> str:
    return text.replace("$", "")


LITERALS = st.one_of(
    TEXTS.map(lambda text: "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"),
    TEXTS.map(lambda text: "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"),
    TEXTS.map(lambda text: "$$" + _heredoc_body(text) + "$$"),
    TEXTS.map(lambda text: "$t1$" + _heredoc_body(text) + "$t1$"),
    st.sampled_from(["1", "0x1F", "1e5", "b'1'", "x'3b'", "NULL", "[1, 2]", "3 - 1", "4 / 2", "-1"]),
)
COMMENT_TEXTS = TEXTS.map(lambda text: text.replace("*", "").replace("/", ""))
LINE_TEXTS = TEXTS.map(lambda text: text.replace("\n", ""))
GAPS = st.lists(
    st.one_of(
        st.sampled_from([" ", "\n", "\t", "\r\n", "\u00a0"]),
        COMMENT_TEXTS.map(lambda text: f"/*{text}*/"),
        COMMENT_TEXTS.map(lambda text: f"/*{text} /*;*/ {text}*/"),
        LINE_TEXTS.map(lambda text: f"--{text}\n"),
        LINE_TEXTS.map(lambda text: f"# {text}\n"),
        LINE_TEXTS.map(lambda text: f"#!{text}\n"),
    ),
    max_size=3,
).map("".join)
ALIASES = st.one_of(
    st.just(""),
    TEXTS.map(lambda text: " AS `n" + text.replace("\\", "\\\\").replace("`", "\\`") + "`"),
    TEXTS.map(lambda text: ' AS "n' + text.replace("\\", "\\\\").replace('"', '""') + '"'),
)
FRAGMENTS = st.builds(
    lambda gap, literal, alias, inner: f"SELECT {gap} {literal}{inner}{alias}", GAPS, LITERALS, ALIASES, GAPS
)


@given(st.lists(st.tuples(GAPS, FRAGMENTS, GAPS), min_size=1, max_size=5))
@settings(max_examples=300)
def test_joined_fragments_are_cut_into_exactly_these_fragments(parts: list[tuple[str, str, str]]) -> None:
    script = ";".join(before + fragment + after for before, fragment, after in parts)

    cut = [statement.sql for statement in split(script)]

    # Comments at the end of a fragment belong to no statement.
    assert len(cut) == len(parts)
    for statement, (_, fragment, _) in zip(cut, parts, strict=True):
        assert fragment.startswith(statement)
        assert not split(fragment[len(statement) :])


@given(st.lists(st.tuples(GAPS, FRAGMENTS), min_size=1, max_size=3))
@settings(max_examples=60)
def test_the_engine_takes_every_cut_fragment_for_one_statement(handle: Handle, parts: list[tuple[str, str]]) -> None:
    script = ";".join(before + fragment for before, fragment in parts)
    for statement in split(script):
        # The function parses a text of exactly one statement and refuses more.
        handle.value("SELECT formatQuery({sql:String})", {"sql": statement.sql})


@given(st.text(alphabet="aS ;'\"`\\$#-/*\n“’{}%1.", max_size=14))
@settings(max_examples=300)
def test_whatever_is_cut_the_engine_never_sees_two_statements_in_one(handle: Handle, noise: str) -> None:
    try:
        statements = split("SELECT 1 " + noise)
    except SqlScriptError:
        return
    for statement in statements:
        verdict = parser_verdict(handle, statement.sql)
        assert "Multi-statements" not in verdict, statement.sql


def parser_verdict(handle: Handle, sql: str) -> str:
    try:
        handle.value("SELECT formatQuery({sql:String})", {"sql": sql})
    except StoreError as error:
        return str(error)
    return ""
