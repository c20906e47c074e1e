"""What a metric counts in each sentence: all that scores, their buckets and their significance are computed from.

BLEU, chrF and TER of a text are functions of sums over its sentences. Counting takes the time; so each text is counted
once, and whole test sets, buckets, single sentences and resampled test sets are scored from these counts, by sacreBLEU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nmt.evaluation.metrics import Score

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

Row = Sequence[float]
"""What is counted in one sentence, such as BLEU's lengths, matching n-grams and all n-grams."""


@dataclass(frozen=True)
class Counts:
    """One metric's counts of one system, a row for each sentence."""

    metric: Metric
    rows: list[Row]

    def score(self) -> Score:
        """The score of the whole text, equal to that of sacreBLEU's `corpus_score`."""
        result = self._score(self.rows)
        return Score(result.score, str(self.metric.get_signature()), getattr(result, "ratio", None))

    def score_of(self, sentences: Iterable[int]) -> float | None:
        """The score of some of the sentences together; None where there are none."""
        rows = [self.rows[sentence] for sentence in sentences]
        return float(self._score(rows).score) if rows else None

    def _score(self, rows: list[Row]) -> Any:
        return self.metric._aggregate_and_compute(rows)  # type: ignore[arg-type]


def count(metric: Metric, hypotheses: Sequence[str], references: Sequence[str]) -> Counts:
    """Count what `metric` is computed from. Lines are stripped of trailing white space, as sacreBLEU's command does."""
    rows = metric._extract_corpus_statistics(
        [line.rstrip() for line in hypotheses], [[line.rstrip() for line in references]]
    )
    return Counts(metric, list(rows))
