"""What the keys of the currency exchange mean: read from `schema/currency_names.tsv` and a file of the operator's own,
kept in the store as the table that the views join.
"""

from __future__ import annotations

from pathlib import Path

from harvester.clock import utc
from harvester.store.handle import Handle
from harvester.store.schema_files import schema_directory

PATHS_BELOW = "Metadata/Items/"
"""What the paths in the files leave out in front."""
_COLUMNS = {
    "key": "String",
    "code": "LowCardinality(String)",
    "name": "String",
    "written_at": "DateTime64(3, 'UTC')",
}

Names = dict[str, tuple[str, str]]
"""Key of the exchange → short code and readable name."""


class NamesUnreadable(ValueError):  # noqa: N818
    """A file of names cannot be used; the message says where and what is wanted."""


def read_names(path: Path) -> Names:
    """The keys of one file: lines of `code TAB name TAB path, path`, `#` begins a comment.

    Raises:
        NamesUnreadable: naming file and line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise NamesUnreadable(f"{path} cannot be read: {reason}.") from None
    names: Names = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        code, name, *paths = _fields(path, number, line)
        for key in (code, *paths):
            names[key] = (code, name)
    return names


def all_names(own: Path | None = None) -> Names:
    """The names that ship with the program, and over them those of the operator's `own` file."""
    names = read_names(schema_directory() / "currency_names.tsv")
    return names if own is None else names | read_names(own)


def sync_names(handle: Handle, names: Names, now: float) -> int:
    """Make the store's table say what `names` says; returns how many rows were written."""
    stored = {
        key: (code, name)
        for key, code, name in handle.rows("SELECT key, code, name FROM currency_names FINAL WHERE code != ''")
    }
    rows = [(key, code, name, utc(now)) for key, (code, name) in names.items() if stored.get(key) != (code, name)]
    rows += [(key, "", "", utc(now)) for key in stored if key not in names]
    if rows:
        handle.insert("currency_names", _COLUMNS, rows)
    return len(rows)


def _fields(path: Path, number: int, line: str) -> list[str]:
    """Code, name, and every path in full."""
    fields = [field.strip() for field in line.split("\t")]
    if len(fields) not in (2, 3) or not fields[0] or not fields[1]:
        raise NamesUnreadable(
            f"{path}, line {number}: a short code, a name and the paths are wanted, with tabs between them."
        )
    paths = [part.strip() for part in fields[2].split(",") if part.strip()] if len(fields) == 3 else []
    full = [part if part.startswith("Metadata/") else PATHS_BELOW + part for part in paths]
    return [fields[0], fields[1], *full]
