"""What a parallel text is like: how much of it there is, how long, how varied, how clean."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from nmt.config.schema import FiltersConfig
from nmt.data.languages import find_language, with_detected_script
from nmt.data.preprocess.filters import CHARACTERS_PER_WORD, PairFilter, Reason, make_filter
from nmt.data.sample import Sample
from nmt.data.writing_systems import characters_of, scripts_of, shared_script

UNREADABLE = ("wrong encoding", "control characters", "empty")
"""Reasons for which a pair says nothing about a language."""
LOOSEST = FiltersConfig(max_words=1_000, max_length_ratio=12.0)
"""What goes beyond this is broken and not unusual, however much of it there is."""


@dataclass(frozen=True)
class Lengths:
    """Of the sentences of one side, in words, or in characters where words are not between spaces."""

    median: int
    percentile_99: int
    longest: int


@dataclass(frozen=True)
class SideStats:
    """One side of a parallel text.

    Attributes:
        language: Its code, with the script of the text if the code is not in the table of languages.
        by_character: Whether all counts are of characters, because spaces do not part its words.
        words: Of the whole text (reckoned from the pairs that were looked at).
        lengths: Of the sentences.
        types: Different words.
        once: The share of these that came only once.
        characters: Different characters.
        scripts: The share of each script in the letters, the most frequent first.
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
    """What a parallel text is like.

    Attributes:
        files: Its files.
        pairs: All of them.
        looked_at: How many were looked at; evenly from all over the text, if not all.
        duplicates: The share of pairs that came before, word for word.
        filters: The filters as they are by default, or wider where sentences are longer or less alike in length.
        left_out: The share of pairs that these filters leave out for each reason.
        ratio: In 99 of 100 pairs the longer side is at most so many times as long as the shorter one.
        source: The source side.
        target: The target side.
        shared_script: How much of both sides is written in the same scripts, from 0 to 1.
        copied: The share of the target's words that stand in their source too, such as names and numbers.
    """

    files: tuple[str, ...]
    pairs: int
    looked_at: int
    duplicates: float
    filters: FiltersConfig
    left_out: dict[Reason, float]
    ratio: float
    source: SideStats
    target: SideStats
    shared_script: float
    copied: float


def corpus_stats(sample: Sample, *, source_language: str, target_language: str) -> CorpusStats:
    """Describe a parallel text by a sample of it, its languages known."""
    sources, targets = sample.sides()
    source_language = with_detected_script(source_language, sources)
    target_language = with_detected_script(target_language, targets)
    languages = (source_language, target_language)
    reasons = _reasons(sample.pairs, _pair_filter(FiltersConfig(), languages))
    readable = [pair for pair, reason in zip(sample.pairs, reasons, strict=True) if reason not in UNREADABLE]
    looked_at = len(sample.pairs)
    scale = sample.total / max(1, looked_at)
    source = _side_stats([source for source, _ in readable], source_language, scale)
    target = _side_stats([target for _, target in readable], target_language, scale)
    ratio = _ratio(readable, by_character=source.by_character or target.by_character)
    filters = _fitting(source, target, ratio)
    if filters != FiltersConfig():
        reasons = _reasons(sample.pairs, _pair_filter(filters, languages))
    left_out = Counter(reason for reason in reasons if reason is not None)
    return CorpusStats(
        files=sample.files,
        pairs=sample.total,
        looked_at=looked_at,
        duplicates=sample.duplicates,
        filters=filters,
        left_out={reason: count / looked_at for reason, count in left_out.most_common()},
        ratio=ratio,
        source=source,
        target=target,
        shared_script=shared_script(source.scripts, target.scripts),
        copied=_copied(readable),
    )


def in_words(side: SideStats) -> int:
    """The 99th percentile of the lengths, in the unit of `data.filters.max_words`."""
    return math.ceil(side.lengths.percentile_99 / (CHARACTERS_PER_WORD if side.by_character else 1))


def _fitting(source: SideStats, target: SideStats, ratio: float) -> FiltersConfig:
    """Filters that leave in what is usual in a text, and never narrower than they are by default."""
    standard = FiltersConfig()
    return FiltersConfig(
        max_words=min(LOOSEST.max_words, max(standard.max_words, 2 * max(in_words(source), in_words(target)))),
        max_length_ratio=min(LOOSEST.max_length_ratio, max(standard.max_length_ratio, float(math.ceil(1.5 * ratio)))),
    )


def _pair_filter(filters: FiltersConfig, languages: tuple[str, str]) -> PairFilter:
    return make_filter(
        max_words=filters.max_words,
        max_ratio=filters.max_length_ratio,
        identical=filters.drop_identical,
        source_language=languages[0],
        target_language=languages[1],
    )


def _reasons(pairs: Iterable[tuple[str, str]], pair_filter: PairFilter) -> list[Reason | None]:
    return [pair_filter.reject(source, target) for source, target in pairs]


def _side_stats(lines: Sequence[str], language: str, scale: float) -> SideStats:
    characters = characters_of(lines)
    by_character = find_language(language).by_character
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
    """How often lines have each word, without regard to case and to the punctuation around it."""
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
    """The 99th percentile of longer side over shorter side, in the unit of `data.filters.max_length_ratio`."""
    sizes = [tuple(len("".join(side.split()) if by_character else side.split()) for side in pair) for pair in pairs]
    ratios = [max(pair) / min(pair) for pair in sizes if min(pair)]
    return float(np.quantile(ratios, 0.99)) if ratios else 1.0


def _copied(pairs: Iterable[tuple[str, str]]) -> float:
    total = copied = 0
    for source, target in pairs:
        known, words = set(source.split()), [word for word in target.split() if word[0].isalnum()]
        total += len(words)
        copied += sum(word in known for word in words)
    return copied / max(1, total)
