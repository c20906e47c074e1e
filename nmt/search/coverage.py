"""The coverage penalty of Wu et al. (2016), eq. 14: a translation should attend to all of its source.

R rows, B sentences, S source length.

    cp(X; Y) = beta * sum over i of log(min(sum over j of p_ij, 1))

p_ij is the weight of source position i when target position j (EOS among them) is predicted. It is added to the score
after length normalisation, and only ranks hypotheses that have ended. It is never above 0, so the search's bound on
what a live hypothesis can still reach holds as it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from nmt.errors import UsageError

LEAST = 1e-6
"""A position that was never looked at counts as if it had been looked at so much: log 0 would settle everything."""


class CoveragePenalty:
    """The penalty for the sentences of one batch."""

    def __init__(self, *, beta: float, lengths: Tensor, width: int) -> None:
        """Keep what is given.

        Args:
            beta: Strength, above 0.
            lengths: Source lengths [B], EOS included.
            width: S.
        """
        self._beta = beta
        self._lengths = lengths
        self._width = width

    def start(self) -> Tensor:
        """Return the coverage before the first piece [B, S]: nothing but padding is covered."""
        positions = torch.arange(self._width, device=self._lengths.device)
        return (positions >= self._lengths.unsqueeze(1)).float()

    def add(self, coverage: Tensor, weights: Tensor | None) -> Tensor:
        """Return `coverage` [R, S] and the attention `weights` [R, S] of one more position.

        Raises:
            UsageError: The model has no attention.
        """
        if weights is None:
            raise UsageError("coverage_penalty needs attention, and this model has none: leave it out")
        return coverage + weights

    def bonus(self, coverage: Tensor) -> Tensor:
        """Return what is added to the score of hypotheses with this `coverage` [R, S] that end now [R]."""
        return self._beta * coverage.double().clamp(LEAST, 1.0).log().sum(1)
