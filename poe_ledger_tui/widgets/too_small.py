"""What a window shows that is too small for anything else."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static


class TooSmall(Static):
    """Shown by the style sheet below 60 columns or 20 lines."""

    def render(self) -> Text:
        width, height = self.app.size
        return Text(
            f"Wraeclast Ledger\n\nThis window is {width}×{height}.\nIt needs 60×20.\n\nq quits", justify="center"
        )
