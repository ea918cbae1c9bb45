"""Where the SQL of `schema/` lies: beside the packages in a checkout, inside this package once installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


class SchemaFilesMissingError(Exception):
    """No `schema/` directory where it is looked for; the message names the places."""


def schema_directory(override: Path | None = None) -> Path:
    """The directory that holds `migrations/` and `sanity/`.

    Raises:
        SchemaFilesMissingError: it is not there.
    """
    # The installed place comes first: `schema` beside an installed package may be somebody else's.
    candidates = [override] if override is not None else [_PACKAGE / "schema", _PACKAGE.parent / "schema"]
    for candidate in candidates:
        if (candidate / "migrations").is_dir():
            return candidate
    places = " or ".join(str(candidate / "migrations") for candidate in candidates)
    raise SchemaFilesMissingError(
        f"The schema files are missing: no directory {places}. Reinstall poe-ledger, or run its checkout."
    )


def migrations_directory(override: Path | None = None) -> Path:
    """The directory of the `NNNN_name.sql` files; `override` replaces the `schema` directory."""
    return schema_directory(override) / "migrations"


def sanity_directory(override: Path | None = None) -> Path:
    """The directory of the sanity checks; `override` replaces the `schema` directory."""
    return schema_directory(override) / "sanity"
