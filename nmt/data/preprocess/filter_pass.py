"""The first pass over the training corpora: reads, filters, and keeps what remains on disk for the passes after it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import CorpusConfig, DataConfig
from nmt.data.corpus import Malformed, paths, read_training
from nmt.data.preprocess.filters import FilterCounts, PairFilter, make_filter
from nmt.data.preprocess.overlap import OverlapCheck
from nmt.data.store import ArrayWriter, TextReader, TextWriter, map_array
from nmt.errors import DataError
from nmt.log import Progress

BLOCK_PAIRS = 10_000
BLOCK_CHARACTERS = 10_000_000  # of both sides: a block of very long lines has fewer pairs
MAX_EXAMPLES = 3  # of each reason, in the report
MAX_EXAMPLE_CHARACTERS = 100


@dataclass
class FilteredCorpus:
    """What became of one corpus. Its pairs that passed the text filters have the numbers from `start` to `end`."""

    files: tuple[str, ...]
    read: int
    start: int
    end: int
    tally: FilterCounts


class FilterResult:
    """The training pairs that passed the text filters, in a folder.

    Attributes:
        corpora: What became of each corpus.
        sources: Source lines, by number.
        targets: Target lines, by number.
        lines: The number of each pair's line in its corpus, from 1.
        kept: False for pairs that came before.
    """

    def __init__(self, folder: Path, corpora: Sequence[FilteredCorpus], *, duplicates: bool) -> None:
        self.corpora = list(corpora)
        self.sources = TextReader(folder, "source")
        self.targets = TextReader(folder, "target")
        self.lines = map_array(folder / "lines", np.int64)
        self.kept: NDArray[np.bool_] = np.ones(len(self.lines), dtype=np.bool_)
        if duplicates:
            self.kept = first_occurrences(folder / "hashes")
        for corpus in self.corpora:
            for block in self.blocks(corpus.start, corpus.end, kept=False):
                sources, targets = self.sources.lines(block), self.targets.lines(block)
                for number, source, target in zip(block, sources, targets, strict=True):
                    corpus.tally.add("duplicate", int(self.lines[number]), source, target)

    def count_kept(self) -> int:
        """How many pairs are kept."""
        return int(np.count_nonzero(self.kept))

    def blocks(self, start: int, end: int, *, kept: bool) -> Iterator[NDArray[np.int64]]:
        """The numbers of the pairs in a range that are kept (or those that are not), in blocks."""
        for first in range(start, end, BLOCK_PAIRS):
            part = self.kept[first : min(first + BLOCK_PAIRS, end)]
            numbers: NDArray[np.int64] = np.flatnonzero(part == kept) + first
            sizes = np.cumsum(self.sources.sizes(numbers) + self.targets.sizes(numbers)) // BLOCK_CHARACTERS
            yield from (block for block in np.split(numbers, np.flatnonzero(np.diff(sizes)) + 1) if len(block))


def filter_corpora(data: DataConfig, folder: Path, held_out: Sequence[OverlapCheck], bar: Progress) -> FilterResult:
    """Reads and filters all training corpora.

    Args:
        data: The data section of the configuration.
        folder: An empty folder for what remains.
        held_out: Sets to look for in the training text.
        bar: Counts the pairs that were read.

    Raises:
        DataError: A corpus cannot be read.
    """
    pair_filter = make_filter(
        max_words=data.filters.max_words,
        max_ratio=data.filters.max_length_ratio,
        identical=data.filters.identical,
        source_language=data.source_language,
        target_language=data.target_language,
    )
    writer = _Writer(folder)
    corpora = [_filter_corpus(corpus, pair_filter, writer, held_out, bar) for corpus in data.train]
    writer.close()
    selection = FilterResult(folder, corpora, duplicates=data.filters.duplicates)
    if not selection.count_kept():
        raise DataError(f"No training pair is left: {describe_filtered(corpora)}")
    return selection


def describe_filtered(corpora: Sequence[FilteredCorpus]) -> str:
    """Why pairs were left out, with an example."""
    reasons = []
    for corpus in corpora:
        for reason, count, examples in corpus.tally:
            reasons.append(
                f"{' + '.join(corpus.files)}: {count:,} left out ({reason}), such as line {examples[0].line}: "
                f"{examples[0].source} | {examples[0].target}"
            )
    return "\n".join(reasons) or "the files are empty."


def look_for(held_out: Sequence[OverlapCheck], corpora: Sequence[CorpusConfig]) -> None:
    """Reads the training corpora for nothing but the sets that are held out."""
    for corpus in corpora:
        for block in _blocks(read_training(corpus)):
            normal = [_normal(pair) for pair in block if not isinstance(pair, Malformed)]
            for held in held_out:
                held.look(normal)


def _filter_corpus(
    corpus: CorpusConfig, pair_filter: PairFilter, writer: _Writer, held_out: Sequence[OverlapCheck], bar: Progress
) -> FilteredCorpus:
    start, read = writer.pairs, 0
    tally = FilterCounts(max_examples=MAX_EXAMPLES, max_characters=MAX_EXAMPLE_CHARACTERS)
    judge = pair_filter.judge
    for block in _blocks(read_training(corpus)):
        pairs: list[tuple[str, str]] = []
        lines: list[int] = []
        kept: list[tuple[str, str]] = []
        normal: list[tuple[str, str]] = []
        for line, pair in enumerate(block, start=read + 1):
            if isinstance(pair, Malformed):
                tally.add("wrong number of columns", line, pair.line, "")
                continue
            normal.append(_normal(pair))
            reason = judge(*pair)
            if reason is None:
                pairs.append(pair)
                kept.append(normal[-1])
                lines.append(line)
            else:
                tally.add(reason, line, *pair)
        for held in held_out:
            held.look(normal)
        writer.add(pairs, kept, lines)
        read += len(block)
        bar.update(len(block))
    return FilteredCorpus(files=paths(corpus), read=read, start=start, end=writer.pairs, tally=tally)


class _Writer:
    def __init__(self, folder: Path) -> None:
        self.pairs = 0
        self._sources = TextWriter(folder, "source")
        self._targets = TextWriter(folder, "target")
        self._lines = ArrayWriter(folder / "lines", np.int64)
        self._hashes = ArrayWriter(folder / "hashes", np.uint64)

    def add(self, pairs: Sequence[tuple[str, str]], normal: Sequence[tuple[str, str]], lines: Sequence[int]) -> None:
        self._sources.add([source for source, _ in pairs])
        self._targets.add([target for _, target in pairs])
        self._lines.add(np.array(lines, dtype=np.int64))
        hashes: NDArray[Any] = np.fromiter(map(hash, normal), dtype=np.int64, count=len(normal))
        self._hashes.add(hashes.view(np.uint64))
        self.pairs += len(pairs)

    def close(self) -> None:
        for writer in (self._lines, self._hashes):
            writer.close()
        for texts in (self._sources, self._targets):
            texts.close()


def _normal(pair: tuple[str, str]) -> tuple[str, str]:
    """A pair as it is compared: word for word, whatever the spaces."""
    return " ".join(pair[0].split()), " ".join(pair[1].split())


def _blocks(pairs: Iterable[tuple[str, str] | Malformed]) -> Iterator[list[tuple[str, str] | Malformed]]:
    block: list[tuple[str, str] | Malformed] = []
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
    """Tells for each 64-bit hash in a file (uint64) whether it is the first of its kind.

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
