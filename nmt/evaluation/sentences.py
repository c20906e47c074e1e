"""The score of one sentence, by sacreBLEU's sentence-level metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nmt.evaluation.metrics import make_bleu, make_metric, resolve_tokenizer

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

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
