"""Segmentation word by word: much text has few different words.

Pieces do not reach across a space (but for symbols that a user wants to), so that the best pieces of a line are those
of its words in a row. A word that came before need not be segmented again, and rows are put together by numpy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.data.store import Rows, make_rows
from nmt.data.tokenizer import SubwordModel

Segment = Callable[[list[str]], list[list[int]]]

MOST_WORDS = 1_000_000
"""Kept at once; when there are more, all are forgotten."""


class SubwordSegmenter(Protocol):
    """Cuts blocks of lines into pieces."""

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""


def make_segmenter(model: SubwordModel, *, threads: int) -> SubwordSegmenter:
    """Return what segments training text with `model`, spread over `threads`."""
    segment = functools.partial(model.encode_many, threads=threads)
    return LineSegmenter(segment) if model.has_pieces_across_spaces() else WordSegmenter(segment)


class LineSegmenter:
    """Segments line by line."""

    def __init__(self, segment: Segment) -> None:
        """Keep `segment`, which gives the ids of each of several texts."""
        self._segment = segment

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""
        return make_rows(self._segment(list(lines)), np.uint32)


class WordSegmenter:
    """Segments blocks of lines by their words. Not for several threads at once."""

    def __init__(self, segment: Segment) -> None:
        """Keep `segment`, which gives the ids of each of several words."""
        self._segment = segment
        self._forget()

    def rows(self, lines: Sequence[str]) -> Rows:
        """Return the ids of each line."""
        if not lines:
            return make_rows([], np.uint32)
        words = " \n ".join(lines).split(" ")
        self._learn(words)
        numbers = np.fromiter(map(self._numbers.__getitem__, words), np.int64, len(words))
        pieces = self._words.select(numbers)
        ends = np.append(np.flatnonzero(numbers == 0), len(numbers))
        offsets = np.cumsum(pieces.lengths)[ends - 1]
        lengths = np.diff(offsets, prepend=0)
        return Rows(pieces.ids, offsets - lengths, lengths)

    def _forget(self) -> None:
        # The end of a line stands among the words, with the number 0 and no pieces.
        self._numbers = {"\n": 0}
        self._words = make_rows([[]], np.uint32)

    def _learn(self, words: Sequence[str]) -> None:
        needed = set(words)
        if len(self._numbers) + len(needed) > MOST_WORDS:
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
