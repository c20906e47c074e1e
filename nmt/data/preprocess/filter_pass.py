"""The filter stage: one pass over the training corpora that keeps what the later stages need on disk.

Each training file is opened once. The pass filters by text, hashes each pair to find duplicates, and counts how much of
the validation and test sets is in the training text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import CorpusConfig, DataConfig
from nmt.data.corpus import MalformedLine, ParallelText, paths, read_training
from nmt.data.languages import find_language
from nmt.data.lines import is_blank
from nmt.data.preprocess.filters import FilterCounts, FilteredPairs, PairFilter, Reason, make_filter
from nmt.data.store import ArrayWriter, TextReader, TextWriter, map_array
from nmt.data.words import comparable
from nmt.errors import DataError
from nmt.log import Progress, logger

BLOCK_PAIRS = 10_000
BLOCK_CHARACTERS = 10_000_000  # of both sides: a block of very long lines has fewer pairs


@dataclass(frozen=True)
class HeldOutSet:
    """A validation or test set.

    Attributes:
        name: The name in messages and in the report.
        text: Its pairs, unchanged, and the facts about its files.
    """

    name: str
    text: ParallelText


class Overlap(NamedTuple):
    """How much of a held-out set is in the training text.

    Lines are equal if they look the same (`nmt.data.words.comparable`). Blank lines do not count.

    Attributes:
        sources: Pairs whose source is in the training text.
        targets: Pairs whose target is in the training text.
        both: Pairs that are in the training text as a whole.
        training_pairs: Training pairs with a source or target of the set.
    """

    sources: int
    targets: int
    both: int
    training_pairs: int


@dataclass(frozen=True)
class FilteredCorpus:
    """The outcome for one corpus. The pairs that passed the text filters are numbered from `start` to `end`.

    Attributes:
        files: Its files.
        read: Number of pairs read.
        start: Number of its first pair that passed.
        end: Number after its last pair that passed.
        filtered: The pairs that were left out, duplicates included, by reason.
    """

    files: tuple[str, ...]
    read: int
    start: int
    end: int
    filtered: tuple[FilteredPairs, ...]


@dataclass(frozen=True)
class FilterResult:
    """The training pairs that passed the text filters, in files of a work folder.

    Attributes:
        corpora: The outcome for each corpus.
        overlap: The overlap of the training text with each held-out set.
        sources: Source lines, by number.
        targets: Target lines, by number.
        lines: The number of each pair's line in its corpus, from 1; int64.
        kept: False for duplicates of an earlier pair, if duplicates are left out.
    """

    corpora: tuple[FilteredCorpus, ...]
    overlap: tuple[Overlap, ...]
    sources: TextReader
    targets: TextReader
    lines: NDArray[np.int64]
    kept: NDArray[np.bool_]

    def count_kept(self) -> int:
        """Return the number of pairs that are kept."""
        return int(np.count_nonzero(self.kept))

    def blocks(self, start: int, end: int, *, kept: bool = True) -> Iterator[NDArray[np.int64]]:
        """Yield the numbers of the kept pairs in a range (or of the duplicates), in blocks of bounded size."""
        yield from _number_blocks(self.sources, self.targets, self.kept[start:end] == kept, start)

    def sample_lines(self, sides: Sequence[str], *, max_lines: int, max_bytes: int) -> Iterator[str]:
        """Yield lines of kept pairs that are spread evenly over all corpora.

        Args:
            sides: `source`, `target` or both. The lines of both sides of a pair follow each other.
            max_lines: Most lines in all.
            max_bytes: Limits the sample to the share of pairs for which all text of the sides would have this size.
        """
        readers = [{"source": self.sources, "target": self.targets}[side] for side in sides]
        total = self.count_kept()
        share = min(1.0, max_bytes / max(1, sum(texts.size for texts in readers)))
        max_pairs = max(1, min(max_lines // len(sides), int(total * share)))
        rank = 0
        for numbers in self.blocks(0, len(self.kept)):
            if total > max_pairs:
                ranks = np.arange(rank, rank + len(numbers))
                rank += len(numbers)
                numbers = numbers[(ranks + 1) * max_pairs // total > ranks * max_pairs // total]
            for lines in zip(*(texts.lines(numbers) for texts in readers), strict=True):
                yield from lines


def filter_corpora(
    data: DataConfig, folder: Path, held_out: Sequence[HeldOutSet] = (), *, bar: Progress
) -> FilterResult:
    """Read and filter all training corpora.

    Args:
        data: The data section of the configuration.
        folder: An empty work folder.
        held_out: Sets to look for in the training text, or to remove from it (`data.filters.drop_held_out`).
        bar: Counts the pairs that were read.

    Raises:
        DataError: A corpus cannot be read, or no pair is kept.
    """
    run = _FilterPass(data, folder, [OverlapCounter(held) for held in held_out], bar)
    corpora = [run.filter(corpus) for corpus in data.train]
    run.writer.close()
    sources, targets, lines = (
        TextReader(folder, "source"),
        TextReader(folder, "target"),
        map_array(folder / "lines", np.int64),
    )
    kept: NDArray[np.bool_] = np.ones(len(lines), dtype=np.bool_)
    if data.filters.drop_duplicates:
        kept = first_occurrences(folder / "hashes")
        corpora = [_add_duplicates(corpus, sources, targets, lines, kept) for corpus in corpora]
    overlap = tuple(counter.facts() for counter in run.overlap)
    result = FilterResult(tuple(corpora), overlap, sources, targets, lines, kept)
    if not result.count_kept():
        raise DataError(f"No training pair is left: {describe_filtered(corpora)}")
    return result


def describe_filtered(corpora: Iterable[FilteredCorpus]) -> str:
    """Describe which pairs were left out, with an example of each reason."""
    reasons = [
        f"{' + '.join(corpus.files)}: {count:,} left out ({reason}), such as line {examples[0].line}: "
        f"{examples[0].source} | {examples[0].target}"
        for corpus in corpora
        for reason, count, examples in corpus.filtered
    ]
    return "\n".join(reasons) or "the files are empty."


def count_overlap(held_out: Sequence[HeldOutSet], data: DataConfig) -> list[Overlap]:
    """Read the training corpora and count their overlap with held-out sets.

    The only filter is `data.filters.drop_held_out`.
    """
    counters = [OverlapCounter(held) for held in held_out]
    for corpus in data.train:
        for block in _blocks(read_training(corpus)):
            normalized = [comparable_pair(pair) for pair in block if not isinstance(pair, MalformedLine)]
            if data.filters.drop_held_out:
                normalized = [pair for pair in normalized if not any(counter.has(pair) for counter in counters)]
            for counter in counters:
                counter.add(normalized)
    return [counter.facts() for counter in counters]


class OverlapCounter:
    """Counts the overlap of one held-out set with the training text."""

    def __init__(self, held: HeldOutSet) -> None:
        """Index the lines of the set."""
        self._pairs = [(_words(source), _words(target)) for source, target in held.text.pairs]
        self._sources = {source for source, _ in self._pairs if source}
        self._targets = {target for _, target in self._pairs if target}
        self._both = {(source, target) for source, target in self._pairs if source and target}
        self._seen_sources: set[str] = set()
        self._seen_targets: set[str] = set()
        self._seen_both: set[tuple[str, str]] = set()
        self._training_pairs = 0

    def has(self, pair: tuple[str, str]) -> bool:
        """Whether a side of a training pair, in the form of `comparable`, is in the set."""
        return pair[0] in self._sources or pair[1] in self._targets

    def add(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Count training pairs in the form of `comparable`."""
        for pair in pairs:
            source, target = pair
            found = False
            if source in self._sources:
                self._seen_sources.add(source)
                found = True
            if target in self._targets:
                self._seen_targets.add(target)
                found = True
            if found:
                self._training_pairs += 1
                if pair in self._both:
                    self._seen_both.add(pair)

    def facts(self) -> Overlap:
        """Return the counts."""
        return Overlap(
            sources=sum(source in self._seen_sources for source, _ in self._pairs),
            targets=sum(target in self._seen_targets for _, target in self._pairs),
            both=sum(pair in self._seen_both for pair in self._pairs),
            training_pairs=self._training_pairs,
        )


