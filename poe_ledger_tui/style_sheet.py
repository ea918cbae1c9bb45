"""A style sheet that is parsed once for each theme.

Textual parses every rule of every widget anew whenever a screen is shown for the first time. Only other colours make
that necessary; it would cost a tenth of a second before the first paint, and again at the first look at every screen.
"""

from __future__ import annotations

from collections.abc import Mapping

from textual.css.stylesheet import Stylesheet


class ThriftyStylesheet(Stylesheet):
    """Keeps what it has parsed until its variables change; sources that were added since are parsed all the same."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._parsed_for: Mapping[str, str] = dict(variables)

    def set_variables(self, variables: dict[str, str]) -> None:
        if variables != self._parsed_for:
            self._parsed_for = dict(variables)
            super().set_variables(variables)

    def reparse(self) -> None:
        self.parse()
