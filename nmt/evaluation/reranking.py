"""Reranking: several models judge the candidates of each sentence, and the one they like best together is chosen.

N candidates, K features.

A model that writes from right to left judges how a candidate ends as well as another judges how it begins; a model of
the other direction judges whether the candidate says what the source says (Li & Jurafsky 2016; Sennrich et al. 2016).
With f_k the mean log-probability of a piece by model k, of the candidate given the source or of the source given the
candidate,

    y* = argmax_y sum_k w_k f_k(y),     w_k >= 0, sum_k w_k = 1

The weights that score best on sentences with references are found by trying all on a grid: candidates and features
stay what they are, so that trying is cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.evaluation.compare.significance import Counts, count
from nmt.inference.results import SentencePair
from nmt.inference.scorer import Scorer
from nmt.metrics.corpus import make_metric

FloatArray = NDArray[np.float64]

GRID = 10
"""Weights that are tried are multiples of one over this."""
MOST_WEIGHTS = 20_000
WORST = -100.0
"""The feature of a candidate that a model cannot judge, because it is blank."""

OWN = "own score"
"""What the feature of the model that found the candidates is called."""


class NBestList(NamedTuple):
    """The candidates of one sentence."""

    source: str
    texts: list[str]
    """None for a blank line."""
    own: list[float]
    """The mean log-probability of a piece, by the model that found them."""


class RerankScores(NamedTuple):
    """Candidates and what all models think of them."""

    candidates: NBestList
    features: FloatArray
    """[N, K]"""


class RerankModel(NamedTuple):
    """A model that judges candidates."""

    name: str
    scorer: Scorer
    reverse: bool
    """It translates in the other direction, so it is asked for the source given the candidate."""


def rerank_scores(sentences: Sequence[NBestList], judges: Sequence[RerankModel]) -> list[RerankScores]:
    """Let each model judge all candidates.

    Raises:
        NMTError: Not even a single pair fits into the machine's memory.
    """
    columns = [[value for sentence in sentences for value in sentence.own]]
    for one in judges:
        pairs = [
            SentencePair(text, sentence.source) if one.reverse else SentencePair(sentence.source, text)
            for sentence in sentences
            for text in sentence.texts
        ]
        columns.append([WORST if score is None else score.mean for score in one.scorer.score(pairs)])
    features = np.array(columns, dtype=np.float64).T
    ends = np.cumsum([len(sentence.texts) for sentence in sentences])
    parts = np.split(features, ends[:-1]) if len(sentences) else []
    return [RerankScores(sentence, part) for sentence, part in zip(sentences, parts, strict=True)]


def ranking(judged: RerankScores, weights: FloatArray) -> list[int]:
    """Return the numbers of a sentence's candidates, best first; of equals, the earlier one."""
    order: list[int] = np.argsort(-(judged.features @ weights), kind="stable").tolist()
    return order


class Tuned(NamedTuple):
    """Weights and what they score."""

    weights: FloatArray
    """[K]"""
    score: float
    own: float
    """The score of the first candidates of all sentences, as they came."""


def tune_weights(
    sentences: Sequence[RerankScores],
    references: Sequence[str],
    *,
    metric: str,
    bleu_tokenizer: str,
    lowercase: bool,
    target_language: str,
) -> Tuned:
    """Find the weights on the grid that score best; of equals, those that are most alike.

    Raises:
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    measure = make_metric(metric, bleu_tokenizer=bleu_tokenizer, lowercase=lowercase, target_language=target_language)
    texts = [text for sentence in sentences for text in sentence.candidates.texts or [""]]
    sizes = [max(1, len(sentence.candidates.texts)) for sentence in sentences]
    wanted = [line for line, size in zip(references, sizes, strict=True) for _ in range(size)]
    rows = np.array(count(measure, texts, wanted).rows, dtype=np.float64)
    starts = np.cumsum([0, *sizes[:-1]])

    def score_of(chosen: Sequence[int]) -> float:
        counted = [list(map(int, row)) for row in rows[starts + np.array(chosen)]]
        return Counts(measure, list(counted)).score().value

    best: FloatArray = np.zeros(0)
    found = -np.inf
    for weights in weight_grid(sentences[0].features.shape[1] if sentences else 1):
        value = score_of([ranking(sentence, weights)[0] if sentence.candidates.texts else 0 for sentence in sentences])
        if value > found:
            best, found = weights, value
    return Tuned(best, float(found), score_of([0] * len(sentences)))


def weight_grid(features: int) -> Iterator[FloatArray]:
    """Give all weights [K] that sum to one on a grid, those that are most alike first; a coarser grid for many."""
    steps = GRID
    while steps > 1 and _count(features, steps) > MOST_WEIGHTS:
        steps -= 1
    bars = combinations(range(steps + features - 1), features - 1)
    every = np.array([np.diff([-1, *places, steps + features - 1]) - 1 for places in bars]) / steps
    for number in np.argsort(((every - 1 / features) ** 2).sum(axis=1), kind="stable").tolist():
        yield every[number]


def _count(features: int, steps: int) -> int:
    from math import comb

    return comb(steps + features - 1, features - 1)


def equal_weights(names: Sequence[str]) -> dict[str, float]:
    """Return weights that are all the same."""
    return dict.fromkeys(names, 1 / len(names))


def in_order(weights: Mapping[str, float], names: Sequence[str]) -> FloatArray:
    """Return the weights of the features `names`, in their order."""
    return np.array([weights[name] for name in names], dtype=np.float64)
