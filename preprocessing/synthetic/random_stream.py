"""Random numbers that are a function of a key and can be drawn quickly one at a time."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class RandomStream:
    """A stream of random numbers that is determined by its key.

    Uniform numbers are generated in blocks, because a call of NumPy's generator takes longer than most of the geometry
    that uses its numbers.

    Args:
        key: integers of at least 0.

    Attributes:
        generator: NumPy's generator with the same key, for arrays.

    >>> RandomStream(1, 2).uniform() == RandomStream(1, 2).uniform()
    True
    """

    def __init__(self, *key: int) -> None:
        self.generator = np.random.Generator(np.random.PCG64(key))
        self._block: list[float] = []

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One uniform number in [low, high)."""
        if not self._block:
            self._block = self.generator.random(64).tolist()
        return low + (high - low) * self._block.pop()

    def uniforms(self, count: int, low: float = 0.0, high: float = 1.0) -> list[float]:
        """`count` uniform numbers in [low, high)."""
        return [self.uniform(low, high) for _ in range(count)]

    def bell(self, limit: float) -> float:
        """One number in (-limit, limit), most often near 0: the mean of three uniform numbers."""
        return limit * (self.uniform() + self.uniform() + self.uniform() - 1.5) / 1.5

    def choose(self, options: Sequence[T]) -> T:
        """One of the options, with equal probabilities."""
        return options[int(self.uniform() * len(options))]

    def choose_weighted(self, weights: Mapping[str, float]) -> str:
        """One of the names, with probabilities proportional to the weights."""
        remaining = self.uniform(0.0, sum(weights.values()))
        for name, weight in weights.items():
            remaining -= weight
            if remaining < 0:
                return name
        return list(weights)[-1]  # reached only through rounding
