"""The app's themes. Colour never carries a meaning alone: a word or a sign stands beside it.

Panes style their text with the names of `STYLES`, which every theme resolves; no pane names a colour.
"""

from __future__ import annotations

from textual.theme import Theme

DEFAULT_THEME = "ledger-dark"

DARK = Theme(
    name="ledger-dark",
    primary="#d3a04d",
    secondary="#7aa2c9",
    accent="#d3a04d",
    foreground="#e4e0d8",
    background="#14140f",
    surface="#1b1b15",
    panel="#26251d",
    success="#7fbf7f",
    warning="#e3b341",
    error="#f2695c",
    dark=True,
    variables={"muted": "#97917f", "border": "#4c493b", "footer-key-foreground": "#d3a04d"},
)
LIGHT = Theme(
    name="ledger-light",
    primary="#7a4f00",
    secondary="#1f5480",
    accent="#7a4f00",
    foreground="#1e1c16",
    background="#faf8f2",
    surface="#f2efe6",
    panel="#e6e1d3",
    success="#1f6b2c",
    warning="#8a5a00",
    error="#b3261e",
    dark=False,
    variables={"muted": "#5f5a4c", "border": "#b7b09c", "footer-key-foreground": "#7a4f00"},
)
OWN_THEMES = (DARK, LIGHT)
CYCLE = ("ledger-dark", "ledger-light", "ansi-dark", "ansi-light")
"""What the theme key steps through; the palette offers all of Textual's too."""


def style(theme: Theme, role: str) -> str:
    """The rich style of a role: `ok`, `amber`, `red`, `muted`, `strong`, `accent`, `bar`, `track`.

    ANSI themes use the terminal's own palette, so they stay readable on any background.
    """
    if theme.ansi:
        return _ANSI[role]
    muted = theme.variables.get("muted", theme.foreground or "")
    return {
        "ok": theme.success or "",
        "amber": f"bold {theme.warning or ''}",
        "red": f"bold {theme.error or ''}",
        "muted": muted,
        "strong": "bold",
        "accent": theme.accent or theme.primary,
        "bar": theme.secondary or theme.primary,
        "track": theme.variables.get("border", muted),
        "": "",
    }[role]


_ANSI = {
    "ok": "green",
    "amber": "bold yellow",
    "red": "bold red",
    "muted": "dim",
    "strong": "bold",
    "accent": "bold cyan",
    "bar": "cyan",
    "track": "dim",
    "": "",
}