class _FilterPass:
    """The state of one pass over all corpora."""

    def __init__(self, data: DataConfig, folder: Path, overlap: Sequence[OverlapCounter], bar: Progress) -> None:
        self.writer = _Writer(folder)
        self.overlap = overlap
        self._data = data
        self._bar = bar
        self._filter: PairFilter | None = None

    def filter(self, corpus: CorpusConfig) -> FilteredCorpus:
        start, read = self.writer.pairs, 0
        counts = FilterCounts()
        dropped = self.overlap if self._data.filters.drop_held_out else []
        for block in _blocks(read_training(corpus)):
            pairs: list[tuple[str, str]] = []
            lines: list[int] = []
            kept: list[tuple[str, str]] = []
            normalized: list[tuple[str, str]] = []
            reject = self._reject(block)
            for line, pair in enumerate(block, start=read + 1):
                if isinstance(pair, MalformedLine):
                    counts.add("wrong number of columns", line, pair.line, "")
                    continue
                form = comparable_pair(pair)
                reason = reject(*pair)
                if any(held.has(form) for held in dropped):
                    reason = reason or "held out"
                else:
                    normalized.append(form)
                if reason is None:
                    pairs.append(pair)
                    kept.append(form)
                    lines.append(line)
                else:
                    counts.add(reason, line, *pair)
            for counter in self.overlap:
                counter.add(normalized)
            self.writer.add(pairs, kept, lines)
            read += len(block)
            self._bar.update(len(block))
        return FilteredCorpus(paths(corpus), read, start, self.writer.pairs, counts.facts())

    def _reject(self, block: Sequence[tuple[str, str] | MalformedLine]) -> Callable[[str, str], Reason | None]:
        """Return the test of the filter. It is made from the first block, whose script may be needed."""
        if self._filter is None:
            pairs = [pair for pair in block if not isinstance(pair, MalformedLine)]
            data = self._data
            sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
            self._filter = make_filter(
                max_words=data.filters.max_words,
                max_ratio=data.filters.max_length_ratio,
                identical=data.filters.drop_identical,
                source_language=data.source_language,
                target_language=data.target_language,
                source_lines=sources,
                target_lines=targets,
            )
            _log_unit("source", data.source_language, by_character=self._filter.source_by_character)
            _log_unit("target", data.target_language, by_character=self._filter.target_by_character)
        return self._filter.reject


