"""The result of a comparison."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nmt.evaluation.compare.buckets import LengthBucket
from nmt.evaluation.compare.sentences import ComparedSentences
from nmt.evaluation.compare.significance import Difference, Interval
from nmt.evaluation.compare.words import FrequencyBucket, Repetition

NAMES = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
"""Display names of metrics."""


@dataclass(frozen=True)
class SystemResult:
    """The results of one system, alone and against the baseline."""

    name: str
    scores: dict[str, float]
    """By metric."""
    intervals: dict[str, Interval]
    differences: dict[str, Difference] | None
    """From the baseline, by metric; None for the baseline itself."""
    length_ratio: float | None
    """Words per word of the reference."""
    repetition: Repetition
    examples: ComparedSentences | None
    """Sentences that differ most from the baseline; None for the baseline itself."""


@dataclass(frozen=True)
class Comparison:
    """The results of all systems."""

    test: str
    target_language: str
    sentences: int
    metrics: list[str]
    signatures: dict[str, str]
    """Of each metric, with the bootstrap's samples and seed."""
    samples: int
    trials: int
    systems: list[SystemResult]
    """The first is the baseline."""
    reference_repetition: Repetition
    length_side: str
    """The side whose length is measured: `source` or `reference`."""
    length_unit: str
    """The unit of lengths: `words`, or `characters` for languages without spaces between words."""
    by_length: list[LengthBucket]
    by_frequency: list[FrequencyBucket] | None
    """None without training text."""
    notes: list[str]
    """Warnings that concern the scores."""

    def as_dict(self) -> dict[str, Any]:
        """Return the object that `nmt compare --json` prints."""
        return asdict(self)
