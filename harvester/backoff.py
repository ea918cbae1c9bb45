"""Growing pauses between tries, with jitter."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Backoff:
    """`base`, doubled at each try, at most `maximum` seconds, spread by up to `jitter` of itself."""

    base: float
    maximum: float
    jitter: float

    def seconds(self, tries: int, random: Random) -> float:
        """The pause after try number `tries`, from 1."""
        pause = min(self.maximum, self.base * 2.0 ** min(tries - 1, 30))
        return float(pause * (1 + random.uniform(0, self.jitter)))
