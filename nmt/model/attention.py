"""Attention: score, softmax, weighted sum.

B sentences, Q queries each, S source length, H query size, M memory size, A key size, N heads, R = B x N rows.

A decoder state is the query, the encoder states are keys and values. The score compares the query with each key
(`scores.py`, `additive.py`), a softmax over the real positions, all of them or those of a window (`local.py`), turns
scores into weights, and the weighted sum of the values is the context.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.additive_kernel import additive_scores
from nmt.model.dropout import Dropout
from nmt.model.layers import join_heads, split_heads
from nmt.model.linear import Linear
from nmt.model.local_attention import MonotonicWindow, PredictiveWindow
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
        score: ScoreFunction,
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


class ScoreFunction(nn.Module):
    """Compares queries with keys."""

    def keys(self, states: Tensor) -> Tensor:
        """Return what `forward` takes as keys of `states` [B, S, M]. It is computed once for each sentence."""
        raise NotImplementedError

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        """Return the scores [R, Q, S] of `queries` [B, Q, H]; `coverage` [B, Q, S] where the score reads it."""
        raise NotImplementedError


class DotScore(ScoreFunction):
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


class GeneralScore(ScoreFunction):
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


class MultiHeadDotScore(ScoreFunction):
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


class Vector(nn.Module):
    """A vector of weights [1, A]. It is no `nn.Linear`, as it is never multiplied on its own."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, size))


class AdditiveScore(ScoreFunction):
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
        scores = additive_scores(
            self.query_projection(queries),
            keys,
            self.vector.weight.view(self.heads, -1),
            coverage=None if self.coverage_vector is None else coverage,
            coverage_weight=None if self.coverage_vector is None else self.coverage_vector.weight[0],
        )
        return scores.flatten(0, 1)


def coverage_loss(weights: Tensor, target_mask: Tensor) -> Tensor:
    """Sum min(a_ts, c_ts) over all real target positions t and source positions s (See et al. 2017, eq. 12).

    c_ts, the coverage, is the sum of the weights a_1s to a_(t-1)s. The loss of a target position lies between 0 and 1.

    Args:
        weights: Attention weights a [B, T, S], zero on source padding.
        target_mask: True at real target positions [B, T].
    """
    real = weights * target_mask.unsqueeze(-1)
    return real.minimum(real.cumsum(1) - real).sum()


def build_attention(
    *,
    score: str,
    scope: str,
    heads: int,
    window: int,
    coverage: bool,
    query_size: int,
    memory_size: int,
    size: int,
    dropout: float,
) -> Attention:
    """Build an attention with random weights.

    Args:
        score: "dot", "scaled_dot", "general", "concat" or "additive".
        scope: "global", "local_m" or "local_p".
        heads: Number of heads. It divides `memory_size` and the size of what is compared: `query_size` for general,
            else `size`.
        window: Positions on either side of a local window's centre.
        coverage: Whether the score, concat or additive, reads the coverage.
        query_size: Features of a query.
        memory_size: Features of a source position; dot and scaled dot with one head need as many as the query has.
        size: Features of the tanh layer of concat and additive, and of what several heads of dot and scaled dot
            compare, all heads together.
        dropout: Probability of leaving out an attention weight in training.
    """
    return Attention(
        score=_score(score, heads=heads, coverage=coverage, query_size=query_size, memory_size=memory_size, size=size),
        window=_window(scope, heads=heads, half_width=window, query_size=query_size),
        memory_size=memory_size,
        heads=heads,
        coverage=coverage,
        dropout=dropout,
    )


def _score(kind: str, *, heads: int, coverage: bool, query_size: int, memory_size: int, size: int) -> ScoreFunction:
    if kind in ("additive", "concat"):
        return AdditiveScore(
            query_size=query_size,
            memory_size=memory_size,
            size=size,
            heads=heads,
            bias=kind == "additive",
            coverage=coverage,
        )
    if kind == "general":
        return GeneralScore(query_size=query_size, memory_size=memory_size, heads=heads)
    compared = memory_size if heads == 1 else size // heads
    scale = compared**-0.5 if kind == "scaled_dot" else 1.0
    if heads == 1:
        return DotScore(scale=scale)
    return MultiHeadDotScore(query_size=query_size, memory_size=memory_size, size=size, heads=heads, scale=scale)


def _window(scope: str, *, heads: int, half_width: int, query_size: int) -> MonotonicWindow | PredictiveWindow | None:
    if scope == "global":
        return None
    if scope == "local_m":
        return MonotonicWindow(half_width=half_width)
    return PredictiveWindow(query_size=query_size, heads=heads, half_width=half_width)
