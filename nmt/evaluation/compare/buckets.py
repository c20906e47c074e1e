"""Numbers in buckets: sentences by their length, words by how often they were seen in training."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from nmt.data.languages import find_language
from nmt.errors import UsageError
from nmt.evaluation.compare.significance import Counts

LENGTHS = (10, 20, 30, 40)
"""Where buckets of lengths begin, after the one that begins at 0."""
FREQUENCIES = (1, 2, 5, 10, 100)
"""Where buckets of training counts begin, after that of words never seen."""


@dataclass(frozen=True)
class LengthBucket:
    """The sentences of some lengths, and the scores of each system on them."""

    length: str
    """The lengths, such as `10-19`."""
    sentences: int
    scores: dict[str, dict[str, float | None]]
    """By system and metric; None where there are no sentences."""


def check_bounds(bounds: Sequence[int]) -> None:
    """Make sure that buckets can begin at `bounds`.

    Raises:
        UsageError: They cannot.
    """
    if not bounds or bounds[0] < 1 or any(after <= before for before, after in pairwise(bounds)):
        given = ",".join(map(str, bounds))
        raise UsageError(f"buckets begin at whole numbers above 0, each larger than the one before; this was {given}")


def bucket_names(bounds: Sequence[int]) -> list[str]:
    """What buckets are called: `0-9`, `10-19`, ... `40+` for the bounds 10, 20, 30, 40."""
    starts = [0, *bounds]
    ends = [str(bound - 1) for bound in bounds]
    whole = [str(start) if str(start) == end else f"{start}-{end}" for start, end in zip(starts, ends, strict=False)]
    return [*whole, f"{starts[-1]}+"]


def bucket_of(number: int, bounds: Sequence[int]) -> int:
    """The index of the bucket that a number falls in."""
    return bisect_right(bounds, number)


def length_of(line: str, language: str) -> int:
    """The length of a sentence in words between spaces, or in characters where a language is not written in those."""
    words = line.split()
    return sum(map(len, words)) if find_language(language).by_character else len(words)


def score_by_length(
    lengths: Sequence[int], counts: dict[str, dict[str, Counts]], bounds: Sequence[int]
) -> list[LengthBucket]:
    """Score the sentences of each bucket of lengths as a test set of its own.

    Args:
        lengths: Of each sentence.
        counts: By system and metric.
        bounds: Where buckets begin.
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
