"""The docs tell the truth: their SQL runs, their commands parse, what they name exists.

A block that cannot run is preceded by a line `*Not run by the tests: reason*`.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from harvester.settings import VARIABLES
from harvester.snapshot import QueueState
from harvester.store.crash_points import CRASH_POINTS
from harvester.store.engine import Engine
from harvester.store.handle import Handle
from harvester.store.sanity import load_checks
from harvester.store.schema_files import sanity_directory
from harvester.store.sql_script import split
from tests.schema_template import migrate

ROOT = Path(__file__).resolve().parents[1]
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
DATA_MODEL = ROOT / "docs" / "data-model.md"
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]

_FENCE = re.compile(
    r"(?:^\*Not run by the tests: (?P<reason>[^*\n]+)\*\n+)?^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S
)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A fenced block of a document."""

    file: Path
    line: int
    kind: str
    text: str
    reason: str
    """Why it is not run; empty where it is."""

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line}"


def blocks(kind: str) -> list[Block]:
    found = []
    for file in DOCS:
        text = file.read_text("utf-8")
        for match in _FENCE.finditer(text):
            if match["kind"] == kind:
                line = text.count("\n", 0, match.start("text"))
                found.append(Block(file, line, kind, match["text"], match["reason"] or ""))
    return found


def runnable(kind: str) -> list[Block]:
    return [block for block in blocks(kind) if not block.reason]


def prose(file: Path) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", file.read_text("utf-8"))


@pytest.fixture
def migrated(engine: Engine) -> Engine:
    """An empty store with the newest schema."""
    migrate(engine)
    return engine


# ── SQL ──


def test_there_are_documents_with_sql() -> None:
    assert {block.file.name for block in runnable("sql")} >= {"README.md", "data-model.md", "ops-runbook.md"}


def test_every_sql_block_runs(migrated: Engine) -> None:
    failures = []
    with migrated.open_read_only() as handle:
        for block in runnable("sql"):
            for statement in split(block.text):
                try:
                    handle.table(statement.sql)
                except Exception as error:
                    failures.append(f"{block}: {statement.sql}\n    {error}")
    assert not failures, "\n".join(failures)


# ── Python ──


def test_every_python_block_compiles() -> None:
    for block in blocks("python"):
        compile(block.text, str(block), "exec")


# ── Commands ──


def commands() -> Iterator[tuple[str, str]]:
    """Every command line in the docs that names a program of ours: where it stands, and the line."""
    ours = re.compile(rf"^(?:\.venv/bin/)?(?:{'|'.join(map(re.escape, SCRIPTS))}|make|python -m)(?:\s|$)")
    for block in blocks("sh"):
        for line in block.text.splitlines():
            if ours.match(line.strip()):
                yield str(block), line.strip()
    for file in DOCS:
        for span in _INLINE.findall(prose(file)):
            if ours.match(span):
                yield file.name, span


