"""How long sentences and their translations get, as the training text shows it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

LONGER = 1e-4
"""The share of pairs that may be longer."""


def longest_source(source_lengths: NDArray[np.int32]) -> int:
    """Return the number of pieces that one source in 10,000 has more than; at least 1."""
    return max(1, math.ceil(float(np.quantile(source_lengths, 1 - LONGER))))


def length_ratio(source_lengths: NDArray[np.int32], target_lengths: NDArray[np.int32], *, constant: int) -> float:
    """Return the r for which one pair in 10,000 has a target of more than r * source + `constant` pieces.

    At least 1, and rounded up to hundredths.

    Args:
        source_lengths: Pieces of each source.
        target_lengths: Pieces of each target.
        constant: Pieces that every translation may have.
    """
    ratios = (np.asarray(target_lengths, np.float64) - constant) / np.maximum(source_lengths, 1)
    return max(1.0, math.ceil(float(np.quantile(ratios, 1 - LONGER)) * 100) / 100)
