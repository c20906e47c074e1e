"""What a comparison finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nmt.evaluation.compare.buckets import LengthBucket
from nmt.evaluation.compare.sentences import ComparedSentences
from nmt.evaluation.compare.significance import Difference, Interval
from nmt.evaluation.compare.words import FrequencyBucket, Repetition

NAMES = {"bleu": "BLEU", "chrf": "chrF", "ter": "TER"}
"""What metrics are called."""


@dataclass(frozen=True)
class SystemResult:
    """What is found of one system alone, and beside the baseline."""

    name: str
    scores: dict[str, float]
    """By metric."""
    intervals: dict[str, Interval]
    differences: dict[str, Difference] | None
    """From the baseline, by metric; None for the baseline itself."""
    length_ratio: float | None
    """Words for each word of the reference."""
    repetition: Repetition
    examples: ComparedSentences | None
    """Sentences that differ most from the baseline's; None for the baseline itself."""


@dataclass(frozen=True)
class Comparison:
    """Everything that is found."""

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
    """What the lengths are of: `source` or `reference`."""
    length_unit: str
    """What lengths count: `words`, or `characters` for languages that are not written in words."""
    by_length: list[LengthBucket]
    by_frequency: list[FrequencyBucket] | None
    """None if there was no training text."""
    notes: list[str]
    """What a reader should know of the numbers."""

    def as_dict(self) -> dict[str, Any]:
        """Return everything as `nmt compare --json` prints it."""
        return asdict(self)
