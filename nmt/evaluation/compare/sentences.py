"""Finds the sentences in which a system differs most in quality than the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.evaluation.compare.significance import Counts


@dataclass(frozen=True)
class ComparedSentence:
    """A sentence of the test set with the translations of two systems."""

    line: int
    """Line number in the test set, from 1."""
    source: str | None
    reference: str
    baseline: str
    system: str
    baseline_chrf: float
    system_chrf: float


@dataclass(frozen=True)
class ComparedSentences:
    """Sentences in which a system is better or worse than the baseline, largest difference first."""

    better: list[ComparedSentence]
    worse: list[ComparedSentence]
    sentences_better: int
    """Number of sentences with a higher chrF than the baseline."""
    sentences_worse: int


@dataclass(frozen=True)
class ComparedTexts:
    """A test set and two translations."""

    sources: Sequence[str] | None
    references: Sequence[str]
    baseline: Sequence[str]
    system: Sequence[str]


def find_examples(texts: ComparedTexts, baseline: Counts, system: Counts, *, limit: int) -> ComparedSentences:
    """Find the sentences whose chrF differs most.

    Args:
        texts: The sentences.
        baseline: The chrF counts of the baseline.
        system: The chrF counts of the system.
        limit: Most sentences for each direction.
    """
    examples = [
        ComparedSentence(
            line=index + 1,
            source=None if texts.sources is None else texts.sources[index],
            reference=texts.references[index],
            baseline=texts.baseline[index],
            system=texts.system[index],
            baseline_chrf=baseline.score_of([index]) or 0.0,
            system_chrf=system.score_of([index]) or 0.0,
        )
        for index in range(len(texts.references))
    ]
    better = sorted((one for one in examples if _gain(one) > 0), key=lambda one: -_gain(one))
    worse = sorted((one for one in examples if _gain(one) < 0), key=_gain)
    return ComparedSentences(better[:limit], worse[:limit], len(better), len(worse))


def _gain(example: ComparedSentence) -> float:
    return example.system_chrf - example.baseline_chrf
