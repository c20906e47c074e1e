"""Length normalisation: how hypotheses of different lengths compare.

A sum of log-probabilities falls with each piece, so that short hypotheses would always win. The score is

    score(y) = log p(y) / divisor(n)        n: pieces of y, EOS included

    none      divisor(n) = 1
    average   divisor(n) = n^alpha           alpha = 1: the mean log-probability of a piece
    gnmt      divisor(n) = ((5 + n) / 6)^alpha            (Wu et al. 2016, eq. 14)

With alpha = 0 both are the same as none.
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
    """A way to make the log-probabilities of hypotheses of different lengths comparable."""

    kind: Kind
    alpha: float
    """At least 0, so that the divisor never falls with the length."""

    def __post_init__(self) -> None:
        if self.alpha < 0:
            raise UsageError(f"The exponent alpha of length normalisation must not be negative, but is {self.alpha}.")

    def divisor(self, length: ArrayLike) -> NDArray[np.float64]:
        """Return what the log-probability of a hypothesis of `length` pieces (EOS included) is divided by."""
        pieces = np.asarray(length, dtype=np.float64)
        if self.kind == "none":
            return np.ones_like(pieces)
        if self.kind == "average":
            return np.asarray(pieces**self.alpha)
        return np.asarray(((5.0 + pieces) / 6.0) ** self.alpha)

    def score(self, log_probability: ArrayLike, length: ArrayLike) -> NDArray[np.float64]:
        """Return the score of hypotheses of `length` pieces (EOS included); any shapes that broadcast."""
        return np.asarray(np.asarray(log_probability, dtype=np.float64) / self.divisor(length))

    def upper_bound(self, log_probability: ArrayLike, max_length: ArrayLike) -> NDArray[np.float64]:
        """Return the best score that an unfinished hypothesis of `log_probability` may still reach.

        Further pieces can only lower the log-probability, and a negative number is divided by the most at the
        greatest length: so nothing that grows out of it scores above log p / divisor(max_length).
        """
        return self.score(log_probability, max_length)


def make_length_normalization(kind: Kind, alpha: float | None) -> LengthNormalization:
    """Return the normalisation of these options; None is the usual alpha: 1 for average, 0.6 for gnmt.

    Raises:
        UsageError: An alpha without a normalisation, which would do nothing; or a negative one.
    """
    if kind == "none" and alpha:
        raise UsageError(f"alpha = {alpha} has no effect without length normalisation: choose average or gnmt.")
    return LengthNormalization(kind=kind, alpha=DEFAULT_ALPHA[kind] if alpha is None else alpha)
