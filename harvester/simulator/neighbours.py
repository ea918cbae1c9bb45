"""Somebody else behind the same address: requests of which we learn only through the State."""

from __future__ import annotations

from random import Random


class NoisyNeighbour:
    """Bursts of requests at random moments, by seed. Moments are on the clock of whoever asks."""

    def __init__(self, seed: int | str, per_second: float, start: float = 0.0, burst: int = 1) -> None:
        """`per_second`: requests in the long mean; `burst`: most that come at once, a tenth of a second apart."""
        self._dice = Random(f"neighbour {seed}")
        self._burst = burst
        self._rate = per_second / ((burst + 1) / 2)
        self._pending: list[float] = []
        self._next = start + self._dice.expovariate(self._rate)

    def hits_until(self, now: float) -> list[float]:
        """The moments of its requests since the last call, in order."""
        while self._next <= now:
            size = self._dice.randint(1, self._burst)
            self._pending += [self._next + 0.1 * number for number in range(size)]
            self._next += self._dice.expovariate(self._rate)
        self._pending.sort()
        due = [at for at in self._pending if at <= now]
        del self._pending[: len(due)]
        return due
