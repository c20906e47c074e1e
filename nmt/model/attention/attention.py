"""Attention: score, softmax, weighted sum.

B sentences, Q queries each, S source length, H query size, M memory size, A key size, N heads, R = B x N rows.

A decoder state is the query, the encoder states are keys and values. The score compares the query with each key
(`scores.py`, `additive.py`), a softmax over the real positions, all of them or those of a window (`local.py`), turns
scores into weights, and the weighted sum of the values is the context.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.attention.heads import join_heads, split_heads
from nmt.model.attention.local import MonotonicWindow, PredictiveWindow
from nmt.model.attention.scores import Score
from nmt.model.dropout import Dropout
from nmt.model.linear import Linear
from nmt.model.memory import Memory


class Attention(nn.Module):
    """Attention over the source with a given score function, over all of the sentence or a window.

    With several heads (Vaswani et al. 2017, section 3.2.2), each has its own scores, weights, and values V_n h of M/N
    features; the context is the heads' contexts side by side. The paper's matrix over that is left out: what reads the
    context multiplies it by a matrix anyway.
    """

    def __init__(
        self,
        *,
        score: Score,
        window: MonotonicWindow | PredictiveWindow | None,
        memory_size: int,
        heads: int,
        coverage: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.score = score
        self.window = window
        self.heads = heads
        self.context_size = memory_size
        self.needs_coverage = coverage
        self.value_projection = Linear(memory_size, memory_size, bias=False) if heads > 1 else None
        self.dropout = Dropout(dropout)

    @property
    def needs_position(self) -> bool:
        """Whether `forward` must be told the target positions."""
        return isinstance(self.window, MonotonicWindow)

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys that `Memory` carries for `states` [B, S, M]: [B, S, A], or split by head [B, N, S, A/N]."""
        return self.score.keys(states)

    def values(self, states: Tensor) -> Tensor | None:
        """Return the values [B, N, S, M/N] that `Memory` carries for the heads; None with one: `states` themselves."""
        return None if self.value_projection is None else split_heads(self.value_projection(states), self.heads)

    def forward(
        self,
        queries: Tensor,
        memory: Memory,
        *,
        positions: Tensor | None = None,
        coverage: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Attend with `queries`.

        Args:
            queries: Decoder states [B, Q, H].
            memory: The sentences.
            positions: Target position of each query, from 0 [B, Q], int64; read where `needs_position`.
            coverage: Sums of the weights of earlier positions [B, Q, S]; read where `needs_coverage`.

        Returns:
            Contexts [B, Q, M], and weights [B, Q, S]: float32, exactly zero on padding and outside the window, before
            dropout, the mean over heads.
        """
        assert coverage is not None or not self.needs_coverage
        scores = self.score(queries, memory.keys, coverage).float()
        visible, bell = memory.mask.unsqueeze(1), None
        if self.window is not None:
            visible, bell = self.window(queries, memory.mask, positions)
        if len(visible) != len(scores):
            visible = visible.repeat_interleave(self.heads, dim=0)
        weights = torch.softmax(scores.masked_fill(~visible, float("-inf")), dim=-1)
        if bell is not None:
            weights = weights * bell
        kept = self.dropout(weights)
        if memory.values is None:
            return torch.bmm(kept.to(memory.states.dtype), memory.states), weights
        contexts = torch.bmm(kept.to(memory.values.dtype), memory.values.flatten(0, 1))
        return join_heads(contexts, self.heads), weights.view(-1, self.heads, *weights.shape[1:]).mean(1)