def _log_unit(side: str, code: str, *, by_character: bool) -> None:
    """Log a code that was corrected, and a unit of lengths that the code alone does not determine."""
    found = find_language(code)
    if found.mistake:
        logger.warning(
            "data.%s_language: %s is not the code of a language. It is read as %s (%s).",
            *(side, code, found.code, found.name),
        )
    unit = "characters" if by_character else "words"
    if not found.alpha3:
        logger.info(
            "data.%s_language: %s is not in the table of languages. Lengths are counted in %s, by the script of the "
            "text.",
            *(side, code, unit),
        )
    elif by_character != found.by_character:
        logger.warning(
            "data.%s_language: lengths are counted in %s, by the script and the spaces of the text. Usual text in %s "
            "(%s) has lengths in %s.",
            *(side, unit, found.name, code, found.unit),
        )


def _add_duplicates(
    corpus: FilteredCorpus, sources: TextReader, targets: TextReader, lines: NDArray[np.int64], kept: NDArray[np.bool_]
) -> FilteredCorpus:
    """Count the duplicates of a corpus among its filtered pairs."""
    counts = FilterCounts(start=corpus.filtered)
    for block in _number_blocks(sources, targets, ~kept[corpus.start : corpus.end], corpus.start):
        for number, source, target in zip(block, sources.lines(block), targets.lines(block), strict=True):
            counts.add("duplicate", int(lines[number]), source, target)
    return replace(corpus, filtered=counts.facts())


