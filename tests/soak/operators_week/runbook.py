"""docs/ops-runbook.md as its reader has it: by heading, for words, for queries, for commands."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

RUNBOOK = Path(__file__).resolve().parents[3] / "docs" / "ops-runbook.md"
_HEADING = re.compile(r"^(#+) (.+)$", re.M)
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)


class RunbookSilent(Exception):  # noqa: N818
    """The runbook does not say what its reader needs."""


@dataclass(frozen=True)
class Section:
    """What stands below one heading, the headings below it included."""

    heading: str
    text: str

    def says(self, words: str) -> str:
        """The words, where they stand here; line ends count as blanks, marks of code and stress as nothing.

        Raises:
            RunbookSilent: they do not.
        """
        if _plain(words) not in _plain(self.text):
            raise RunbookSilent(f"{self.heading!r} does not say {words!r}")
        return words

    def query(self, number: int = 0) -> str:
        """One of its SQL blocks, the first by default.

        Raises:
            RunbookSilent: there is none.
        """
        blocks = self._blocks("sql")
        if number >= len(blocks):
            raise RunbookSilent(f"{self.heading!r} has no SQL block number {number + 1}")
        return blocks[number].strip()

    def command(self, beginning: str) -> list[str]:
        """The words of a command that stands here, without the name of the program.

        `beginning`: how it begins; what follows up to the end of the code is part of it.

        Raises:
            RunbookSilent: there is none.
        """
        lines = [line for block in self._blocks("sh") for line in block.splitlines()]
        codes = [*lines, *re.findall(r"`([^`\n]+)`", self.text)]
        for code in sorted(codes, key=len):  # where one is the beginning of another, it is meant itself
            if code.startswith(beginning):
                return shlex.split(code, comments=True)[1:]
        raise RunbookSilent(f"{self.heading!r} names no command {beginning!r}")

    def _blocks(self, kind: str) -> list[str]:
        return [text for name, text in _BLOCK.findall(self.text) if name == kind]


def section(heading: str) -> Section:
    """The section with this heading.

    Raises:
        RunbookSilent: there is none.
    """
    text = RUNBOOK.read_text("utf-8")
    headings = [match for match in _HEADING.finditer(text) if not _in_a_block(text, match.start())]
    for number, match in enumerate(headings):
        if match[2] == heading:
            below = (other.start() for other in headings[number + 1 :] if len(other[1]) <= len(match[1]))
            return Section(heading, text[match.end() : next(below, len(text))])
    raise RunbookSilent(f"there is no heading {heading!r}")


def _in_a_block(text: str, at: int) -> bool:
    return text.count("\n```", 0, at) % 2 == 1


def _plain(text: str) -> str:
    return " ".join(text.replace("`", "").replace("**", "").split())
