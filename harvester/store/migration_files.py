"""The migrations as files: `NNNN_name.sql`, read, cut into statements and numbered."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harvester.store.sql_script import SqlScriptError, Statement, raw_checksum, read_script

_FILE_NAME = re.compile(r"(\d{4,9})_([A-Za-z0-9][A-Za-z0-9_-]*)\.sql")
_SESSION_WORDS = frozenset({"USE", "SET"})


class MigrationError(Exception):
    """Migrations that cannot be read, planned or applied; the message says what to do."""


class MigrationFilesError(MigrationError):
    """The files themselves are at fault: bad names, the same version twice, text that cannot be cut."""


_FOR_REPORTS = re.compile(r"^--\s*needed-by:\s*reports\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file."""

    version: str
    """The digits of the file name, as written."""
    name: str
    """The file name without `.sql`."""
    file: Path
    statements: tuple[Statement, ...]
    checksum: str
    """SHA-256 of the file's bytes."""
    token_checksum: str
    """SHA-256 of its tokens: the same after an edit of comments or layout."""
    needed_by_harvest: bool = True
    """False where the file says `-- needed-by: reports`: the harvest runs without it."""

    @property
    def number(self) -> int:
        """What versions are ordered and compared by."""
        return int(self.version)

    @property
    def description(self) -> str:
        """The words of the file name."""
        return self.name.partition("_")[2].replace("_", " ")


def load_migrations(directory: Path) -> list[Migration]:
    """The migrations of a directory in the order of their versions; gaps are allowed.

    Raises:
        MigrationFilesError: naming every file that is at fault and why.
    """
    if not directory.is_dir():
        raise MigrationFilesError(f"There is no directory of migrations at {directory}.")
    problems: list[str] = []
    by_number: dict[int, Migration] = {}
    for file in sorted(directory.iterdir()):
        if file.suffix.lower() != ".sql" or file.name.startswith("."):
            continue
        try:
            migration = _read(file)
        except MigrationFilesError as error:
            problems.append(str(error))
            continue
        twin = by_number.setdefault(migration.number, migration)
        if twin is not migration:
            problems.append(f"{file.name} has the version of {twin.file.name}; give one of them the next free number.")
    if problems:
        raise MigrationFilesError("\n".join(problems))
    return [by_number[number] for number in sorted(by_number)]


def _read(file: Path) -> Migration:
    found = _FILE_NAME.fullmatch(file.name)
    if found is None:
        raise MigrationFilesError(f"{file.name} is no name for a migration; call it like 0007_what_it_does.sql.")
    try:
        data = file.read_bytes()
        script = read_script(data.decode("utf-8-sig"))
    except OSError as error:
        raise MigrationFilesError(f"{file.name} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise MigrationFilesError(f"{file.name} is not UTF-8 (byte {error.start}); save it as UTF-8.") from error
    except SqlScriptError as error:
        raise MigrationFilesError(f"{file.name}, {error}") from error
    if not script.statements:
        raise MigrationFilesError(f"{file.name} holds no statement.")
    for statement in script.statements:
        if statement.first_word in _SESSION_WORDS:
            raise MigrationFilesError(
                f"{file.name}, line {statement.line}: {statement.first_word} has no effect on what "
                "follows on a server; name no database, and write settings into the statement's SETTINGS."
            )
    return Migration(
        version=found.group(1),
        name=file.stem,
        file=file,
        statements=script.statements,
        checksum=raw_checksum(data),
        token_checksum=script.token_checksum,
        needed_by_harvest=_FOR_REPORTS.search(script.text) is None,
    )
