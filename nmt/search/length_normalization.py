"""Length normalization: makes the scores of hypotheses of different lengths comparable.

A sum of log-probabilities falls with each piece, which favours short hypotheses. The score is

    score(y) = log p(y) / divisor(n)        n: pieces of y, EOS included

    none      divisor(n) = 1
    average   divisor(n) = n^alpha           alpha = 1: the mean log-probability of a piece
    gnmt      divisor(n) = ((5 + n) / 6)^alpha            (Wu et al. 2016, eq. 14)

With alpha = 0, average and gnmt equal none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nmt.errors import UsageError

Kind = Literal["none", "average", "gnmt"]
DEFAULT_ALPHA = {"none": 0.0, "average": 1.0, "gnmt": 0.6}


@dataclass(frozen=True, kw_only=True)
class LengthNormalization:
    """Divides the log-probability of a hypothesis by a function of its length."""

    kind: Kind
    alpha: float
    """At least 0, so that the divisor never falls with the length."""

    def __post_init__(self) -> None:
        if self.alpha < 0:
            raise UsageError(f"alpha must not be negative, found {self.alpha}.")

    def divisor(self, length: ArrayLike) -> NDArray[np.float64]:
        """Return the divisor for hypotheses of `length` pieces (EOS included); it never falls with the length."""
        pieces = np.asarray(length, dtype=np.float64)
        if self.kind == "none":
            return np.ones_like(pieces)
        if self.kind == "average":
            return np.asarray(pieces**self.alpha)
        return np.asarray(((5.0 + pieces) / 6.0) ** self.alpha)

    def score(self, log_probability: ArrayLike, length: ArrayLike) -> NDArray[np.float64]:
        """Return the score of hypotheses of `length` pieces (EOS included); any shapes that broadcast."""
        return np.asarray(np.asarray(log_probability, dtype=np.float64) / self.divisor(length))


def make_length_normalization(kind: Kind, alpha: float | None) -> LengthNormalization:
    """Return the normalization of these options; alpha None means 1 for average and 0.6 for gnmt.

    Raises:
        UsageError: alpha is negative, or would have no effect.
    """
    if kind == "none" and alpha:
        raise UsageError(f"alpha {alpha} has no effect with length_normalization none. Choose average or gnmt.")
    return LengthNormalization(kind=kind, alpha=DEFAULT_ALPHA[kind] if alpha is None else alpha)
