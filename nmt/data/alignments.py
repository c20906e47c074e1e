"""Word alignments: links between words in a file, links between pieces in a batch.

In the Pharaoh format, words are separated by white space in the raw line, so a line of a script without spaces is one
word. The subword model may separate words differently (it reads a zero-width space as a space). So links are stored
between the words of its pieces: each piece that starts with U+2581 begins a word. All segmentations of a text have the
same words, so links of words become links of pieces when a batch is made, also with subword sampling.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import CorpusConfig
from nmt.data.corpus import FileFacts, inspect_file, paths
from nmt.data.store import Rows, make_rows
from nmt.data.tokenizer import WORD_START, SubwordModel, Tokenizers
from nmt.errors import LINK_RULE, DataError, UnequalLines

LINK = re.compile(r"(\d{1,9})-(\d{1,9})")


@dataclass(frozen=True)
class Links:
    """N links between the pieces of a batch.

    Attributes:
        rows: Row of the batch; int64 [N].
        targets: Position in the target, without BOS; int64 [N].
        sources: Position in the source; int64 [N].
        shares: 1 / (number of links of this target piece), so the shares of a piece sum to 1; float32 [N].
    """

    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    sources: NDArray[np.int64]
    shares: NDArray[np.float32]

    @property
    def linked(self) -> int:
        """Number of target pieces with links."""
        return round(float(self.shares.sum(dtype=np.float64)))


def inspect_alignment(file: str, corpus: CorpusConfig, pairs: int) -> FileFacts:
    """Count and hash the lines of the alignment file of a corpus that has `pairs` lines.

    Raises:
        DataError: The file cannot be read, or has another number of lines.
    """
    facts = inspect_file(file)
    if facts.lines != pairs:
        raise UnequalLines(file, facts.lines, paths(corpus)[0], pairs, rule=LINK_RULE)
    return facts


def parse_links(line: str, *, source_words: int, target_words: int) -> list[tuple[int, int]]:
    """Return the links of one line, sorted and without repetitions.

    Raises:
        ValueError: A link is not of the form `i-j`, or names a word beyond the end of the line.
    """
    links = set()
    for text in line.split():
        match = LINK.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a link. A link is two numbers from 0 with a dash, such as 3-4")
        source, target = int(match[1]), int(match[2])
        for side, word, words in (("source", source, source_words), ("target", target, target_words)):
            if word >= words:
                raise ValueError(
                    f"the link {text} names {side} word {word}, but the {side} has {words} words, counted from 0"
                )
        links.add((source, target))
    return sorted(links)


class PieceWords:
    """Finds the words of pieces."""

    def __init__(self, model: SubwordModel) -> None:
        self._model = model
        self._starts = np.array([piece.startswith(WORD_START) for piece in model.pieces(range(model.size))])

    def spans(self, rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Find the words of rows that follow each other without gaps, none empty.

        Returns:
            The number of each row's first word among all words [rows], the position of each word's first piece in its
            row [words], and each word's number of pieces [words].
        """
        begins = self._starts[rows.ids]
        begins[rows.starts] = True
        first = np.flatnonzero(begins)
        words_before = np.searchsorted(first, rows.starts)
        row_of_word = np.searchsorted(rows.starts, first, side="right") - 1
        pieces = np.diff(np.append(first, len(rows.ids)))
        return words_before, first - rows.starts[row_of_word], pieces

    def counts(self, rows: Rows) -> NDArray[np.int64]:
        """Return the number of words of each row."""
        before, first, _ = self.spans(rows)
        counts: NDArray[np.int64] = np.diff(np.append(before, len(first)))
        return counts

    def match(self, tokens: Sequence[str], words: int) -> list[range] | None:
        """Return the words of each white-space token of a line; None if they are not the line's `words` words."""
        if len(tokens) == words:
            return [range(word, word + 1) for word in range(words)]
        sizes = [self._count(ids) for ids in self._model.encode(tokens)]
        if sum(sizes) != words:
            return None
        ends = np.cumsum(sizes).tolist()
        return [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]

    def _count(self, ids: list[int]) -> int:
        return int(np.count_nonzero(self._starts[ids][1:])) + 1 if ids else 0


class LinkCounts(NamedTuple):
    """Counts of the alignment of one corpus.

    Attributes:
        links: Links between words.
        pairs_with_links: Pairs with at least one link that is used.
        pairs_not_matched: Pairs whose links are not used, because the subword model separates words differently.
    """

    links: int
    pairs_with_links: int
    pairs_not_matched: int


