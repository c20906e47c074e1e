"""The sentences in which a system differs most from the baseline, for better and for worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nmt.evaluation.compare.significance import Counts


@dataclass(frozen=True)
class ComparedSentence:
    """One sentence of the test set, as two systems translate it."""

    line: int
    """Number of the line in the test set; the first is 1."""
    source: str | None
    reference: str
    baseline: str
    system: str
    baseline_chrf: float
    system_chrf: float


@dataclass(frozen=True)
class ComparedSentences:
    """Where a system does better and worse than the baseline, largest difference first."""

    better: list[ComparedSentence]
    worse: list[ComparedSentence]
    sentences_better: int
    """Of all sentences, those with a higher chrF than the baseline's."""
    sentences_worse: int


@dataclass(frozen=True)
class ComparedTexts:
    """A test set and two translations of it, line by line."""

    sources: Sequence[str] | None
    references: Sequence[str]
    baseline: Sequence[str]
    system: Sequence[str]


def find_examples(texts: ComparedTexts, baseline: Counts, system: Counts, *, limit: int) -> ComparedSentences:
    """Find the sentences whose chrF differs most.

    Args:
        texts: What the sentences are.
        baseline: chrF's counts of the baseline.
        system: chrF's counts of the system.
        limit: At most this many sentences each way.
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
