"""The order of the pairs in an epoch: mixed by weight, shuffled, and computed for any position without a list.

All randomness is a hash of numbers. So a run can resume at any position, and the order needs no memory for a corpus of
any size.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 6  # of the Feistel network; four make it a pseudo-random permutation (Luby and Rackoff 1988)


def make_key(*numbers: int) -> int:
    """Return a 64-bit key that differs for different numbers."""
    return int.from_bytes(hashlib.blake2b(repr(numbers).encode(), digest_size=8).digest(), "little")


def hash64(values: NDArray[Any], key: int) -> NDArray[np.uint64]:
    """Return pseudo-random 64-bit numbers, a function of each value and the key (the finaliser of SplitMix64)."""
    mixed = values.astype(np.uint64) + np.uint64(key)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def uniform(values: NDArray[Any], key: int) -> NDArray[np.float64]:
    """Return pseudo-random numbers from 0 to 1 (1 excluded), a function of each value and the key."""
    return (hash64(values, key) >> np.uint64(11)).astype(np.float64) * 2.0**-53


class Permutation:
    """A random permutation of the numbers below `size`: a Feistel network, repeated until the result is in range."""

    def __init__(self, size: int, key: int) -> None:
        self._size = size
        self._half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self._mask = (np.uint64(1) << self._half) - np.uint64(1)
        self._keys = [make_key(key, number) for number in range(ROUNDS)]

    def __call__(self, positions: NDArray[Any]) -> NDArray[np.int64]:
        """Return the numbers at these positions."""
        numbers = self._step(positions.astype(np.uint64))
        while len(outside := np.flatnonzero(numbers >= self._size)):
            numbers[outside] = self._step(numbers[outside])
        return numbers.astype(np.int64)

    def _step(self, numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        left, right = numbers >> self._half, numbers & self._mask
        for key in self._keys:
            left, right = right, left ^ (hash64(right, key) & self._mask)
        return (left << self._half) | right


class EpochOrder:
    """The pair at each position of an epoch.

    A corpus of weight 2.3 has each pair twice, and three tenths of its pairs a third time. These tenths change from
    epoch to epoch, so that all pairs are shown equally often in the long run.
    """

    def __init__(self, bounds: Sequence[int], weights: Sequence[float], *, seed: int, epoch: int) -> None:
        """Plan one epoch.

        Args:
            bounds: Where each corpus starts, and where the last one ends.
            weights: The weight of each corpus.
            seed: Seed of the order.
            epoch: Counted from 0.
        """
        self._starts = np.array(bounds[:-1], dtype=np.int64)
        self._sizes = np.diff(np.array(bounds, dtype=np.int64))
        self._whole = np.array([int(weight) for weight in weights], dtype=np.int64) * self._sizes
        shares = [(weight % 1.0) * int(size) for weight, size in zip(weights, self._sizes, strict=True)]
        self._moved = [math.floor(epoch * share) for share in shares]
        parts = [math.floor((epoch + 1) * share) - moved for share, moved in zip(shares, self._moved, strict=True)]
        self._ends = np.cumsum(self._whole + np.array(parts, dtype=np.int64))
        self._shares = [Permutation(int(size), make_key(seed, 0, corpus)) for corpus, size in enumerate(self._sizes)]
        self._shuffle = Permutation(len(self), make_key(seed, 1, epoch))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def pairs(self, first: int, last: int) -> NDArray[np.int64]:
        """Return the pairs at the positions from `first` to `last` (excluded)."""
        shuffled = self._shuffle(np.arange(first, last))
        corpora = np.searchsorted(self._ends, shuffled, side="right")
        pairs = np.empty(len(shuffled), dtype=np.int64)
        for corpus in np.unique(corpora):
            here = np.flatnonzero(corpora == corpus)
            size = self._sizes[corpus]
            number = shuffled[here] - (self._ends[corpus - 1] if corpus else 0)
            extra = number - self._whole[corpus]
            shared = np.flatnonzero(extra >= 0)
            number %= size
            number[shared] = self._shares[corpus]((extra[shared] + self._moved[corpus]) % size)
            pairs[here] = self._starts[corpus] + number
        return pairs
