"""The score of a small tanh network: additive and concat.

B sentences, Q queries each, S source length, N heads, R = B x N rows, H query size, M memory size, A features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.attention.scores import Score
from nmt.model.attention.tanh_scores import tanh_scores
from nmt.model.linear import Linear


class Vector(nn.Module):
    """A vector of weights [1, A]. It is no `nn.Linear`, as it is never multiplied on its own."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, size))


class AdditiveScore(Score):
    """score(q, k) = v . tanh(W q + U k + b), or with coverage c: v . tanh(W q + U k + b + w c).

    Additive: Bahdanau et al. 2015, appendix A.1.2. Concat, v . tanh(W [q; k]) (Luong et al. 2015, eq. 8), is the same
    without the bias b: one matrix times two vectors side by side is the sum of two products.
    Coverage c is the sum of the attention that the position has had before (See et al. 2017, eq. 11; the linguistic
    coverage of Tu et al. 2016 with fertility 1).
    With heads, each sums its own A/N features of v . tanh(...) to a score of its own (RNMT+, Chen et al. 2018): as many
    parameters as with one head.
    """

    def __init__(self, *, query_size: int, memory_size: int, size: int, heads: int, bias: bool, coverage: bool) -> None:
        super().__init__()
        self.heads = heads
        self.query_projection = Linear(query_size, size, bias=bias)
        self.key_projection = Linear(memory_size, size, bias=False)
        self.coverage_vector = Vector(size) if coverage else None
        self.vector = Vector(size)

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys U k [B, S, A] of `states` [B, S, M]."""
        keys: Tensor = self.key_projection(states)
        return keys

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        scores = tanh_scores(
            self.query_projection(queries),
            keys,
            self.vector.weight.view(self.heads, -1),
            coverage=None if self.coverage_vector is None else coverage,
            coverage_weight=None if self.coverage_vector is None else self.coverage_vector.weight[0],
        )
        return scores.flatten(0, 1)
