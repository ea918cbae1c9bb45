"""What must be known of rate limits across a restart: `rate-limits.json` beside the cursors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harvester.files import create_directory, write_durably
from harvester.model import Rule

FILE_NAME = "rate-limits.json"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class SavedPolicy:
    """One policy as it was last seen."""

    restricted_until: float = 0.0
    """Epoch seconds; 0 for none."""
    restricted_for: float = 0.0
    """Seconds left when it was written: a bound, should the wall clock have been set back since."""
    rules: tuple[Rule, ...] = ()
    learned: tuple[float, ...] = ()
    """For each triplet in order: seconds for which the server was found to count beyond the period."""

    def left_at(self, now: float) -> float:
        """Seconds of restriction left at epoch second `now`."""
        return max(0.0, min(self.restricted_until - now, self.restricted_for))


@dataclass(frozen=True, slots=True)
class SavedLimits:
    """The content of the file."""

    policies: Mapping[str, SavedPolicy] = field(default_factory=dict)
    """By policy name, or by endpoint where no policy was ever named."""
    queues: Mapping[str, str] = field(default_factory=dict)
    """Which of `policies` serves which queue."""
    version: int = _VERSION


class RestrictionFile:
    """Reads and atomically writes the file in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE_NAME

    def load(self) -> tuple[SavedLimits, str | None]:
        """What was saved, and a warning where the file could not be read; a missing file is no warning."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return SavedLimits(), None
        except OSError as error:
            return SavedLimits(), self._warning(error.strerror or type(error).__name__)
        try:
            saved = msgspec.json.decode(data, type=SavedLimits)
        except (msgspec.DecodeError, RecursionError):
            return SavedLimits(), self._warning("it is torn or not ours")
        if saved.version != _VERSION:
            return SavedLimits(), self._warning(f"it has version {saved.version}")
        return saved, None

    def save(self, limits: SavedLimits) -> None:
        """Replace the file: afterwards the old or the new content is there, whole. Raises `OSError`."""
        create_directory(self.path.parent)
        write_durably(self.path, json.dumps(msgspec.to_builtins(limits), indent=1, sort_keys=True).encode())

    def _warning(self, reason: str) -> str:
        return (
            f"{self.path} cannot be used: {reason}. A restriction of the API from before this start is not "
            "known; the limits are learned anew from the first answer."
        )


class ReadOnlyRestrictions(RestrictionFile):
    """A restriction of the API is obeyed, and never written: for whoever only looks."""

    def save(self, limits: SavedLimits) -> None:
        del limits
