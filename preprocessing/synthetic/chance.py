"""Random draws that are a pure function of a key, and quick one at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Dice:
    """Draws from the stream that the whole numbers of `key` (each at least 0) name: the same key, the same draws.

    Uniform numbers are drawn in blocks, since a call of NumPy's generator costs more than most of the geometry that
    it feeds.
    """

    def __init__(self, *key: int):
        self.generator = np.random.Generator(np.random.PCG64(key))
        self._left: list[float] = []

    def roll(self, low: float = 0.0, high: float = 1.0) -> float:
        """One uniform number in [low, high)."""
        if not self._left:
            self._left = self.generator.random(64).tolist()
        return low + (high - low) * self._left.pop()

    def rolls(self, count: int, low: float = 0.0, high: float = 1.0) -> list[float]:
        """`count` uniform numbers in [low, high)."""
        return [self.roll(low, high) for _ in range(count)]

    def bell(self, limit: float) -> float:
        """One number in (-limit, limit), most often near 0: the mean of three uniform ones."""
        return limit * (self.roll() + self.roll() + self.roll() - 1.5) / 1.5

    def choose(self, options: Sequence[T]) -> T:
        """One of the options, each as likely."""
        return options[int(self.roll() * len(options))]

    def weighted(self, weights: Mapping[str, float]) -> str:
        """One of the names, as likely as its weight is large."""
        left = self.roll(0.0, sum(weights.values()))
        for name, weight in weights.items():
            left -= weight
            if left < 0:
                break
        return name
