"""Reranks n-best lists by the weighted scores of several models.

N hypotheses of a sentence, M hypotheses of all sentences, K features.

A right-to-left model scores the end of a hypothesis as reliably as a left-to-right model scores its beginning. A model
of the opposite direction scores how well a hypothesis covers the source (Li & Jurafsky 2016; Sennrich et al. 2016).
With f_k the mean log-probability of a piece under model k, of the hypothesis given the source or of the source given
the hypothesis,

    y* = argmax_y sum_k w_k f_k(y),     w_k >= 0, sum_k w_k = 1

A grid search finds the weights that score best on sentences with references. It is cheap, because the hypotheses and
their features do not change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.evaluation.compare.significance import Counts, count
from nmt.inference.results import SentencePair
from nmt.inference.scorer import Scorer
from nmt.metrics.corpus import make_metric

FloatArray = NDArray[np.float64]

GRID_STEPS = 10
"""The grid has multiples of one over this number."""
MAX_GRID_POINTS = 20_000
BLANK_SCORE = -100.0
"""The feature of a hypothesis that a model cannot score, because it is blank."""

SEARCH_FEATURE = "search"
"""The name of the first feature, the score of the search that found the hypotheses."""


class NBestList(NamedTuple):
    """The hypotheses of one sentence."""

    source: str
    texts: list[str]
    """Empty for a blank line."""
    mean_log_probabilities: list[float]
    """The mean log-probability of a piece in the search that found them."""


class RerankScores(NamedTuple):
    """Hypotheses with their scores under all models."""

    nbest: NBestList
    features: FloatArray
    """[N, K]"""


class RerankModel(NamedTuple):
    """A model that scores hypotheses."""

    name: str
    scorer: Scorer
    reverse: bool
    """Whether it translates in the opposite direction, so that it scores the source given the hypothesis."""


def rerank_scores(sentences: Sequence[NBestList], models: Sequence[RerankModel]) -> list[RerankScores]:
    """Score all hypotheses with each model.

    Raises:
        NMTError: A single pair does not fit into memory.
    """
    columns = [[value for sentence in sentences for value in sentence.mean_log_probabilities]]
    for model in models:
        pairs = [
            SentencePair(text, sentence.source) if model.reverse else SentencePair(sentence.source, text)
            for sentence in sentences
            for text in sentence.texts
        ]
        columns.append([BLANK_SCORE if score is None else score.mean for score in model.scorer.score(pairs)])
    features = np.array(columns, dtype=np.float64).T  # [M, K]
    ends = np.cumsum([len(sentence.texts) for sentence in sentences])
    parts = np.split(features, ends[:-1]) if len(sentences) else []
    return [RerankScores(sentence, part) for sentence, part in zip(sentences, parts, strict=True)]


def ranking(scores: RerankScores, weights: FloatArray) -> list[int]:
    """Return the indices of a sentence's hypotheses, best first; ties keep their order."""
    order: list[int] = np.argsort(-(scores.features @ weights), kind="stable").tolist()
    return order


class Tuned(NamedTuple):
    """The best weights and their score."""

    weights: FloatArray
    """[K]"""
    score: float
    score_before: float
    """The score of the first hypotheses, in the order of the search."""


def tune_weights(
    sentences: Sequence[RerankScores],
    references: Sequence[str],
    *,
    metric: str,
    bleu_tokenizer: str,
    lowercase: bool,
    target_language: str,
) -> Tuned:
    """Find the weights on the grid that score best; of ties, the most uniform ones.

    Raises:
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    measure = make_metric(metric, bleu_tokenizer=bleu_tokenizer, lowercase=lowercase, target_language=target_language)
    texts = [text for sentence in sentences for text in sentence.nbest.texts or [""]]
    sizes = [max(1, len(sentence.nbest.texts)) for sentence in sentences]
    repeated = [line for line, size in zip(references, sizes, strict=True) for _ in range(size)]
    rows = np.array(count(measure, texts, repeated).rows, dtype=np.float64)  # [M, counts]
    starts = np.cumsum([0, *sizes[:-1]])

    def score_of(selected: Sequence[int]) -> float:
        counted = [list(map(int, row)) for row in rows[starts + np.array(selected)]]
        return Counts(measure, list(counted)).score().value

    best: FloatArray = np.zeros(0)
    best_score = -np.inf
    for weights in weight_grid(sentences[0].features.shape[1] if sentences else 1):
        value = score_of([ranking(sentence, weights)[0] if sentence.nbest.texts else 0 for sentence in sentences])
        if value > best_score:
            best, best_score = weights, value
    return Tuned(best, float(best_score), score_of([0] * len(sentences)))


def weight_grid(features: int) -> Iterator[FloatArray]:
    """Generate all weights [K] on a grid that sum to one, the most uniform first; more features, coarser grid."""
    steps = GRID_STEPS
    while steps > 1 and comb(steps + features - 1, features - 1) > MAX_GRID_POINTS:
        steps -= 1
    bars = combinations(range(steps + features - 1), features - 1)
    every = np.array([np.diff([-1, *places, steps + features - 1]) - 1 for places in bars]) / steps  # [points, K]
    for number in np.argsort(((every - 1 / features) ** 2).sum(axis=1), kind="stable").tolist():
        yield every[number]


def equal_weights(names: Sequence[str]) -> dict[str, float]:
    """Return equal weights that sum to one."""
    return dict.fromkeys(names, 1 / len(names))


def in_order(weights: Mapping[str, float], names: Sequence[str]) -> FloatArray:
    """Return the weights [K] of the features `names`, in their order."""
    return np.array([weights[name] for name in names], dtype=np.float64)