@cache
def help_of(program: str, subcommand: str = "") -> str:
    """What `--help` of a console script or of `python -m MODULE` prints; empty where there is no such thing."""
    arguments = [subcommand, "--help"] if subcommand else ["--help"]
    if program not in SCRIPTS:
        # A program that knows no --help would do its work instead.
        run = subprocess.run(
            [sys.executable, "-m", program, *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return run.stdout if run.returncode == 0 else ""
    module, _, name = SCRIPTS[program].partition(":")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as left:
        getattr(importlib.import_module(module), name)(arguments)
    return said.getvalue() if left.value.code in (0, None) else ""


def mistake(line: str) -> str:
    """Why a command line cannot be meant for its program; empty where all is well."""
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
        return next((f"no target {word}" for word in words[1:] if word not in targets), "")
    program, rest = (words[2], words[3:]) if words[:2] == ["python", "-m"] else (Path(words[0]).name, words[1:])
    if "--" in rest:
        rest = rest[: rest.index("--")]
    text = help_of(program)
    if not text:
        return f"no program {program}"
    named = [word for word in rest if not word.startswith("-")]
    subcommand = next((word for word in named if re.search(rf"^ +{re.escape(word)} ", text, re.M)), "")
    if program == "poe-ledger" and named and not subcommand:
        return f"no command {named[0]}"
    if subcommand:
        text += help_of(program, subcommand)
    options = [word for word in rest if word.startswith("-")]
    return next((f"no option {o}" for o in options if not re.search(rf"(?<![\w-]){re.escape(o)}(?![\w-])", text)), "")


def test_every_command_in_the_docs_exists() -> None:
    lines = dict.fromkeys(line for _, line in commands())
    assert len(lines) > 15
    answers = {line: mistake(line) for line in lines}
    assert {line: answer for line, answer in answers.items() if answer} == {}


def test_options_named_in_the_readme_belong_to_the_command_beside_them() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(rf"^\| `((?:{'|'.join(map(re.escape, SCRIPTS))})[^`]*)`(.*)$", text, re.M)
    assert len(rows) >= 6
    for command, meaning in rows:
        for option in re.findall(r"`(--[a-z-]+)", meaning):
            assert mistake(f"{command} {option}") == "", f"{command} {option}"


# ── Names ──


def test_every_variable_named_exists() -> None:
    known = {name for entry in VARIABLES for name in (entry.name, *entry.aliases)}
    for file in DOCS:
        named = set(re.findall(r"\b(?:POE|CH)_[A-Z][A-Z_]*[A-Z]\b", file.read_text("utf-8")))
        assert named <= known, f"{file.name}: {named - known}"


def test_every_file_named_exists() -> None:
    missing = []
    tops = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    for file in DOCS:
        text = prose(file)
        for target in _LINK.findall(text):
            path, _, _ = target.partition("#")
            if path and "://" not in path and not (file.parent / path).exists():
                missing.append(f"{file.name}: {target}")
        for span in _INLINE.findall(text):
            is_path = re.fullmatch(r"[\w.-]+/[\w./-]+", span) and span.split("/")[0] in tops and "NNNN" not in span
            if is_path and not (ROOT / span).exists():
                missing.append(f"{file.name}: {span}")
    assert not missing


def test_every_heading_linked_to_exists() -> None:
    broken = []
    for file in DOCS:
        for target in _LINK.findall(prose(file)):
            path, mark, anchor = target.partition("#")
            if mark and "://" not in target:
                other = (file.parent / path).resolve() if path else file
                if anchor not in anchors(other):
                    broken.append(f"{file.name}: {target}")
    assert not broken


def anchors(file: Path) -> set[str]:
    """The anchors that a reader of Markdown gives to headings."""
    headings = re.findall(r"^#+ (.+)$", prose(file), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_runbook_names_every_state_and_every_check() -> None:
    text = (ROOT / "docs" / "ops-runbook.md").read_text("utf-8")
    for check in load_checks(sanity_directory()):
        assert f"| {check.title} |" in text
    states = re.findall(r"`([a-z ]+)`", "\n".join(re.findall(r"^\| (`[a-z ]+`(?:, `[a-z ]+`)*) \|", text, re.M)))
    assert {state.value for state in QueueState} - {"stopping"} <= set(states)


def test_the_architecture_names_every_crash_point_in_order() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    named = [name for name in re.findall(r"^\| `([a-z_ ]+)` \|", text, re.M) if name in CRASH_POINTS]
    assert tuple(named) == CRASH_POINTS


# ── The data model ──


def described() -> dict[str, str]:
    """The sections of the data model that describe a table or view."""
    parts = re.split(r"^### `(\w+)`$", DATA_MODEL.read_text("utf-8"), flags=re.M)
    return {name: re.split(r"^## ", text, flags=re.M)[0] for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def test_the_data_model_is_the_schema(migrated: Engine) -> None:
    with migrated.open_read_only() as handle:
        real = columns_of(handle)
    told = {
        table: re.findall(r"^\| `(\w+)` \| `([^|]+)` \| .+ \|$", section, re.M)
        for table, section in described().items()
    }
    assert told.keys() == real.keys()
    for table, columns in real.items():
        assert told[table] == columns, table


def columns_of(handle: Handle) -> dict[str, list[tuple[str, str]]]:
    tables: dict[str, list[tuple[str, str]]] = {}
    for table, name, kind in handle.rows(
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase() ORDER BY table, position"
    ):
        tables.setdefault(table, []).append((name, kind))
    return tables


def test_the_data_model_tells_engine_order_and_partition_of_every_table(migrated: Engine) -> None:
    with migrated.open_read_only() as handle:
        rows = handle.rows(
            "SELECT name, engine, sorting_key, partition_key FROM system.tables"
            " WHERE database = currentDatabase() AND engine != 'View'"
        )
    assert rows
    for name, kind, order, partition in rows:
        by = f"`{partition}`" if partition else "none"
        assert f"**Engine** `{kind}` · **order** `({order})` · **partition** {by}" in described()[name], name


def test_the_data_model_names_every_word_of_an_enumeration(migrated: Engine) -> None:
    text = DATA_MODEL.read_text("utf-8")
    with migrated.open_read_only() as handle:
        words = {
            word
            for columns in columns_of(handle).values()
            for _, kind in columns
            for word in re.findall(r"'(\w+)' =", kind)
        }
    assert words >= {"new", "changed", "gone"}
    assert {word for word in words if f"`{word}`" not in text} == set()
