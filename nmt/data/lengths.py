"""Length limits for translation that follow from the lengths in the training text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

LONGER_SHARE = 1e-4
"""Share of pairs that may be longer than the limit."""
COUNTED_PAIRS = 1 << 20
"""Pairs that are counted at once. It bounds memory."""


def longest_source(source_lengths: NDArray[np.int32]) -> int:
    """Return the length in pieces that only one source in 10,000 exceeds; at least 1."""
    counts: NDArray[Any] = np.zeros(1, dtype=np.int64)
    for first in range(0, len(source_lengths), COUNTED_PAIRS):
        part = np.bincount(source_lengths[first : first + COUNTED_PAIRS], minlength=len(counts))
        part[: len(counts)] += counts
        counts = part
    return max(1, math.ceil(_quantile(np.arange(len(counts), dtype=np.float64), counts)))


def length_ratio(source_lengths: NDArray[np.int32], target_lengths: NDArray[np.int32], *, constant: int) -> float:
    """Return the ratio r for which one pair in 10,000 has a target longer than r * source + `constant` pieces.

    The ratio is at least 1, and rounded up to hundredths.

    Args:
        source_lengths: Pieces of each source.
        target_lengths: Pieces of each target.
        constant: Length in pieces that is allowed for every source.
    """
    ratios = np.zeros(0)
    counts: NDArray[Any] = np.zeros(0, dtype=np.int64)
    for first in range(0, len(source_lengths), COUNTED_PAIRS):
        part = slice(first, first + COUNTED_PAIRS)
        new = (target_lengths[part].astype(np.float64) - constant) / np.maximum(source_lengths[part], 1)
        values, times = np.unique(new, return_counts=True)
        ratios, places = np.unique(np.concatenate([ratios, values]), return_inverse=True)
        counts = np.bincount(places, np.concatenate([counts, times]), len(ratios)).astype(np.int64)
    return max(1.0, math.ceil(_quantile(ratios, counts) * 100) / 100)


def _quantile(values: NDArray[np.float64], counts: NDArray[np.int64]) -> float:
    """Return the quantile of `LONGER_SHARE` from the top of ascending values, each as often as counted.

    The result is that of `numpy.quantile`: it interpolates linearly between two neighbours.
    """
    ends = np.cumsum(counts)
    below, rest = divmod((int(ends[-1]) - 1) * (1 - LONGER_SHARE), 1.0)
    lower, upper = values[np.searchsorted(ends, [int(below), math.ceil(below + rest)], side="right")]
    return float(upper - (upper - lower) * (1 - rest) if rest >= 0.5 else lower + (upper - lower) * rest)
