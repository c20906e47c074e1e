"""Attention: score, softmax, weighted sum. The equations are those of `nmt.model.attention` and its window module.

B sentences, K rows per sentence, R = B x K rows, S source length, H query size, M memory size, A key size, N heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from nmt.arrays import Array, namespace
from nmt.engine.memory import InferenceState, SourceMemory, Trace, record
from nmt.engine.products import MatrixProduct, linear
from nmt.engine.weights import Weights

if TYPE_CHECKING:
    from nmt.config.schema import ModelConfig

CHUNK_ELEMENTS = 262_144
"""Size of the buffer of additive scores: one megabyte of float32, which stays in cache."""


class Attended(NamedTuple):
    """The result of attention at one position."""

    context: Array
    """[R, M]"""
    weights: Array
    """Mean weights of the heads [R, S], exactly zero at padding and outside the window."""
    coverage: Array | None
    """The coverage after this position [R, S]."""
    position: Array | None
    """The position after this one [R]."""


class InferenceAttention:
    """Attention over the whole source sentence or a window of it, with any score function."""

    def __init__(self, weights: Weights, config: ModelConfig, *, memory_size: int) -> None:
        """Lay out the parameters; see `nmt.model.attention` for the options."""
        options, query_size, prefix = config.attention, config.decoder.hidden_size, "decoder.attention."
        self._heads = options.heads
        self._window = options.window
        self._scope = options.scope
        self.context_size = memory_size
        self.needs_coverage = options.coverage
        self.needs_position = options.scope == "local_m"
        self._score = _make_score(weights, config, memory_size=memory_size)
        self._values = None
        if self._heads > 1:
            self._values = linear(weights, f"{prefix}value_projection", memory_size, memory_size, once=True)
        self._centers: tuple[MatrixProduct, MatrixProduct] | None = None
        if options.scope == "local_p":
            self._centers = (
                linear(weights, f"{prefix}window.projection", query_size, query_size),
                linear(weights, f"{prefix}window.vector", self._heads, query_size),
            )

    def keys_and_values(self, states: Array) -> tuple[Array, Array]:
        """Project `states` [B, S, M] once for each sentence.

        Returns:
            Keys [B, N, S, A/N], or [B, S, A] of additive scores; and values [B, N, S, M/N].
        """
        by_head = namespace(states).expand_dims(states, axis=1)  # [B, 1, S, M]
        keys = self._score.keys(states)
        values = by_head if self._values is None else _by_head(_project(self._values, states), self._heads)
        return by_head if keys is None else keys, values

    def __call__(
        self, queries: Array, state: InferenceState, memory: SourceMemory, trace: Trace | None = None
    ) -> Attended:
        """Attend with `queries` [R, H], one for each row of `state`.

        With `trace`, record query [R, H], scores and head_weights [B, N, K, S], visible and factors of a window, and
        the arrays of the score function.
        """
        xp = namespace(queries)
        width = memory.states.shape[1]
        coverage, position = state.coverage, state.position
        scores = self._score(queries, memory, coverage, trace)  # [B, N, K, S]
        visible, factors = self._visible(queries, memory, position)  # [B, 1 or N, 1 or K, S] each
        record(trace, query=queries, scores=scores, visible=visible, factors=factors)
        weights = _softmax(scores, visible)
        if factors is not None:
            weights *= factors
        record(trace, head_weights=weights)
        contexts = xp.matmul(weights, memory.values)  # [B, N, K, M/N]
        if self._heads > 1:
            contexts = xp.permute_dims(contexts, (0, 2, 1, 3))  # [B, K, N, M/N]
            weights = xp.mean(weights, axis=1)  # [B, K, S]
        weights = xp.reshape(weights, (-1, width))  # [R, S]
        return Attended(
            xp.reshape(contexts, (len(queries), self.context_size)),
            weights,
            None if coverage is None else coverage + weights,
            None if position is None else position + 1,
        )

    def _visible(self, queries: Array, memory: SourceMemory, position: Array | None) -> tuple[Array, Array | None]:
        """Return which positions each query may attend to, and factors of the weights; see `local_attention.py`."""
        xp = namespace(queries)
        sentences, width, _ = memory.states.shape
        mask = memory.mask[:, None, None, :]  # [B, 1, 1, S]
        if self._scope == "global":
            return mask, None
        positions = xp.arange(width, device=queries.device)  # [S]
        if self._centers is None:
            assert position is not None
            centers = xp.reshape(position, (sentences, 1, -1))  # [B, 1, K]
            centers = xp.minimum(centers, (memory.lengths - 1 + self._window)[:, None, None])
            distances = positions - centers[..., None]  # [B, 1, K, S]
            return (xp.abs(distances) <= self._window) & mask, None
        projection, vector = self._centers
        logits = vector(xp.tanh(projection(queries)))  # [R, N]
        logits = xp.permute_dims(xp.reshape(logits, (sentences, -1, self._heads)), (0, 2, 1))  # [B, N, K]
        lengths = xp.astype(memory.lengths, logits.dtype)[:, None, None]  # [B, 1, 1]
        centers = (xp.tanh(logits * 0.5) * 0.5 + 0.5) * lengths  # [B, N, K]
        distances = xp.astype(positions, logits.dtype) - centers[..., None]  # [B, N, K, S]
        return (xp.abs(distances) <= self._window) & mask, xp.exp(distances * distances * (-2 / self._window**2))


def _softmax(scores: Array, visible: Array) -> Array:
    """Return the softmax over the visible positions of `scores` [B, N, K, S], which are overwritten."""
    xp = namespace(scores)
    if not bool(xp.all(visible)):
        scores = xp.where(visible, scores, -xp.inf)
    scores -= xp.max(scores, axis=-1, keepdims=True)
    xp.exp(scores, out=scores)
    scores /= xp.sum(scores, axis=-1, keepdims=True)
    return scores


class DotProducts:
    """Scores that are products of queries and keys: dot, scaled dot and general, with any number of heads."""

    def __init__(self, *, keys: MatrixProduct | None, queries: MatrixProduct | None, scale: float, heads: int) -> None:
        """Take the projections.

        Args:
            keys: The projection of the memory. None: the memory itself.
            queries: The projection of the queries. None: the queries themselves.
            scale: Factor of the scores.
            heads: N.
        """
        self._keys = keys
        self._queries = queries
        self._scale = scale
        self._heads = heads

    def keys(self, states: Array) -> Array | None:
        """Return the keys [B, N, S, A/N] of `states` [B, S, M]; None: the states."""
        return None if self._keys is None else _by_head(_project(self._keys, states), self._heads)

    def __call__(
        self, queries: Array, memory: SourceMemory, coverage: Array | None, trace: Trace | None = None
    ) -> Array:
        """Return the scores [B, N, K, S] of `queries` [R, H]; record projected_query [R, A]."""
        xp = namespace(queries)
        if self._queries is not None:
            queries = self._queries(queries)  # [R, A]
            record(trace, projected_query=queries)
        if self._scale != 1:
            queries = queries * self._scale
        by_sentence = xp.reshape(queries, (len(memory.states), -1, queries.shape[1]))  # [B, K, A]
        return xp.matmul(_by_head(by_sentence, self._heads), xp.matrix_transpose(memory.keys))


class AdditiveScores:
    """v . tanh(W q + U k + b + w c); see `AdditiveScore` in `nmt.model.attention`."""

    def __init__(self, weights: Weights, config: ModelConfig, *, memory_size: int) -> None:
        """Lay out the parameters."""
        options, query_size, prefix = config.attention, config.decoder.hidden_size, "decoder.attention.score."
        size = options.size or query_size
        bias = options.score == "additive"
        self._queries = linear(weights, f"{prefix}query_projection", size, query_size, bias=bias)
        self._keys = linear(weights, f"{prefix}key_projection", size, memory_size, once=True)
        self._coverage = weights.take(f"{prefix}coverage_vector.weight", 1, size) if options.coverage else None
        vector = weights.take(f"{prefix}vector.weight", 1, size)
        xp = weights.namespace
        # Head n sums the n-th part of the features.
        heads = xp.arange(options.heads, device=vector.device)[:, None]  # [N, 1]
        part = xp.arange(size, device=vector.device) // (size // options.heads)  # [A]
        self._vectors = xp.where(part == heads, vector, xp.zeros_like(vector))  # [N, A]
        self._heads = options.heads

    def keys(self, states: Array) -> Array | None:
        """Return the keys U k [B, S, A] of `states` [B, S, M]."""
        return _project(self._keys, states)

    def __call__(
        self, queries: Array, memory: SourceMemory, coverage: Array | None, trace: Trace | None = None
    ) -> Array:
        """Return the scores [B, N, K, S] of `queries` [R, H], given `coverage` [R, S].

        With `trace`, record projected_query [R, A].
        """
        xp = namespace(queries)
        sentences, width, size = memory.keys.shape
        projected = self._queries(queries)  # [R, A]
        record(trace, projected_query=projected)
        projected = xp.reshape(projected, (sentences, -1, 1, size))  # [B, K, 1, A]
        rows = projected.shape[1]
        covered = None if coverage is None else xp.reshape(coverage, (sentences, rows, width, 1))  # [B, K, S, 1]
        shape = (sentences, rows, width, self._heads)
        scores = xp.empty(shape, dtype=queries.dtype, device=queries.device)
        for chunk in _chunks(sentences, rows, width * size):
            features = projected[chunk] + memory.keys[chunk[0], None]  # [b, k, S, A]
            if covered is not None:
                features += covered[chunk] * self._coverage
            xp.tanh(features, out=features)
            scores[chunk] = xp.matmul(features, self._vectors.T)  # [b, k, S, N]
        return xp.permute_dims(scores, (0, 3, 1, 2))


def _chunks(sentences: int, rows: int, elements: int) -> Iterator[tuple[slice, slice]]:
    """Split sentences, and the rows of a sentence that is too large, into parts of CHUNK_ELEMENTS."""
    few_sentences = max(1, CHUNK_ELEMENTS // (rows * elements))
    few_rows = max(1, CHUNK_ELEMENTS // elements)
    for sentence in range(0, sentences, few_sentences):
        for row in range(0, rows, few_rows):
            yield slice(sentence, sentence + few_sentences), slice(row, row + few_rows)


def _make_score(weights: Weights, config: ModelConfig, *, memory_size: int) -> DotProducts | AdditiveScores:
    options, query_size, prefix = config.attention, config.decoder.hidden_size, "decoder.attention.score."
    if options.score in ("additive", "concat"):
        return AdditiveScores(weights, config, memory_size=memory_size)
    if options.score == "general":
        keys = linear(weights, f"{prefix}projection", query_size, memory_size, once=True)
        return DotProducts(keys=keys, queries=None, scale=1.0, heads=options.heads)
    size = options.size or query_size
    compared = memory_size if options.heads == 1 else size // options.heads
    scale = compared**-0.5 if options.score == "scaled_dot" else 1.0
    if options.heads == 1:
        return DotProducts(keys=None, queries=None, scale=scale, heads=1)
    return DotProducts(
        queries=linear(weights, f"{prefix}query_projection", size, query_size),
        keys=linear(weights, f"{prefix}key_projection", size, memory_size, once=True),
        scale=scale,
        heads=options.heads,
    )


def _project(product: MatrixProduct, states: Array) -> Array:
    """Return the products [B, S, A] of `states` [B, S, M]."""
    xp = namespace(states)
    return xp.reshape(product(xp.reshape(states, (-1, states.shape[2]))), (*states.shape[:2], -1))


def _by_head(features: Array, heads: int) -> Array:
    """Split the features [B, T, A] among the heads: [B, N, T, A/N]."""
    xp = namespace(features)
    sentences, length, size = features.shape
    if heads == 1:
        return features[:, None]
    return xp.permute_dims(xp.reshape(features, (sentences, length, heads, size // heads)), (0, 2, 1, 3))
