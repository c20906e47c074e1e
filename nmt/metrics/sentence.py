"""Sentence scores: chrF or BLEU of one pair, or of all pairs of N texts at once (the utilities of minimum Bayes risk).

N texts, G different n-grams.

The numbers equal sacreBLEU's sentence scores, divided by 100. For all pairs sacreBLEU would count the n-grams of each
text N times. Here they are counted once, and the overlap of two texts is a sum of minima.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.metrics.corpus import make_bleu, make_metric, resolve_tokenizer

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric


FloatArray = NDArray[np.float64]

Utility = Callable[[Sequence[str]], FloatArray]
"""Returns the scores [N, N] of N texts: row i, column j is text i with text j as the reference, from 0 to 1."""

UTILITIES = ("chrf", "bleu")
"""The names that `make_utility` accepts."""
CHRF_ORDER, CHRF_BETA = 6, 2
BLEU_ORDER = 4


def make_utility(name: str, *, bleu_tokenizer: str, lowercase: bool, target_language: str) -> Utility:
    """Make a function that scores all pairs of texts.

    Args:
        name: `chrf` or `bleu`.
        bleu_tokenizer: A tokenizer of sacreBLEU, or `auto` for the target language's.
        lowercase: Whether to ignore case.
        target_language: Code of the language, such as `de`.

    Raises:
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    if name == "chrf":
        return lambda texts: chrf([text.lower() if lowercase else text for text in texts])
    metric = make_bleu(resolve_tokenizer(bleu_tokenizer, target_language), lowercase=False)

    def utility(texts: Sequence[str]) -> FloatArray:
        lines = [text.lower() if lowercase else text for text in texts]
        return bleu([metric.tokenizer(line.rstrip()).split() for line in lines])

    return utility


def chrf(texts: Sequence[str]) -> FloatArray:
    """Return the chrF of each text with each other text as the reference [N, N] (Popovic 2015).

    P and R are the precision and recall of character n-grams, averaged over the orders 1 to 6 for which both texts are
    long enough. With beta = 2:  chrF = (1 + beta^2) P R / (beta^2 P + R).
    """
    size = (len(texts), len(texts))
    precision, recall, orders = np.zeros(size), np.zeros(size), np.zeros(size)
    squeezed = ["".join(text.split()) for text in texts]
    for order in range(1, CHRF_ORDER + 1):
        shared, totals = _overlap([[text[i : i + order] for i in range(len(text) - order + 1)] for text in squeezed])
        both = (totals > 0)[:, None] & (totals > 0)[None, :]  # [N, N]
        counts = np.maximum(totals, 1)  # [N]
        precision += np.where(both, shared / counts[:, None], 0.0)
        recall += np.where(both, shared / counts[None, :], 0.0)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    below = CHRF_BETA**2 * precision + recall
    return np.asarray((1 + CHRF_BETA**2) * precision * recall / np.where(below > 0, below, 1.0))


def bleu(tokens: Sequence[Sequence[str]]) -> FloatArray:
    """Return the smoothed sentence BLEU of each text, given as words, with each other text as the reference [N, N]."""
    from sacrebleu.metrics.bleu import BLEU

    overlaps = [
        _overlap([[tuple(words[i : i + order]) for i in range(len(words) - order + 1)] for words in tokens])
        for order in range(1, BLEU_ORDER + 1)
    ]
    lengths = [len(words) for words in tokens]
    scores = np.zeros((len(tokens), len(tokens)))
    for one, length in enumerate(lengths):
        for other, reference in enumerate(lengths):
            score = BLEU.compute_bleu(
                correct=[int(overlap.shared[one, other]) for overlap in overlaps],
                total=[int(overlap.totals[one]) for overlap in overlaps],
                sys_len=length,
                ref_len=reference,
                smooth_method="exp",
                effective_order=True,
            )
            scores[one, other] = score.score / 100
    return scores


class _Overlap(NamedTuple):
    """The n-grams of N texts."""

    shared: NDArray[np.int64]
    """N-grams that two texts have in common, with repetitions [N, N]."""
    totals: NDArray[np.int64]
    """N-grams of each text [N]."""


def _overlap(grams: Sequence[Sequence[Hashable]]) -> _Overlap:
    numbers: dict[Hashable, int] = {}
    rows = [[numbers.setdefault(gram, len(numbers)) for gram in text] for text in grams]
    counts = np.zeros((len(grams), len(numbers)), dtype=np.int64)  # [N, G]
    for row, columns in zip(counts, rows, strict=True):
        np.add.at(row, columns, 1)
    shared = np.array([np.minimum(row, counts).sum(axis=1) for row in counts]).reshape(len(grams), len(grams))  # [N, N]
    return _Overlap(shared, counts.sum(axis=1))


SentenceMetric = Callable[[str, str], float]
"""Scores a translation against its reference, from 0 to 1."""


def make_sentence_metric(name: str, *, bleu_tokenizer: str, lowercase: bool, target_language: str) -> SentenceMetric:
    """Make a function that scores one sentence.

    Args:
        name: `bleu`: BLEU smoothed as sacreBLEU smooths sentences (exponentially, over the n-gram orders that the
            sentence is long enough for), or `chrf`.
        bleu_tokenizer: A tokenizer of sacreBLEU, or `auto` for the target language's.
        lowercase: Whether to ignore case.
        target_language: Code of the language, such as `de`.

    Raises:
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    metric: Metric
    if name == "bleu":
        tokenizer = resolve_tokenizer(bleu_tokenizer, target_language)
        metric = make_bleu(tokenizer, lowercase=lowercase, effective_order=True)
    else:
        metric = make_metric(name, bleu_tokenizer=bleu_tokenizer, lowercase=lowercase, target_language=target_language)
    return lambda hypothesis, reference: float(metric.sentence_score(hypothesis, [reference]).score) / 100
