"""Statistics of a parallel text: size, sentence lengths, vocabulary, and what the filters leave out."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from nmt.config.schema import FiltersConfig
from nmt.data.languages import counts_characters, find_language, with_detected_script
from nmt.data.preprocess.filters import CHARACTERS_PER_WORD, PairFilter, Reason, make_filter
from nmt.data.sample import Sample
from nmt.data.writing_systems import characters_of, scripts_of, shared_script

UNREADABLE = ("wrong encoding", "control characters", "empty")
"""Pairs that were filtered for these reasons are not part of the statistics."""
WIDEST = FiltersConfig(max_words=1_000, max_length_ratio=12.0)
"""Pairs beyond these limits are taken for broken, even if there are many."""


@dataclass(frozen=True)
class Lengths:
    """Sentence lengths of one side, in the unit of its language: words or characters."""

    median: int
    percentile_99: int
    longest: int


@dataclass(frozen=True)
class SideStats:
    """One side of a parallel text.

    Attributes:
        language: Its code, with the script of the text if the code is not in the table of languages.
        by_character: Whether the unit of all counts is the character, not the word.
        words: Words of the whole text, estimated from the sample.
        lengths: Sentence lengths.
        types: Number of different words.
        once: Share of the types that occur only once.
        characters: Number of different characters.
        scripts: Share of each script in the letters, the most frequent script first.
    """

    language: str
    by_character: bool
    words: int
    lengths: Lengths
    types: int
    once: float
    characters: int
    scripts: dict[str, float]


@dataclass(frozen=True)
class CorpusStats:
    """The statistics of a parallel text.

    Attributes:
        files: Its files.
        pairs: Number of pairs.
        sampled: Number of pairs in the sample, which is spread evenly over the text.
        duplicates: Share of pairs with the same words as an earlier pair.
        filters: The default filters, or wider ones if sentences are longer or their length ratios larger.
        filtered: Share of pairs that these filters leave out, by reason.
        ratio: 99th percentile of the ratio of the longer to the shorter side.
        source: The source side.
        target: The target side.
        shared_script: Overlap of the script shares of both sides, from 0 to 1.
        copied: Share of the target words that are in the source too, such as names and numbers.
    """

    files: tuple[str, ...]
    pairs: int
    sampled: int
    duplicates: float
    filters: FiltersConfig
    filtered: dict[Reason, float]
    ratio: float
    source: SideStats
    target: SideStats
    shared_script: float
    copied: float


def corpus_stats(sample: Sample, *, source_language: str, target_language: str) -> CorpusStats:
    """Compute the statistics of a parallel text from a sample and its language codes."""
    sources, targets = sample.sides()
    source_language = _with_script(source_language, sources)
    target_language = _with_script(target_language, targets)
    languages = (source_language, target_language)
    reasons = _reasons(sample.pairs, _pair_filter(FiltersConfig(), languages, (sources, targets)))
    readable = [pair for pair, reason in zip(sample.pairs, reasons, strict=True) if reason not in UNREADABLE]
    sampled = len(sample.pairs)
    scale = sample.total / max(1, sampled)
    source = _side_stats([source for source, _ in readable], source_language, scale)
    target = _side_stats([target for _, target in readable], target_language, scale)
    ratio = _ratio(readable, by_character=source.by_character or target.by_character)
    filters = _filters_for(source, target, ratio)
    if filters != FiltersConfig():
        reasons = _reasons(sample.pairs, _pair_filter(filters, languages, (sources, targets)))
    filtered = Counter(reason for reason in reasons if reason is not None)
    return CorpusStats(
        files=sample.files,
        pairs=sample.total,
        sampled=sampled,
        duplicates=sample.duplicates,
        filters=filters,
        filtered={reason: count / sampled for reason, count in filtered.most_common()},
        ratio=ratio,
        source=source,
        target=target,
        shared_script=shared_script(source.scripts, target.scripts),
        copied=_copied(readable),
    )


def length_in_words(side: SideStats) -> int:
    """Return the 99th percentile of the lengths in the unit of `data.filters.max_words`."""
    return math.ceil(side.lengths.percentile_99 / (CHARACTERS_PER_WORD if side.by_character else 1))


def _filters_for(source: SideStats, target: SideStats, ratio: float) -> FiltersConfig:
    """Return filters that keep the usual pairs of a text. They are never narrower than the default."""
    default = FiltersConfig()
    return FiltersConfig(
        max_words=min(
            WIDEST.max_words, max(default.max_words, 2 * max(length_in_words(source), length_in_words(target)))
        ),
        max_length_ratio=min(WIDEST.max_length_ratio, max(default.max_length_ratio, float(math.ceil(1.5 * ratio)))),
    )


def _with_script(code: str, lines: Sequence[str]) -> str:
    """Return a code, with the script of the text if the code is not in the table."""
    return code if find_language(code).alpha3 else with_detected_script(code, lines)


def _pair_filter(
    filters: FiltersConfig, languages: tuple[str, str], sides: tuple[Sequence[str], Sequence[str]]
) -> PairFilter:
    return make_filter(
        max_words=filters.max_words,
        max_ratio=filters.max_length_ratio,
        identical=filters.drop_identical,
        source_language=languages[0],
        target_language=languages[1],
        source_lines=sides[0],
        target_lines=sides[1],
    )


def _reasons(pairs: Iterable[tuple[str, str]], pair_filter: PairFilter) -> list[Reason | None]:
    return [pair_filter.reject(source, target) for source, target in pairs]


def _side_stats(lines: Sequence[str], language: str, scale: float) -> SideStats:
    characters = characters_of(lines)
    by_character = counts_characters(language, lines)
    if by_character:
        types, sizes = characters, [len("".join(line.split())) for line in lines]
    else:
        types, sizes = _words_of(lines, characters), [len(line.split()) for line in lines]
    return SideStats(
        language=language,
        by_character=by_character,
        words=round(sum(sizes) * scale),
        lengths=_lengths(sizes),
        types=len(types),
        once=sum(count == 1 for count in types.values()) / max(1, len(types)),
        characters=len(characters),
        scripts=scripts_of(characters),
    )


def _words_of(lines: Iterable[str], characters: Iterable[str]) -> Counter[str]:
    """Count each word, ignoring case and the punctuation around it."""
    marks = "".join(each for each in characters if unicodedata.category(each)[0] in "PS")
    words = chain.from_iterable(line.casefold().split() for line in lines)
    counts = Counter(word.strip(marks) for word in words)
    del counts[""]
    return counts


def _lengths(sizes: Sequence[int]) -> Lengths:
    if not sizes:
        return Lengths(median=0, percentile_99=0, longest=0)
    median, high = np.quantile(np.asarray(sizes), (0.5, 0.99), method="inverted_cdf")
    return Lengths(median=int(median), percentile_99=int(high), longest=max(sizes))


def _ratio(pairs: Sequence[tuple[str, str]], *, by_character: bool) -> float:
    """Return the 99th percentile of the length ratio, in the unit of `data.filters.max_length_ratio`."""
    sizes = [tuple(len("".join(side.split()) if by_character else side.split()) for side in pair) for pair in pairs]
    ratios = [max(pair) / min(pair) for pair in sizes if min(pair)]
    return float(np.quantile(ratios, 0.99)) if ratios else 1.0


def _copied(pairs: Iterable[tuple[str, str]]) -> float:
    """Return the share of target words that are in the source too."""
    total = copied = 0
    for source, target in pairs:
        known, words = set(source.split()), [word for word in target.split() if word[0].isalnum()]
        total += len(words)
        copied += sum(word in known for word in words)
    return copied / max(1, total)
