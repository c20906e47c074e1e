"""Scores that are products of query and key: dot, scaled dot, general.

B sentences, Q queries each, S source length, N heads, R = B x N rows, H query size, M memory size, A key size.

All queries of a sentence are compared with all its keys in one product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.attention.heads import split_heads
from nmt.model.linear import Linear


class Score(nn.Module):
    """Compares queries with keys."""

    def keys(self, states: Tensor) -> Tensor:
        """Return what `forward` takes as keys of `states` [B, S, M]. It is computed once for each sentence."""
        raise NotImplementedError

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        """Return the scores [R, Q, S] of `queries` [B, Q, H]; `coverage` [B, Q, S] where the score reads it."""
        raise NotImplementedError


class DotScore(Score):
    """score(q, k) = scale * q . k.

    Dot has scale 1 (Luong et al. 2015, eq. 8), scaled dot 1/sqrt(A) (Vaswani et al. 2017, eq. 1). Query and memory must
    have the same size.
    """

    def __init__(self, *, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys [B, S, M]: `states` themselves."""
        return states

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        return _products(queries, keys, self.scale)


class GeneralScore(Score):
    """score(q, k) = q . W k (Luong et al. 2015, eq. 8, general); a head compares its shares of q and of W k."""

    def __init__(self, *, query_size: int, memory_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = Linear(memory_size, query_size, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys W k [B, S, H] of `states` [B, S, M]; with heads [B, N, S, H/N]."""
        keys: Tensor = self.projection(states)
        return keys if self.heads == 1 else split_heads(keys, self.heads)

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        if self.heads == 1:
            return _products(queries, keys, 1.0)
        return _products(split_heads(queries, self.heads).flatten(0, 1), keys.flatten(0, 1), 1.0)


class MultiHeadDotScore(Score):
    """score_n(q, k) = scale * W_n q . U_n k: projections for each head n (Vaswani et al. 2017, section 3.2.2)."""

    def __init__(self, *, query_size: int, memory_size: int, size: int, heads: int, scale: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.query_projection = Linear(query_size, size, bias=False)
        self.key_projection = Linear(memory_size, size, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys U k [B, N, S, A/N] of `states` [B, S, M]."""
        return split_heads(self.key_projection(states), self.heads)

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        projected = split_heads(self.query_projection(queries), self.heads)
        return _products(projected.flatten(0, 1), keys.flatten(0, 1), self.scale)


def _products(queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    """Return scale * q . k [R, Q, S] for `queries` [R, Q, A] and `keys` [R, S, A]."""
    return torch.bmm(queries if scale == 1.0 else queries * scale, keys.transpose(1, 2))