def _number_blocks(
    sources: TextReader, targets: TextReader, chosen: NDArray[np.bool_], start: int
) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of the chosen pairs in blocks. `chosen` is for the pairs from `start` on."""
    for first in range(0, len(chosen), BLOCK_PAIRS):
        numbers: NDArray[np.int64] = np.flatnonzero(chosen[first : first + BLOCK_PAIRS]) + (start + first)
        sizes = np.cumsum(sources.sizes(numbers) + targets.sizes(numbers)) // BLOCK_CHARACTERS
        yield from (block for block in np.split(numbers, np.flatnonzero(np.diff(sizes)) + 1) if len(block))


class _Writer:
    def __init__(self, folder: Path) -> None:
        self.pairs = 0
        self._sources = TextWriter(folder, "source")
        self._targets = TextWriter(folder, "target")
        self._lines = ArrayWriter(folder / "lines", np.int64)
        self._hashes = ArrayWriter(folder / "hashes", np.uint64)

    def add(
        self, pairs: Sequence[tuple[str, str]], normalized: Sequence[tuple[str, str]], lines: Sequence[int]
    ) -> None:
        self._sources.add([source for source, _ in pairs])
        self._targets.add([target for _, target in pairs])
        self._lines.add(np.array(lines, dtype=np.int64))
        hashes: NDArray[Any] = np.fromiter(map(hash, normalized), dtype=np.int64, count=len(normalized))
        self._hashes.add(hashes.view(np.uint64))
        self.pairs += len(pairs)

    def close(self) -> None:
        for writer in (self._lines, self._hashes):
            writer.close()
        for texts in (self._sources, self._targets):
            texts.close()


def comparable_pair(pair: tuple[str, str]) -> tuple[str, str]:
    """Return a pair in the form in which pairs are compared."""
    return comparable(pair[0]), comparable(pair[1])


def _words(line: str) -> str:
    return "" if is_blank(line) else comparable(line)


def _blocks(pairs: Iterable[tuple[str, str] | MalformedLine]) -> Iterator[list[tuple[str, str] | MalformedLine]]:
    block: list[tuple[str, str] | MalformedLine] = []
    characters = 0
    for pair in pairs:
        block.append(pair)
        characters += sum(map(len, pair))
        if len(block) == BLOCK_PAIRS or characters > BLOCK_CHARACTERS:
            yield block
            block, characters = [], 0
    if block:
        yield block


SORTED_AT_ONCE = 1 << 23  # hashes; each takes 24 bytes while it is sorted


def first_occurrences(path: Path) -> NDArray[np.bool_]:
    """Return for each 64-bit hash in a file (uint64) whether no equal hash comes before it.

    Two different pairs share a hash with a probability of about 1 in 10^7 for a corpus of a million pairs.
    """
    hashes = map_array(path, np.uint64)
    first = np.ones(len(hashes), dtype=np.bool_)
    parts = -(-len(hashes) // SORTED_AT_ONCE)
    for part in range(parts):
        numbers = _members(hashes, part, parts) if parts > 1 else np.arange(len(hashes))
        chosen = hashes[numbers]
        order = np.argsort(chosen, kind="stable")  # equal hashes stay in the order of the corpus
        ordered = chosen[order]
        repeated = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
        first[numbers[order[repeated]]] = False
    return first


def _members(hashes: NDArray[np.uint64], part: int, parts: int) -> NDArray[np.int64]:
    found = []
    for start in range(0, len(hashes), SORTED_AT_ONCE):
        found.append(np.flatnonzero(hashes[start : start + SORTED_AT_ONCE] % np.uint64(parts) == part) + start)
    return np.concatenate(found)
