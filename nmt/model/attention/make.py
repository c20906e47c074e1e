"""From options to an attention."""

from __future__ import annotations

from nmt.model.attention.additive import AdditiveScore
from nmt.model.attention.attention import Attention
from nmt.model.attention.local import MonotonicWindow, PredictiveWindow
from nmt.model.attention.scores import DotScore, GeneralScore, MultiHeadDotScore, Score


def make_attention(
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


def _score(kind: str, *, heads: int, coverage: bool, query_size: int, memory_size: int, size: int) -> Score:
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
