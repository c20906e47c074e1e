"""Attention: score, softmax, weighted sum.

B sentences, Q queries each, S source length, M memory size, H query size, A key size.

A decoder state is the query, the encoder states are keys and values. The score compares the query with each key, a
softmax over the real positions turns scores into weights, and the weighted sum of the values is the context. All
queries of a batch are compared in one product.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.memory import Memory


class DotScore(nn.Module):
    """score(q, k) = q . k (Luong et al. 2015, eq. 8, dot). Query and memory must have the same size."""

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys [B, S, A] of `states` [B, S, M]: themselves."""
        return states

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Compare `queries` [B, Q, A] with `keys` [B, S, A]; return scores [B, Q, S]."""
        return torch.bmm(queries, keys.transpose(1, 2))


class GeneralScore(nn.Module):
    """score(q, k) = q . W k (Luong et al. 2015, eq. 8, general)."""

    def __init__(self, *, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.projection = nn.Linear(memory_size, query_size, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys W k [B, S, H] of `states` [B, S, M]."""
        keys: Tensor = self.projection(states)
        return keys

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Compare `queries` [B, Q, H] with `keys` [B, S, H]; return scores [B, Q, S]."""
        return torch.bmm(queries, keys.transpose(1, 2))


class AdditiveScore(nn.Module):
    """score(q, k) = v . tanh(W q + U k) (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, *, query_size: int, memory_size: int, size: int) -> None:
        super().__init__()
        self.query_projection = nn.Linear(query_size, size, bias=True)
        self.key_projection = nn.Linear(memory_size, size, bias=False)
        self.vector = nn.Linear(size, 1, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys U k [B, S, A] of `states` [B, S, M]."""
        keys: Tensor = self.key_projection(states)
        return keys

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Compare `queries` [B, Q, H] with `keys` [B, S, A]; return scores [B, Q, S]. Holds B x Q x S x A numbers."""
        hidden = torch.tanh(self.query_projection(queries).unsqueeze(2) + keys.unsqueeze(1))
        scores: Tensor = self.vector(hidden)
        return scores.squeeze(-1)


def make_score(kind: str, *, query_size: int, memory_size: int, size: int) -> nn.Module:
    """Return the score function `kind`: "dot", "general" or "additive" (`size`: features of its tanh layer)."""
    if kind == "dot":
        return DotScore()
    if kind == "general":
        return GeneralScore(query_size=query_size, memory_size=memory_size)
    return AdditiveScore(query_size=query_size, memory_size=memory_size, size=size)


class Attention(nn.Module):
    """Attention over the whole source sentence with a given score function."""

    def __init__(self, score: nn.Module) -> None:
        super().__init__()
        self.score = score

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys [B, S, A] that `Memory` carries for `states` [B, S, M]."""
        keys: Tensor = self.score.keys(states)  # type: ignore[operator]
        return keys

    def forward(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Attend with `queries` [B, Q, H]; return contexts [B, Q, M] and float32 weights [B, Q, S], zero on padding."""
        scores = self.score(queries, memory.keys).float()
        weights = torch.softmax(scores.masked_fill(~memory.mask.unsqueeze(1), float("-inf")), dim=-1)
        return torch.bmm(weights.to(memory.states.dtype), memory.states), weights
