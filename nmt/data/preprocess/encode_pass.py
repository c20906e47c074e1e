"""The encode stage: one pass over the filtered pairs that segments them and writes the store of ids.

Most text has few different words, and subword pieces do not cross spaces (except symbols of the user). So the best
segmentation of a line is that of its words one after another. `WordSegmenter` segments each word once, and numpy puts
the rows together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import Config, CorpusConfig
from nmt.data.alignments import LinkCounts, LinkReader, PieceWords, no_links
from nmt.data.preprocess.filter_pass import FilteredCorpus, FilterResult, describe_filtered
from nmt.data.preprocess.filters import FilterCounts, FilteredPairs, Reason
from nmt.data.preprocess.round_trip import ChangedWords, RoundTripCounter, RoundTrips
from nmt.data.special_tokens import UNK
from nmt.data.store import SIDES, Rows, StoreWriter, make_rows
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import DataError
from nmt.log import Progress

MAX_WORDS = 1_000_000
"""Words that are remembered. If there are more, all are forgotten."""

Segment = Callable[[list[str]], list[list[int]]]
"""Returns the ids of each of several texts."""


@dataclass(frozen=True)
class EncodedCorpus:
    """The outcome for one corpus.

    Attributes:
        kept: Number of pairs in the store.
        filtered: All pairs that were left out, here and in the filter stage, by reason.
        links: Counts of its alignment links; None for a corpus without an alignment.
        round_trips: How many of its targets the subword model gives back.
    """

    kept: int
    filtered: tuple[FilteredPairs, ...]
    links: LinkCounts | None
    round_trips: RoundTrips


@dataclass(frozen=True)
class EncodedSide:
    """The outcome for one side of all corpora.

    Attributes:
        unknown: Share of pieces that are unknown to the subword model.
        length_counts: Number of sentences of each length in pieces, EOS not counted; int64 [longest + 1].
    """

    unknown: float
    length_counts: NDArray[np.int64]


@dataclass(frozen=True)
class EncodeResult:
    """The facts of the encode stage: the outcome for each corpus, and for each side by its name."""

    corpora: tuple[EncodedCorpus, ...]
    sides: dict[str, EncodedSide]


def encode(
    config: Config, filtered: FilterResult, tokenizers: Tokenizers, folder: Path, *, threads: int, bar: Progress
) -> EncodeResult:
    """Write the ids of the kept pairs to a store, except pairs that are empty or too long after segmentation.

    Args:
        config: The whole configuration.
        filtered: The training pairs.
        tokenizers: The subword models.
        folder: The folder of the store.
        threads: Processor threads for segmentation. They affect only speed.
        bar: Counts pairs.

    Raises:
        DataError: No pair is left, or an alignment does not fit its text.
    """
    readers = _link_readers(config.data.train, tokenizers)
    linked = any(readers)
    counters = _SideCounter(), _SideCounter()
    words = ChangedWords(tokenizers.target)
    segmenters = _segmenters(tokenizers, threads, words)
    corpora, bounds = [], [0]
    with StoreWriter(
        folder,
        source_size=tokenizers.source.size,
        target_size=tokenizers.target.size,
        link_size=config.data.filters.max_pieces if linked else None,
    ) as store:
        for corpus, options, reader in zip(filtered.corpora, config.data.train, readers, strict=True):
            counts = FilterCounts(start=corpus.filtered)
            round_trips = RoundTripCounter(words)
            tag = f"{options.tag} " if options.tag is not None else ""
            for numbers in filtered.blocks(corpus.start, corpus.end):
                block = _encode_block(filtered, numbers, tag, segmenters)
                block = _filter_by_length(block, config.data.filters.max_pieces, counts)
                round_trips.add(block.targets)
                for counter, rows in zip(counters, block.rows, strict=True):
                    counter.add(rows)
                if linked:
                    links = no_links(len(block.lines)) if reader is None else reader.read(*block)
                    store.add(block.rows, links)
                else:
                    store.add(block.rows)
                bar.update(len(numbers))
            corpora.append(
                EncodedCorpus(
                    len(store) - bounds[-1],
                    counts.facts(),
                    None if reader is None else reader.counts(),
                    round_trips.facts(),
                )
            )
            bounds.append(len(store))
        store.close(bounds)
    if not len(store):
        raise DataError(f"No training pair is left: {describe_filtered(_with_counts(filtered.corpora, corpora))}")
    return EncodeResult(tuple(corpora), {side: counter.facts() for side, counter in zip(SIDES, counters, strict=True)})


def _with_counts(corpora: Sequence[FilteredCorpus], encoded: Sequence[EncodedCorpus]) -> list[FilteredCorpus]:
    return [replace(corpus, filtered=after.filtered) for corpus, after in zip(corpora, encoded, strict=True)]


class _SideCounter:
    """Counts the pieces and sentences of one side."""

    def __init__(self) -> None:
        self._unknown = 0
        self._lengths: NDArray[np.int64] = np.zeros(1, dtype=np.int64)

    def add(self, rows: Rows) -> None:
        self._unknown += int(np.count_nonzero(rows.ids == UNK))
        counts: NDArray[np.int64] = np.bincount(rows.lengths, minlength=len(self._lengths))
        counts[: len(self._lengths)] += self._lengths
        self._lengths = counts

    def facts(self) -> EncodedSide:
        pieces = int(np.dot(self._lengths, np.arange(len(self._lengths))))
        return EncodedSide(self._unknown / pieces if pieces else 0.0, self._lengths)


class _Block(NamedTuple):
    """Some pairs of a corpus.

    Attributes:
        lines: Their line numbers in the corpus, from 1.
        sources: Source lines, with the tag of the corpus.
        targets: Target lines.
        rows: The ids of both sides.
    """

    lines: NDArray[np.int64]
    sources: list[str]
    targets: list[str]
    rows: tuple[Rows, Rows]


def _encode_block(
    filtered: FilterResult, numbers: NDArray[np.int64], tag: str, segmenters: Sequence[SubwordSegmenter]
) -> _Block:
    sources = [tag + line for line in filtered.sources.lines(numbers)]
    targets = filtered.targets.lines(numbers)
    rows = segmenters[0].rows(sources), segmenters[1].rows(targets)
    return _Block(filtered.lines[numbers], sources, targets, rows)


def _filter_by_length(block: _Block, max_pieces: int, counts: FilterCounts) -> _Block:
    """Return the pairs with at least one and at most `max_pieces` pieces on both sides, and count the others."""
    shorter = np.minimum(block.rows[0].lengths, block.rows[1].lengths)
    longer = np.maximum(block.rows[0].lengths, block.rows[1].lengths)
    fits = (shorter > 0) & (longer <= max_pieces)
    if fits.all():
        return block
    for row in np.flatnonzero(~fits):
        reason: Reason = "empty" if shorter[row] == 0 else "too many pieces"
        counts.add(reason, int(block.lines[row]), block.sources[row], block.targets[row])
    kept = np.flatnonzero(fits)
    sources, targets = ([side[row] for row in kept] for side in (block.sources, block.targets))
    return _Block(block.lines[kept], sources, targets, (block.rows[0].select(kept), block.rows[1].select(kept)))


def _link_readers(corpora: Sequence[CorpusConfig], tokenizers: Tokenizers) -> list[LinkReader | None]:
    """Make a reader for each corpus that has an alignment."""
    if all(corpus.alignment is None for corpus in corpora):
        return [None] * len(corpora)
    words = PieceWords(tokenizers.source), PieceWords(tokenizers.target)
    return [
        None if corpus.alignment is None else LinkReader(corpus.alignment, words, tagged=corpus.tag is not None)
        for corpus in corpora
    ]


def _segmenters(tokenizers: Tokenizers, threads: int, words: ChangedWords) -> list[SubwordSegmenter]:
    """Make a segmenter for each side. Both sides of a joint model share one, with the words that it remembers.

    The target's segmenter passes each word that it segments to `words`.
    """
    target = make_segmenter(tokenizers.target, threads=threads, words=words)
    joint = tokenizers.source is tokenizers.target
    return [target if joint else make_segmenter(tokenizers.source, threads=threads), target]


class SubwordSegmenter(Protocol):
    """Segments blocks of lines into subword pieces."""

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""


def make_segmenter(model: SubwordModel, *, threads: int, words: ChangedWords | None = None) -> SubwordSegmenter:
    """Make the fastest segmenter for a model.

    Args:
        model: The subword model.
        threads: Processor threads. They affect only speed.
        words: Gets each text that is segmented, words or lines.
    """

    def segment(texts: list[str]) -> list[list[int]]:
        ids = model.encode(texts, threads=threads)
        if words is not None:
            words.learn(texts, ids)
        return ids

    return LineSegmenter(segment) if model.has_pieces_across_spaces() else WordSegmenter(segment)


class LineSegmenter:
    """Segments line by line, for models with pieces across spaces."""

    def __init__(self, segment: Segment) -> None:
        """Take the function that segments texts."""
        self._segment = segment

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""
        return make_rows(self._segment(list(lines)), np.uint32)


class WordSegmenter:
    """Segments each word once, and remembers it. Not for several threads at once."""

    def __init__(self, segment: Segment) -> None:
        """Take the function that segments words."""
        self._segment = segment
        self._forget()

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""
        if not lines:
            return make_rows([], np.uint32)
        words = " \n ".join(lines).split(" ")
        self._remember(words)
        numbers = np.fromiter(map(self._numbers.__getitem__, words), np.int64, len(words))
        pieces = self._words.select(numbers)
        ends = np.append(np.flatnonzero(numbers == 0), len(numbers))
        offsets = np.cumsum(pieces.lengths)[ends - 1]
        lengths = np.diff(offsets, prepend=0)
        return Rows(pieces.ids, offsets - lengths, lengths)

    def _forget(self) -> None:
        # The end of a line is word number 0, without pieces.
        self._numbers = {"\n": 0}
        self._words = make_rows([[]], np.uint32)

    def _remember(self, words: Sequence[str]) -> None:
        needed = set(words)
        if len(self._numbers) + len(needed) > MAX_WORDS:
            self._forget()
        new = list(needed.difference(self._numbers))
        if not new:
            return
        self._numbers.update(zip(new, range(len(self._numbers), len(self._numbers) + len(new)), strict=True))
        self._words = _joined(self._words, make_rows(self._segment(new), np.uint32))


def _joined(first: Rows, second: Rows) -> Rows:
    ids: NDArray[np.uint32] = np.concatenate([first.ids, second.ids])
    starts = np.concatenate([first.starts, second.starts + len(first.ids)])
    return Rows(ids, starts, np.concatenate([first.lengths, second.lengths]))
