"""Attention: score, softmax, weighted sum.

B sentences, Q queries each, S source length, H query size, M memory size, A key size, N heads, P = B * N problems (a
sentence and a head each).

The query is a decoder state, keys and values come from the encoder states. A score function compares the query with
each key. A softmax over the real positions (all of them, or those of a window: `local_attention.py`) turns the scores
into weights, and the weighted sum of the values is the context.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.additive_kernel import additive_scores
from nmt.model.layers import Dropout, Linear, join_heads, split_heads
from nmt.model.local_attention import MonotonicWindow, PredictiveWindow
from nmt.model.memory import Memory


class Attention(nn.Module):
    """Attention over the whole source sentence or a window of it, with any score function.

    With several heads (Vaswani et al. 2017, section 3.2.2), each has its own scores, weights, and values V_n h of M/N
    features. The context is the concatenation of the heads' contexts. The paper's output matrix is left out, because
    the next layer multiplies the context by a matrix anyway.
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
        """Whether `forward` requires `coverage`."""
        self.needs_position = isinstance(window, MonotonicWindow)
        """Whether `forward` requires `positions`."""
        self.value_projection = Linear(memory_size, memory_size, bias=False) if heads > 1 else None
        self.dropout = Dropout(dropout)

    def keys_and_values(self, states: Tensor) -> tuple[Tensor, Tensor | None]:
        """Project `states` [B, S, M] once for each sentence.

        Returns:
            Keys [B, S, A] and None, or with several heads keys [B, N, S, A/N] and values [B, N, S, M/N].
        """
        keys = self.score.keys(states)
        if self.value_projection is None:
            return keys, None
        return keys, split_heads(self.value_projection(states), self.heads)

    def forward(
        self,
        queries: Tensor,
        memory: Memory,
        *,
        positions: Tensor | None = None,
        coverage: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute context and weights for each query.

        Args:
            queries: Decoder states [B, Q, H].
            memory: The encoded sentences.
            positions: Target position of each query, from 0 [B, Q], int64; required if `needs_position`.
            coverage: Sums of the weights of earlier positions [B, Q, S]; required if `needs_coverage`.

        Returns:
            Contexts [B, Q, M] and weights [B, Q, S]. The weights are float32, before dropout, the mean over heads, and
            exactly zero at padding and outside the window.
        """
        assert coverage is not None or not self.needs_coverage
        scores = self.score(queries, memory.keys, coverage).float()  # [P, Q, S]
        visible, gaussian = memory.mask.unsqueeze(1), None  # [B, 1, S]
        if self.window is not None:
            visible, gaussian = self.window(queries, memory.mask, positions)  # [P or B, Q, S] each
        if len(visible) != len(scores):
            visible = visible.repeat_interleave(self.heads, dim=0)  # [P, 1 or Q, S]
        weights = torch.softmax(scores.masked_fill(~visible, float("-inf")), dim=-1)  # [P, Q, S]
        if gaussian is not None:
            weights = weights * gaussian
        dropped = self.dropout(weights)
        if memory.values is None:
            return torch.bmm(dropped.to(memory.states.dtype), memory.states), weights  # [B, Q, M], [B, Q, S]
        values = memory.values.flatten(0, 1)  # [P, S, M/N]
        contexts = torch.bmm(dropped.to(values.dtype), values)  # [P, Q, M/N]
        by_head = weights.view(-1, self.heads, *weights.shape[1:])  # [B, N, Q, S]
        return join_heads(contexts, self.heads), by_head.mean(1)  # [B, Q, M], [B, Q, S]


class ScoreFunction(nn.Module):
    """Compares each query with each key."""

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys of `states` [B, S, M], computed once for each sentence."""
        raise NotImplementedError

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        """Return the scores [P, Q, S] of `queries` [B, Q, H], given the result of `keys` and `coverage` [B, Q, S]."""
        raise NotImplementedError


class DotScore(ScoreFunction):
    """score(q, k) = scale * q . k.

    The scale is 1 for dot (Luong et al. 2015, eq. 8) and 1/sqrt(A) for scaled dot (Vaswani et al. 2017, eq. 1). Query
    and memory must have the same size.
    """

    def __init__(self, *, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def keys(self, states: Tensor) -> Tensor:
        """Return `states` [B, S, M] as the keys."""
        return states

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        return _dot_products(queries, keys, self.scale)


class GeneralScore(ScoreFunction):
    """score(q, k) = q . W k (Luong et al. 2015, eq. 8, general). Each head compares its part of q and of W k."""

    def __init__(self, *, query_size: int, memory_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = Linear(memory_size, query_size, bias=False)

    def keys(self, states: Tensor) -> Tensor:
        """Return the keys W k [B, S, H] of `states` [B, S, M], with several heads [B, N, S, H/N]."""
        keys: Tensor = self.projection(states)
        return keys if self.heads == 1 else split_heads(keys, self.heads)

    def forward(self, queries: Tensor, keys: Tensor, coverage: Tensor | None) -> Tensor:
        if self.heads == 1:
            return _dot_products(queries, keys, 1.0)
        split_queries = split_heads(queries, self.heads).flatten(0, 1)  # [P, Q, H/N]
        return _dot_products(split_queries, keys.flatten(0, 1), 1.0)  # [P, Q, S]


class MultiHeadDotScore(ScoreFunction):
    """score_n(q, k) = scale * W_n q . U_n k, with projections of each head n (Vaswani et al. 2017, section 3.2.2)."""

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
        split_queries = split_heads(self.query_projection(queries), self.heads).flatten(0, 1)  # [P, Q, A/N]
        return _dot_products(split_queries, keys.flatten(0, 1), self.scale)  # [P, Q, S]


def _dot_products(queries: Tensor, keys: Tensor, scale: float) -> Tensor:
    """Return scale * q . k [P, Q, S] for `queries` [P, Q, A] and `keys` [P, S, A]."""
    return torch.bmm(queries if scale == 1.0 else queries * scale, keys.transpose(1, 2))  # [P, Q, S]


class Vector(nn.Module):
    """A weight vector [1, A], read by `additive_scores`. An `nn.Linear` would be packed for the search."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, size))


class AdditiveScore(ScoreFunction):
    """score(q, k) = v . tanh(W q + U k + b), or with coverage c: v . tanh(W q + U k + b + w c).

    Additive: Bahdanau et al. 2015, appendix A.1.2. Concat, v . tanh(W [q; k]) (Luong et al. 2015, eq. 8), equals
    additive without the bias b, because one matrix times two concatenated vectors is the sum of two products.
    Coverage c is the sum of the attention that a source position has received so far (See et al. 2017, eq. 11; the
    linguistic coverage of Tu et al. 2016 with fertility 1).
    With several heads, each sums its own A/N features of v . tanh(...) to its own score (RNMT+, Chen et al. 2018). The
    number of parameters does not depend on the number of heads.
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
            self.vector.weight.view(self.heads, -1),  # [N, A/N]
            coverage=None if self.coverage_vector is None else coverage,
            coverage_weight=None if self.coverage_vector is None else self.coverage_vector.weight[0],  # [A]
        )  # [B, N, Q, S]
        return scores.flatten(0, 1)  # [P, Q, S]


def coverage_loss(weights: Tensor, target_mask: Tensor) -> Tensor:
    """Sum min(a_ts, c_ts) over all real target positions t and source positions s (See et al. 2017, eq. 12).

    The coverage c_ts is the sum of the weights a_1s to a_(t-1)s. The loss of a target position lies between 0 and 1.

    Args:
        weights: Attention weights a [B, T, S], zero on source padding.
        target_mask: True at real target positions [B, T].
    """
    real = weights * target_mask.unsqueeze(-1)  # [B, T, S]
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
    """Build an attention module with random weights.

    Args:
        score: "dot", "scaled_dot", "general", "concat" or "additive".
        scope: "global", "local_m" or "local_p".
        heads: Number of heads. It must divide `memory_size` and the compared features: `query_size` for general, `size`
            for other scores.
        window: Positions on each side of the center of a local window.
        coverage: Add coverage to the score; for concat and additive only.
        query_size: Features of a query.
        memory_size: Features of a source position. Dot and scaled dot with one head require `query_size`.
        size: Features of the tanh layer of concat and additive; features of the projections of dot and scaled dot with
            several heads, all heads together.
        dropout: Dropout probability of attention weights.
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
