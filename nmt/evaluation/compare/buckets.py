"""Groups sentences by length, and words by their frequency in training."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nmt.data.languages import find_language
from nmt.errors import UsageError
from nmt.evaluation.compare.significance import Counts

LENGTHS = (10, 20, 30, 40)
"""Lower bounds of the length buckets, after the first one from 0."""
FREQUENCIES = (1, 2, 5, 10, 100)
"""Lower bounds of the frequency buckets, after the one of unseen words."""


@dataclass(frozen=True)
class LengthBucket:
    """The sentences in a range of lengths, with the scores of each system."""

    length: str
    """The range, such as `10-19`."""
    sentences: int
    scores: dict[str, dict[str, float | None]]
    """By system and metric; None without sentences."""


def check_bounds(bounds: Sequence[int]) -> None:
    """Make sure that bounds are positive and increasing.

    Raises:
        UsageError: They are not.
    """
    if not bounds or bounds[0] < 1 or any(after <= before for before, after in pairwise(bounds)):
        given = ",".join(map(str, bounds))
        raise UsageError(f"the bounds of buckets must be increasing whole numbers above 0, found {given}.")


def bucket_names(bounds: Sequence[int]) -> list[str]:
    """Return the names of buckets: `0-9`, `10-19`, ... `40+` for the bounds 10, 20, 30, 40."""
    starts = [0, *bounds]
    ends = [str(bound - 1) for bound in bounds]
    whole = [str(start) if str(start) == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=False)]
    return [*whole, f"{starts[-1]}+"]


def bucket_of(number: int, bounds: Sequence[int]) -> int:
    """Return the index of the bucket of a number."""
    return bisect_right(bounds, number)


def length_of(line: str, language: str) -> int:
    """Return the length of a sentence in words, or in characters for languages without spaces between words."""
    words = line.split()
    return sum(map(len, words)) if find_language(language).by_character else len(words)


def score_by_length(
    lengths: Sequence[int], counts: dict[str, dict[str, Counts]], bounds: Sequence[int]
) -> list[LengthBucket]:
    """Score the sentences of each length bucket as a test set of its own.

    Args:
        lengths: The length of each sentence.
        counts: By system and metric.
        bounds: Lower bounds of the buckets.
    """
    members: list[list[int]] = [[] for _ in range(len(bounds) + 1)]
    for sentence, length in enumerate(lengths):
        members[bucket_of(length, bounds)].append(sentence)
    return [
        LengthBucket(
            length=name,
            sentences=len(sentences),
            scores={
                system: {metric: counted.score_of(sentences) for metric, counted in metrics.items()}
                for system, metrics in counts.items()
            },
        )
        for name, sentences in zip(bucket_names(bounds), members, strict=True)
    ]
