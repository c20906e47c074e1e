"""The encode stage: processes segment the shards of filtered pairs and write their ids, which become one store.

Most text has few different words, and subword pieces do not cross spaces (except symbols of the user). So the best
segmentation of a line is that of its words one after another. `WordSegmenter` segments each word once, and numpy puts
the rows together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import Config, CorpusConfig, DataConfig
from nmt.data.alignments import LinkCounts, LinkReader, PieceWords, no_links
from nmt.data.lines import read_lines
from nmt.data.preprocess.filter_pass import WHAT, FilteredShard, FilterResult, describe_filtered, number_blocks
from nmt.data.preprocess.filters import FilterCounts, FilteredPairs, Reason
from nmt.data.preprocess.round_trip import ChangedWords, RoundTripCounter, RoundTrips, RoundTripTotal
from nmt.data.preprocess.work_folder import finished_facts, make_part, read_facts, write_facts
from nmt.data.special_tokens import UNK
from nmt.data.store import SIDES, Rows, Store, StoreWriter, TextReader, make_rows
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import DataError
from nmt.log import Progress
from nmt.processes import map_in_order

SHARD = "encoded-{:06d}"
MAX_WORDS = 500_000
"""Words that are remembered between blocks, about 200 bytes each. If there are more, the rarer half is forgotten."""

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
    """The facts of the encode stage.

    Attributes:
        corpora: The outcome for each corpus.
        sides: The outcome for each side by its name.
        shards: The folders of the ids, in the order of the corpora.
    """

    corpora: tuple[EncodedCorpus, ...]
    sides: dict[str, EncodedSide]
    shards: tuple[Path, ...]


def encode(
    config: Config,
    filtered: FilterResult,
    tokenizers: Tokenizers,
    folder: Path,
    *,
    threads: int,
    bar: Progress,
    processes: int = 1,
    delete_text: bool = False,
) -> EncodeResult:
    """Write the ids of the kept pairs to stores, except pairs that are empty or too long after segmentation.

    Args:
        config: The whole configuration.
        filtered: The training pairs.
        tokenizers: The subword models.
        folder: A work folder. Shards that it has are not made again.
        threads: Processor threads of each process for segmentation. They affect only speed.
        bar: Counts pairs.
        processes: Number of processes. It affects only speed.
        delete_text: Delete the text of each shard when its ids are written.

    Raises:
        DataError: No pair is left, or an alignment does not fit its text.
        ProcessLostError: A process was killed, or memory ran out.
    """
    make = partial(_ShardEncoder, config.data, tokenizers, folder, threads)

    def missing() -> Iterator[_Shard]:
        for shard in _with_links(config.data.train, filtered):
            if finished_facts(folder / SHARD.format(shard.filtered.number)) is None:
                yield shard
            else:
                bar.update(len(shard.kept))

    for number, pairs in map_in_order(make, missing(), processes=processes, what=WHAT):
        if delete_text:
            filtered.shards[number].delete_text()
        bar.update(pairs)
    return _collect(config.data.train, filtered, folder)


def join_shards(config: Config, encoded: EncodeResult, tokenizers: Tokenizers, folder: Path) -> None:
    """Write one store with the pairs of all shards to an empty folder."""
    with _open_store(folder, config.data, tokenizers) as store:
        for shard in encoded.shards:
            part = Store(shard)
            everything = np.arange(len(part))
            store.add(part.rows(everything), part.links(everything))
        store.close([0, *np.cumsum([corpus.kept for corpus in encoded.corpora]).tolist()])


def _open_store(folder: Path, data: DataConfig, tokenizers: Tokenizers) -> StoreWriter:
    linked = any(corpus.alignment is not None for corpus in data.train)
    return StoreWriter(
        folder,
        source_size=tokenizers.source.size,
        target_size=tokenizers.target.size,
        link_size=data.filters.max_pieces if linked else None,
    )


def _collect(corpora: Sequence[CorpusConfig], filtered: FilterResult, folder: Path) -> EncodeResult:
    """Put the facts of all shards together."""
    shards = tuple(folder / SHARD.format(shard.number) for shard in filtered.shards)
    counts = [FilterCounts(start=corpus.filtered) for corpus in filtered.corpora]
    kept = [0] * len(corpora)
    round_trips = [RoundTripTotal() for _ in corpora]
    links = [None if corpus.alignment is None else LinkCounts(0, 0, 0) for corpus in corpora]
    sides = [_SideCounter() for _ in SIDES]
    for shard, encoded in zip(filtered.shards, shards, strict=True):
        facts = read_facts(encoded)
        corpus = shard.corpus
        counts[corpus].merge(map(FilteredPairs.load, facts["filtered"]))
        kept[corpus] += facts["kept"]
        round_trips[corpus].merge(facts["round_trips"])
        before = links[corpus]
        if before is not None:
            links[corpus] = LinkCounts(*map(sum, zip(before, facts["links"], strict=True)))
        for side, found in zip(sides, facts["sides"], strict=True):
            side.merge(found)
    outcome = tuple(
        EncodedCorpus(*each)
        for each in zip(
            kept,
            (each.facts() for each in counts),
            links,
            (each.facts() for each in round_trips),
            strict=True,
        )
    )
    if not sum(kept):
        described = [
            replace(corpus, filtered=after.filtered) for corpus, after in zip(filtered.corpora, outcome, strict=True)
        ]
        raise DataError(f"No training pair is left: {describe_filtered(described)}")
    return EncodeResult(outcome, {name: side.facts() for name, side in zip(SIDES, sides, strict=True)}, shards)


class _Shard(NamedTuple):
    """A shard for a process.

    Attributes:
        filtered: The shard of text.
        kept: Whether each of its pairs is kept.
        links: The lines of the alignment for all records of the shard; None for a corpus without an alignment.
    """

    filtered: FilteredShard
    kept: NDArray[np.bool_]
    links: list[str] | None


def _with_links(corpora: Sequence[CorpusConfig], filtered: FilterResult) -> Iterator[_Shard]:
    lines = [
        None if corpus.alignment is None else read_lines(corpus.alignment, keep_broken=False) for corpus in corpora
    ]
    for shard in filtered.shards:
        corpus = lines[shard.corpus]
        links = None if corpus is None else list(itertools.islice(corpus, shard.read))
        yield _Shard(shard, np.array(filtered.kept[shard.start : shard.end]), links)


class _ShardEncoder:
    """Segments the text of shards and stores the ids."""

    def __init__(self, data: DataConfig, tokenizers: Tokenizers, folder: Path, threads: int) -> None:
        self._data = data
        self._tokenizers = tokenizers
        self._folder = folder
        self._words = ChangedWords(tokenizers.target)
        self._segmenters = _segmenters(tokenizers, threads, self._words)
        self._piece_words: tuple[PieceWords, PieceWords] | None = None

    def __call__(self, shard: _Shard) -> tuple[int, int]:
        """Encode a shard, and return its number and the number of its pairs."""
        corpus = self._data.train[shard.filtered.corpus]
        tag = f"{corpus.tag} " if corpus.tag is not None else ""
        reader = self._link_reader(shard, corpus)
        counts = FilterCounts()
        round_trips = RoundTripCounter(self._words)
        sides = [_SideCounter() for _ in SIDES]
        texts, lines = shard.filtered.texts(), shard.filtered.lines()
        with make_part(self._folder / SHARD.format(shard.filtered.number)) as folder:
            with _open_store(folder, self._data, self._tokenizers) as store:
                for numbers in number_blocks(texts, shard.kept):
                    block = _encode_block(texts, lines, numbers, tag, self._segmenters)
                    block = _filter_by_length(block, self._data.filters.max_pieces, counts)
                    round_trips.add(block.targets)
                    for side, rows in zip(sides, block.rows, strict=True):
                        side.add(rows)
                    store.add(block.rows, self._links(reader, block))
                store.close([0, len(store)])
            facts = {
                "kept": len(store),
                "filtered": counts.facts(),
                "round_trips": round_trips.counts(),
                "links": None if reader is None else reader.counts(),
                "sides": [side.counts() for side in sides],
            }
            write_facts(folder, facts)
        return shard.filtered.number, int(np.count_nonzero(shard.kept))

    def _link_reader(self, shard: _Shard, corpus: CorpusConfig) -> LinkReader | None:
        if shard.links is None:
            return None
        if self._piece_words is None:
            self._piece_words = PieceWords(self._tokenizers.source), PieceWords(self._tokenizers.target)
        tagged = corpus.tag is not None
        lines = enumerate(shard.links, shard.filtered.first)
        return LinkReader(str(corpus.alignment), self._piece_words, lines, tagged=tagged)

    def _links(self, reader: LinkReader | None, block: _Block) -> Rows | None:
        """Return the links of a block; None if no corpus has an alignment."""
        if reader is not None:
            return reader.read(*block)
        return no_links(len(block.lines)) if any(corpus.alignment for corpus in self._data.train) else None


class _SideCounter:
    """Counts the pieces and sentences of one side."""

    def __init__(self) -> None:
        self._unknown = 0
        self._lengths: NDArray[np.int64] = np.zeros(1, dtype=np.int64)

    def add(self, rows: Rows) -> None:
        self._add(int(np.count_nonzero(rows.ids == UNK)), np.bincount(rows.lengths))

    def merge(self, counts: Mapping[str, Any]) -> None:
        """Add what `counts` of another counter returned."""
        self._add(counts["unknown"], np.array(counts["lengths"], dtype=np.int64))

    def _add(self, unknown: int, lengths: NDArray[np.int64]) -> None:
        self._unknown += unknown
        longer, shorter = (lengths, self._lengths) if len(lengths) > len(self._lengths) else (self._lengths, lengths)
        self._lengths = longer.copy()
        self._lengths[: len(shorter)] += shorter

    def counts(self) -> dict[str, Any]:
        """Return the counts as a value of JSON."""
        return {"unknown": self._unknown, "lengths": self._lengths.tolist()}

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
    texts: tuple[TextReader, TextReader],
    lines: NDArray[np.int64],
    numbers: NDArray[np.int64],
    tag: str,
    segmenters: Sequence[SubwordSegmenter],
) -> _Block:
    sources = texts[0].lines(numbers)
    if tag:
        sources = [tag + line for line in sources]
    targets = texts[1].lines(numbers)
    rows = segmenters[0].rows(sources), segmenters[1].rows(targets)
    return _Block(lines[numbers], sources, targets, rows)


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

    forget = _nothing if words is None else words.forget
    make = LineSegmenter if model.has_pieces_across_spaces() else WordSegmenter
    return make(segment, forget)


def _nothing(words: Iterable[str]) -> None:
    """Do nothing."""


class LineSegmenter:
    """Segments line by line, for models with pieces across spaces."""

    def __init__(self, segment: Segment, forget: Callable[[Iterable[str]], None] = _nothing) -> None:
        """Take the function that segments texts, and one that gets those that are forgotten."""
        self._segment = segment
        self._forget = forget
        self._lines: list[str] = []

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""
        self._forget(self._lines)
        self._lines = list(lines)
        return make_rows(self._segment(self._lines), np.uint32)


class WordSegmenter:
    """Segments each word once, and remembers it. Not for several threads at once."""

    def __init__(self, segment: Segment, forget: Callable[[Iterable[str]], None] = _nothing) -> None:
        """Take the function that segments words, and one that gets those that are forgotten."""
        self._segment = segment
        self._forget = forget
        # The end of a line is word number 0, without pieces.
        self._numbers = _Numbers({"\n": 0})
        self._words = make_rows([[]], np.uint32)
        self._uses: NDArray[np.int64] = np.zeros(1, dtype=np.int64)

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""
        if not lines:
            return make_rows([], np.uint32)
        if len(self._numbers) > MAX_WORDS:
            self._forget_rare()
        words = " \n ".join(lines).split(" ")
        numbers = np.fromiter(map(self._numbers.__getitem__, words), np.int64, len(words))
        self._segment_new()
        self._uses[numbers] += 1  # the blocks that have the word
        pieces = self._words.select(numbers)
        ends = np.append(np.flatnonzero(numbers == 0), len(numbers))
        offsets = np.cumsum(pieces.lengths)[ends - 1]
        lengths = np.diff(offsets, prepend=0)
        return Rows(pieces.ids, offsets - lengths, lengths)

    def _segment_new(self) -> None:
        """Segment the words that have a number but no pieces yet."""
        new = self._numbers.take_new()
        if new:
            self._words = _joined(self._words, make_rows(self._segment(new), np.uint32))
            self._uses = np.append(self._uses, np.zeros(len(new), dtype=np.int64))

    def _forget_rare(self) -> None:
        """Forget the half of the words that the fewest blocks had. Of equal ones, forget the older ones."""
        kept = np.argsort(-self._uses[:0:-1], kind="stable")[: MAX_WORDS // 2]
        kept = np.append(0, np.sort(len(self._uses) - 1 - kept))
        words = list(self._numbers)
        self._numbers = _Numbers(zip([words[number] for number in kept.tolist()], range(len(kept)), strict=True))
        self._forget(itertools.compress(words, (~np.isin(np.arange(len(words)), kept)).tolist()))
        self._words = self._words.select(kept)
        self._uses = self._uses[kept] // 2


class _Numbers(dict[str, int]):
    """The number of each word, from 0. A word gets the next number when it is looked up for the first time."""

    def __init__(self, numbers: Mapping[str, int] | Iterable[tuple[str, int]]) -> None:
        super().__init__(numbers)
        self._new: list[str] = []

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        self._new.append(word)
        return number

    def take_new(self) -> list[str]:
        """Return the words that got a number since the last call."""
        new, self._new = self._new, []
        return new


def _joined(first: Rows, second: Rows) -> Rows:
    ids: NDArray[np.uint32] = np.concatenate([first.ids, second.ids])
    starts = np.concatenate([first.starts, second.starts + len(first.ids)])
    return Rows(ids, starts, np.concatenate([first.lengths, second.lengths]))
