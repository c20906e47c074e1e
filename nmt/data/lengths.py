"""Length limits for translation that follow from the lengths in the training text."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LONGER_SHARE = 1e-4
"""Share of pairs that may be longer than the limit."""


def longest_source(source_lengths: NDArray[np.int32]) -> int:
    """Return the length in pieces that only one source in 10,000 exceeds; at least 1."""
    return max(1, math.ceil(float(np.quantile(source_lengths, 1 - LONGER_SHARE))))


def length_ratio(source_lengths: NDArray[np.int32], target_lengths: NDArray[np.int32], *, constant: int) -> float:
    """Return the ratio r for which one pair in 10,000 has a target longer than r * source + `constant` pieces.

    The ratio is at least 1, and rounded up to hundredths.

    Args:
        source_lengths: Pieces of each source.
        target_lengths: Pieces of each target.
        constant: Length in pieces that is allowed for every source.
    """
    ratios = (np.asarray(target_lengths, np.float64) - constant) / np.maximum(source_lengths, 1)
    return max(1.0, math.ceil(float(np.quantile(ratios, 1 - LONGER_SHARE)) * 100) / 100)
