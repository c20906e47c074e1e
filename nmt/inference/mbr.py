"""Minimum Bayes risk (MBR): reranks an n-best list by how well each hypothesis agrees with the others.

A search looks for the most probable translation. MBR takes the one with the highest expected quality (Kumar & Byrne
2004; Eikema & Aziz 2020): with hypotheses H, their weights q(y) summing to one, and a utility u such as chrF,

    y* = argmax_{y in H} sum_{y' in H} q(y') u(y, y')

Hypotheses of a beam are weighted by their probability. Samples have equal weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nmt.config.schema import Config, DecodingConfig
from nmt.errors import UsageError
from nmt.inference.results import Hypothesis, Translation
from nmt.metrics.sentence import UTILITIES, FloatArray, Utility, make_utility


class MbrReranker(NamedTuple):
    """Reranks the n-best list of each line by expected utility."""

    utility: Utility
    sampled: bool
    """Whether the hypotheses are samples, which have equal weights."""
    num_hypotheses: int
    """Hypotheses of each line that the search has to find."""
    n_best: int
    """Hypotheses of each line that are returned."""

    def __call__(self, translation: Translation) -> Translation:
        """Return a translation with its hypotheses reranked; their score is the expected utility."""
        if not translation.hypotheses:
            return translation
        ranked = rank(translation.hypotheses, self.utility, sampled=self.sampled)[: self.n_best]
        return replace(translation, text=ranked[0].text, hypotheses=ranked)


def make_reranker(metric: str, decoding: DecodingConfig, config: Config) -> MbrReranker:
    """Make the reranker of a translator.

    Args:
        metric: The utility: `chrf` or `bleu`.
        decoding: The options of the search.
        config: The configuration of the model: language and scoring options.

    Raises:
        UsageError: The metric is unknown, or the search finds a single hypothesis.
        NMTError: The tokenizer that BLEU needs is not installed.
    """
    if metric not in UTILITIES:
        raise UsageError(f"--mbr: found {metric!r}, expected {' or '.join(UTILITIES)}.")
    count = decoding.n_best if decoding.sampling else decoding.beam_size
    if count == 1:
        option = "--n-best" if decoding.sampling else "--beam-size"
        raise UsageError(f"--mbr requires several hypotheses, but {option} is 1. Use a larger {option}.")
    utility = make_utility(
        metric,
        bleu_tokenizer=config.evaluation.bleu_tokenizer,
        lowercase=config.evaluation.lowercase,
        target_language=config.data.target_language,
    )
    return MbrReranker(utility, decoding.sampling, count, decoding.n_best)


def rank(hypotheses: Sequence[Hypothesis], utility: Utility, *, sampled: bool) -> list[Hypothesis]:
    """Return hypotheses with their expected utility as score, best first; ties keep their order.

    Args:
        hypotheses: Of one line, at least one. A text that was sampled several times counts as often, and is returned
            once.
        utility: The quality of one text with another as the reference.
        sampled: Whether all hypotheses have equal weights.
    """
    log_probs = np.zeros(len(hypotheses)) if sampled else np.array([each.log_probability for each in hypotheses])
    expected = expected_utilities(utility([each.text for each in hypotheses]), log_probs)
    order = np.argsort(-expected, kind="stable").tolist()
    ranked: dict[str, Hypothesis] = {}
    for index in order:
        ranked.setdefault(hypotheses[index].text, replace(hypotheses[index], score=float(expected[index])))
    return list(ranked.values())


def expected_utilities(utilities: FloatArray, log_weights: FloatArray) -> FloatArray:
    """Return sum_j q_j u_ij [N] of `utilities` u [N, N] and weights q proportional to exp(`log_weights`) [N]."""
    weights = np.exp(log_weights - log_weights.max())  # [N]
    return np.asarray(utilities @ (weights / weights.sum()))
