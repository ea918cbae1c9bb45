"""Names and texts in SQL, where the engine takes no parameter."""

from __future__ import annotations


def quote_name(name: str) -> str:
    """An identifier for SQL text, whatever characters it holds."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def quote_text(text: str) -> str:
    """A string literal for SQL text where the engine takes no parameter."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
