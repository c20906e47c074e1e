"""Every random choice of the generator."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Dice:
    """Choices that are the same for the same seed in every version of Python: all stand on `Random.random` alone.

    Attributes:
        notes: The names of the constructions that were chosen since `notes` was last emptied.
    """

    def __init__(self, *, seed: int | str) -> None:
        self._random = random.Random(seed)
        self.notes: set[str] = set()

    def note(self, construction: str) -> None:
        """Remembers that a construction is being used."""
        self.notes.add(construction)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._random.random() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items, each as likely as the others."""
        return items[int(self._random.random() * len(items))]

    def weighted(self, items: Sequence[tuple[Item, float]]) -> Item:
        """One of the items, as likely as its weight says."""
        rest = self._random.random() * sum(weight for _, weight in items)
        for item, weight in items:
            rest -= weight
            if rest < 0:
                return item
        return items[-1][0]

    def shuffle(self, items: list[Item]) -> None:
        """Shuffles a list in place."""
        for last in range(len(items) - 1, 0, -1):
            other = self.between(0, last)
            items[last], items[other] = items[other], items[last]
