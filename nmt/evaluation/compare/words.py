"""Word statistics: accuracy by training frequency, repetition, and length.

Words are the tokens of BLEU's tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nmt.evaluation.compare.buckets import bucket_names, bucket_of
from nmt.metrics.corpus import make_bleu, resolve_tokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

Words = list[str]
ORDERS = (1, 2, 3, 4)
"""Lengths of n-grams whose repetition is measured."""


@dataclass(frozen=True)
class Accuracy:
    """The accuracy of the words of a bucket."""

    precision: float | None
    """Share of the words of the hypotheses that are in the reference; None without such words."""
    recall: float | None
    """Share of the words of the references that are in the hypothesis; None without such words."""
    f1: float | None
    """Harmonic mean of precision and recall; None without words."""


@dataclass(frozen=True)
class FrequencyBucket:
    """The words with a certain training frequency, and the accuracy of each system."""

    count: str
    """Number of occurrences in the training text, such as `2-4`."""
    reference_words: int
    systems: dict[str, Accuracy]


@dataclass(frozen=True)
class Repetition:
    """The repetition in a text."""

    ngrams: dict[str, float | None]
    """By n: percentage of the n-grams that occur earlier in the same sentence (seq-rep-n, Welleck et al. 2020; here
    over the whole text). None without n-grams."""
    loops: int
    """Sentences in which one to four words are immediately repeated, as in `in the in the`."""


def make_word_splitter(bleu_tokenizer: str, target_language: str, *, lowercase: bool) -> Callable[[str], Words]:
    """Return a function that splits a line into the words of BLEU.

    Raises:
        NMTError: The tokenizer is not installed.
    """
    tokenize = make_bleu(resolve_tokenizer(bleu_tokenizer, target_language), lowercase=lowercase).tokenizer

    def split(line: str) -> Words:
        return list(tokenize((line.lower() if lowercase else line).rstrip()).split())

    return split


def length_ratio(hypotheses: Sequence[Words], references: Sequence[Words]) -> float | None:
    """Return the words of the hypotheses per word of the references; None if the references have no words."""
    length = sum(map(len, references))
    return sum(map(len, hypotheses)) / length if length else None


def count_words(lines: Iterable[Words], wanted: set[str]) -> Counter[str]:
    """Count the occurrences of the wanted words in a text."""
    counts: Counter[str] = Counter()
    for words in lines:
        counts.update(word for word in words if word in wanted)
    return counts


def score_by_frequency(
    systems: dict[str, list[Words]], references: Sequence[Words], seen: Counter[str], bounds: Sequence[int]
) -> list[FrequencyBucket]:
    """Score words by their training frequency, as compare-mt does (Neubig et al. 2019).

    A word of a hypothesis is correct if its reference has it too, as often. For each sentence, the words of a bucket
    are counted in the hypothesis, in the reference, and in both (the lower count of the two). Sums over the sentences
    give precision, recall and F1.
    """
    in_references = _bucket_sums(map(Counter, references), seen, bounds)
    found = {}
    for name, hypotheses in systems.items():
        both = (Counter(one) & Counter(other) for one, other in zip(hypotheses, references, strict=True))
        right = _bucket_sums(both, seen, bounds)
        given = _bucket_sums(map(Counter, hypotheses), seen, bounds)
        found[name] = [_accuracy(*counts) for counts in zip(right, given, in_references, strict=True)]
    return [
        FrequencyBucket(bucket, in_references[index], {name: accuracy[index] for name, accuracy in found.items()})
        for index, bucket in enumerate(bucket_names(bounds))
    ]


def _bucket_sums(counts: Iterable[Counter[str]], seen: Counter[str], bounds: Sequence[int]) -> list[int]:
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    sums = [0] * (len(bounds) + 1)
    for word, number in total.items():
        sums[bucket_of(seen[word], bounds)] += number
    return sums


def _accuracy(right: int, given: int, wanted: int) -> Accuracy:
    return Accuracy(
        precision=right / given if given else None,
        recall=right / wanted if wanted else None,
        f1=2 * right / (given + wanted) if given + wanted else None,
    )


def measure_repetition(lines: Sequence[Words]) -> Repetition:
    """Measure the repetition in a text."""
    shares: dict[str, float | None] = {}
    for order in ORDERS:
        grams = [_ngrams(words, order) for words in lines]
        total = sum(map(len, grams))
        shares[str(order)] = 100 * (1 - sum(len(set(gram)) for gram in grams) / total) if total else None
    return Repetition(shares, sum(map(_loops, lines)))


def _ngrams(words: Words, order: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + order]) for start in range(len(words) - order + 1)]


def _loops(words: Words) -> bool:
    return any(
        words[start : start + order] == words[start + order : start + 2 * order]
        for order in ORDERS
        for start in range(len(words) - 2 * order + 1)
    )
