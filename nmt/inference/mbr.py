"""Minimum Bayes risk: of several candidates, the translation that the others agree with most.

Search looks for the most probable translation. Here the one is chosen that is expected to score best (Kumar & Byrne
2004; Eikema & Aziz 2020): with candidates C, their weights q(y) summing to one, and a utility u such as chrF,

    y* = argmax_{y in C} sum_{y' in C} q(y') u(y, y')

Candidates that beam search found are weighted by their probability, sampled ones count the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from nmt.inference.constraints import Request, Terminology
from nmt.inference.results import Hypothesis, LongLines, Translation
from nmt.inference.translator import Translator
from nmt.metrics.sentence import FloatArray, Utility


class ConsensusTranslator:
    """A translator that chooses by minimum Bayes risk among the candidates of another one."""

    def __init__(self, translator: Translator, utility: Utility, *, n_best: int) -> None:
        """Keep what is given.

        Args:
            translator: Gives the candidates: all of its n best, or its samples.
            utility: How good a candidate is if another one is right.
            n_best: Candidates to give for each line, at most.
        """
        self._translator = translator
        self._utility = utility
        self._n_best = n_best
        self.decoding = translator.decoding.model_copy(update={"n_best": n_best})
        self.tokenizers = translator.tokenizers
        self.aligner = translator.aligner

    def with_phrases(self, *, avoid: Sequence[str] = (), terminology: Terminology | None = None) -> ConsensusTranslator:
        """Return one whose candidates are steered; see `Translator.with_phrases`."""
        steered = self._translator.with_phrases(avoid=avoid, terminology=terminology)
        return ConsensusTranslator(steered, self._utility, n_best=self._n_best)

    def translate(
        self, lines: Iterable[str | Request], *, before: int = 0, long_lines: LongLines | None = None
    ) -> Iterator[Translation]:
        """Translate lines, as `Translator.translate` does; the score of a candidate is its expected utility."""
        return map(self._choose, self._translator.translate(lines, before=before, long_lines=long_lines))

    def _choose(self, translation: Translation) -> Translation:
        candidates = translation.hypotheses
        if not candidates:
            return translation
        ranked = rank(candidates, self._utility, sampled=self._translator.decoding.sampling)[: self._n_best]
        return replace(translation, text=ranked[0].text, hypotheses=ranked)


def rank(candidates: Sequence[Hypothesis], utility: Utility, *, sampled: bool) -> list[Hypothesis]:
    """Return candidates with their expected utility as score, best first; of equal ones the earlier stays first.

    Args:
        candidates: Of one sentence, at least one. A text that was drawn several times counts as often, and comes back
            once.
        utility: How good one is if another is right.
        sampled: They were drawn from the model, and count the same.
    """
    log_probs = np.zeros(len(candidates)) if sampled else np.array([each.log_probability for each in candidates])
    expected = expected_utilities(utility([each.text for each in candidates]), log_probs)
    order = np.argsort(-expected, kind="stable").tolist()
    ranked: dict[str, Hypothesis] = {}
    for place in order:
        ranked.setdefault(candidates[place].text, replace(candidates[place], score=float(expected[place])))
    return list(ranked.values())


def expected_utilities(utilities: FloatArray, log_weights: FloatArray) -> FloatArray:
    """Return sum_j q_j u_ij [N] of `utilities` u [N, N] and weights q proportional to exp(`log_weights`) [N]."""
    weights = np.exp(log_weights - log_weights.max())
    return np.asarray(utilities @ (weights / weights.sum()))
