"""Whether a text would look the same, so that what has not changed is not painted again."""

from __future__ import annotations

from rich.text import Text

Look = tuple[str, object, tuple[object, ...]]


def look(text: Text) -> Look:
    """What can be seen of a text. `Text` itself says that two are equal which differ in their style only."""
    return text.plain, text.style, tuple(text.spans)
