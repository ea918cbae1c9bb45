"""What stands on a terminal's screen, read from the bytes that were written to it: text only, no colours."""

from __future__ import annotations

import codecs
import re

from rich.cells import cell_len

_SEQUENCE = re.compile(
    r"\x1b\[(?P<private>[<=>?]?)(?P<numbers>[0-9;:]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b[\]P_^X].*?(?:\x07|\x1b\\)"
    r"|\x1b[()*+#%][0-9A-Za-z]"
    r"|\x1b[^\[\]P_^X()*+#%]",
    re.S,
)
_LONGEST = 4096
"""Characters of an unfinished sequence that are waited for; beyond it the escape is dropped."""


class ScreenText:
    """A screen of `rows` by `columns` cells: as much of a terminal as Textual uses."""

    def __init__(self, rows: int, columns: int) -> None:
        self._rows, self._columns = rows, columns
        self._cells = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = ""

    @property
    def lines(self) -> list[str]:
        """The lines, from top to bottom, without the blanks at their ends."""
        return ["".join(cells).rstrip() for cells in self._cells]

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)

    def feed(self, written: bytes) -> None:
        """Take what was written; a sequence may be cut anywhere."""
        text = self._rest + self._decode(written)
        self._rest, at = "", 0
        while at < len(text):
            if text[at] != "\x1b":
                self._put(text[at])
                at += 1
            elif sequence := _SEQUENCE.match(text, at):
                self._obey(sequence)
                at = sequence.end()
            elif len(text) - at > _LONGEST:
                at += 1
            else:
                self._rest = text[at:]
                return

    def _put(self, sign: str) -> None:
        if sign == "\r":
            self._column = 0
        elif sign == "\n":
            self._row = min(self._rows - 1, self._row + 1)
        elif sign == "\b":
            self._column = max(0, self._column - 1)
        elif sign >= " " and self._row < self._rows and self._column < self._columns:
            width = cell_len(sign)
            self._cells[self._row][self._column : self._column + width] = [sign, *[""] * (width - 1)][:width]
            self._column += width

    def _obey(self, sequence: re.Match[str]) -> None:
        final = sequence["final"]
        if final is None:
            return
        if sequence["private"]:
            if final in "hl" and sequence["numbers"] == "1049":
                self._cells = [[" "] * self._columns for _ in range(self._rows)]
            return
        numbers = [int(number or 0) for number in re.split("[;:]", sequence["numbers"])]
        if final in "Hf":
            row, column = (*numbers, 0)[:2]
            self._row, self._column = max(1, row) - 1, max(1, column) - 1
        elif final == "J" and numbers[0] >= 2:
            self._cells = [[" "] * self._columns for _ in range(self._rows)]
        elif final in "ABCD":
            step = max(1, numbers[0])
            down, right = {"A": (-step, 0), "B": (step, 0), "C": (0, step), "D": (0, -step)}[final]
            self._row = min(self._rows - 1, max(0, self._row + down))
            self._column = min(self._columns - 1, max(0, self._column + right))
