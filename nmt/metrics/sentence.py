"""How good each candidate translation of a sentence is if another one is right: chrF or BLEU between all pairs at once.

N candidates, G different n-grams.

The same numbers as sacreBLEU's sentence scores, over 100. It would count the n-grams of each candidate N times; here
they are counted once, and what two candidates share is a sum of minima.
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
"""From N texts to how good each is [N, N]: in row i and column j that of i with j as the reference, 0 to 1."""

UTILITIES = ("chrf", "bleu")
"""Names that `make_utility` knows."""
CHRF_ORDER, CHRF_BETA = 6, 2
BLEU_ORDER = 4


def make_utility(name: str, *, bleu_tokenizer: str, lowercase: bool, target_language: str) -> Utility:
    """Make a utility.

    Args:
        name: `chrf` or `bleu`.
        bleu_tokenizer: A tokenizer of sacreBLEU, or `auto` for the target language's.
        lowercase: Score without regard to case.
        target_language: Code of the language, such as `de`.

    Raises:
        NMTError: If the tokenizer that BLEU needs is not installed.
    """
    if name == "chrf":
        return lambda texts: chrf([text.lower() if lowercase else text for text in texts])
    metric = make_bleu(resolve_tokenizer(bleu_tokenizer, target_language), lowercase=False)

    def utility(texts: Sequence[str]) -> FloatArray:
        lines = [text.lower() if lowercase else text for text in texts]
        return bleu([metric.tokenizer(line.rstrip()).split() for line in lines])

    return utility


def chrf(texts: Sequence[str]) -> FloatArray:
    """Return the chrF of each text with each as the reference [N, N] (Popovic 2015).

    With P and R the precision and recall of character n-grams, averaged over the orders 1 to 6 that both texts are long
    enough for, and beta = 2:  chrF = (1 + beta^2) P R / (beta^2 P + R).
    """
    size = (len(texts), len(texts))
    precision, recall, orders = np.zeros(size), np.zeros(size), np.zeros(size)
    squeezed = ["".join(text.split()) for text in texts]
    for order in range(1, CHRF_ORDER + 1):
        shared, own = _overlap([[text[i : i + order] for i in range(len(text) - order + 1)] for text in squeezed])
        both = (own > 0)[:, None] & (own > 0)[None, :]
        counts = np.maximum(own, 1)
        precision += np.where(both, shared / counts[:, None], 0.0)
        recall += np.where(both, shared / counts[None, :], 0.0)
        orders += both
    precision, recall = precision / np.maximum(orders, 1), recall / np.maximum(orders, 1)
    below = CHRF_BETA**2 * precision + recall
    return np.asarray((1 + CHRF_BETA**2) * precision * recall / np.where(below > 0, below, 1.0))


def bleu(tokens: Sequence[Sequence[str]]) -> FloatArray:
    """Return the BLEU of each text, given as words, with each as the reference [N, N], smoothed for sentences."""
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
                total=[int(overlap.own[one]) for overlap in overlaps],
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
    """How many two texts have in common, repetitions counted [N, N]."""
    own: NDArray[np.int64]
    """How many each has [N]."""


def _overlap(grams: Sequence[Sequence[Hashable]]) -> _Overlap:
    numbers: dict[Hashable, int] = {}
    rows = [[numbers.setdefault(gram, len(numbers)) for gram in own] for own in grams]
    counts = np.zeros((len(grams), len(numbers)), dtype=np.int64)
    for row, own in zip(counts, rows, strict=True):
        np.add.at(row, own, 1)
    shared = np.array([np.minimum(row, counts).sum(axis=1) for row in counts]).reshape(len(grams), len(grams))
    return _Overlap(shared, counts.sum(axis=1))


SentenceMetric = Callable[[str, str], float]
"""Scores a translation against its reference, 0 to 1, more being better."""


def make_sentence_metric(name: str, *, bleu_tokenizer: str, lowercase: bool, target_language: str) -> SentenceMetric:
    """Make a metric that can score a sentence.

    Args:
        name: `bleu`: BLEU smoothed as sacreBLEU smooths sentences (exponentially, over the n-gram orders that the
            sentence is long enough for), or `chrf`.
        bleu_tokenizer: A tokenizer of sacreBLEU, or `auto` for the target language's.
        lowercase: Score without regard to case.
        target_language: Code of the language, such as `de`.

    Raises:
        NMTError: If the tokenizer that BLEU needs is not installed.
    """
    metric: Metric
    if name == "bleu":
        tokenizer = resolve_tokenizer(bleu_tokenizer, target_language)
        metric = make_bleu(tokenizer, lowercase=lowercase, effective_order=True)
    else:
        metric = make_metric(name, bleu_tokenizer=bleu_tokenizer, lowercase=lowercase, target_language=target_language)
    return lambda hypothesis, reference: float(metric.sentence_score(hypothesis, [reference]).score) / 100