class LinkReader:
    """Reads a part of the alignment of a corpus beside its pairs."""

    def __init__(
        self, file: str, words: tuple[PieceWords, PieceWords], lines: Iterable[tuple[int, str]], *, tagged: bool
    ) -> None:
        """Take the lines.

        Args:
            file: The alignment file.
            words: Find the words of source and target.
            lines: Consecutive lines of the file with their numbers from 1.
            tagged: Whether a tag precedes each source line. The alignment does not count it as a word.
        """
        self._file = file
        self._words = words
        self._shift = int(tagged)
        self._lines = iter(lines)
        self._links = self._aligned = self._unmatched = 0

    def read(
        self, numbers: NDArray[np.int64], sources: Sequence[str], targets: Sequence[str], rows: tuple[Rows, Rows]
    ) -> Rows:
        """Return the links of the pairs at these lines of the corpus.

        Args:
            numbers: Line numbers from 1, ascending, and greater than the numbers of the last call.
            sources: Raw source lines, with their tag.
            targets: Raw target lines.
            rows: The pieces of both sides.

        Returns:
            A row for each pair: source word, target word, source word, ...

        Raises:
            DataError: A line cannot be read, or has a link to a word that its pair does not have.
        """
        counts = [words.counts(side).tolist() for words, side in zip(self._words, rows, strict=True)]
        rows_of_links = []
        for index, number in enumerate(numbers.tolist()):
            tokens = sources[index].split(), targets[index].split()
            links = self._parse(number, tokens)
            spans = [
                words.match(side, count[index]) for words, side, count in zip(self._words, tokens, counts, strict=True)
            ]
            if spans[0] is None or spans[1] is None:
                self._unmatched += bool(links)
                links = []
            spread = {(s, t) for i, j in links for s in (spans[0] or [])[i] for t in (spans[1] or [])[j]}
            self._links += len(links)
            self._aligned += bool(links)
            rows_of_links.append(list(chain.from_iterable(sorted(spread))))
        return make_rows(rows_of_links, np.int64)

    def counts(self) -> LinkCounts:
        """Return the counts of what was read so far."""
        return LinkCounts(self._links, self._aligned, self._unmatched)

    def _parse(self, number: int, tokens: tuple[list[str], list[str]]) -> list[tuple[int, int]]:
        line = next(line for place, line in self._lines if place == number)
        try:
            links = parse_links(line, source_words=len(tokens[0]) - self._shift, target_words=len(tokens[1]))
        except ValueError as error:
            raise DataError(f"{self._file}, line {number}: {error}.") from None
        return [(source + self._shift, target) for source, target in links]


class _Expanded(NamedTuple):
    """The words of links: the position of their first pieces, and their numbers of pieces."""

    first: NDArray[np.int64]
    pieces: NDArray[np.int64]


class Linker:
    """Converts stored links of words into links of the pieces of a batch."""

    def __init__(self, tokenizers: Tokenizers) -> None:
        self._words = PieceWords(tokenizers.source), PieceWords(tokenizers.target)

    def link(self, words: Rows, sources: Rows, targets: Rows) -> Links:
        """Link all pieces of a source word with all pieces of a target word, for each link of words.

        Args:
            words: The stored links of each pair.
            sources: The source pieces of the same pairs, without gaps between rows.
            targets: The target pieces of the same pairs.
        """
        pairs = words.select(np.arange(len(words.lengths))).ids.reshape(-1, 2).astype(np.int64)
        rows = np.repeat(np.arange(len(words.lengths)), words.lengths // 2)
        source, target = (
            self._expand(side, row_pieces, rows, pairs[:, side]) for side, row_pieces in enumerate((sources, targets))
        )
        sizes = source.pieces * target.pieces
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        width = np.repeat(source.pieces, sizes)
        link_rows = np.repeat(rows, sizes)
        target_places = np.repeat(target.first, sizes) + within // width
        source_places = np.repeat(source.first, sizes) + within % width
        places = link_rows * (int(targets.lengths.max(initial=0)) + 1) + target_places
        _, same, counts = np.unique(places, return_inverse=True, return_counts=True)
        shares = (1.0 / counts[same]).astype(np.float32)
        return Links(link_rows, target_places, source_places, shares)

    def _expand(self, side: int, pieces: Rows, rows: NDArray[np.int64], words: NDArray[np.int64]) -> _Expanded:
        before, first, sizes = self._words[side].spans(pieces)
        places = before[rows] + words
        return _Expanded(first[places], sizes[places])


def no_links(pairs: int) -> Rows:
    """Return empty rows, for the pairs of a corpus without an alignment."""
    return make_rows([[]] * pairs, np.int64)
