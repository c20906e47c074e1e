"""Attention maps: weights between pieces or words, and the alignment that follows from them.

T target units, S source units (pieces or words, EOS included). Imports no torch.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.special_tokens import EOS
from nmt.data.tokenizer import WORD_START, SubwordModel

BYTE_PIECE = re.compile("<0x[0-9A-F]{2}>")
MAX_MATCHED = 4_000_000
"""Largest product of the lengths of two texts whose characters are matched."""

END = "</s>"
"""The text of EOS on both sides."""


class Units(NamedTuple):
    """One side of a line, as pieces or words."""

    texts: list[str]
    """The pieces or words in order, with END for EOS."""
    ends: frozenset[int]
    """The indices of EOS: one per segment of the line."""

    def numbers(self) -> list[int | None]:
        """Return each unit's number from 0, not counting EOS; None for EOS."""
        counts = accumulate(0 if index in self.ends else 1 for index in range(len(self.texts)))
        return [None if index in self.ends else count - 1 for index, count in enumerate(counts)]


class AttentionMap(NamedTuple):
    """The attention of one line."""

    source: Units
    target: Units
    weights: NDArray[np.float32]
    """Attention weights [T, S]: row t is the attention when target unit t is predicted."""

    def links(self) -> list[tuple[int, int]]:
        """Return the alignment: each target unit with the source unit of the greatest weight.

        Returns:
            Sorted pairs (source, target), both counted from 0 without EOS. A target unit without weights, or whose
            greatest weight is on EOS, has no pair.
        """
        sources, targets = self.source.numbers(), self.target.numbers()
        best = self.weights.argmax(axis=1).tolist()
        linked: list[bool] = (self.weights.max(axis=1, initial=0) > 0).tolist()
        pairs = (
            (sources[index], target)
            for index, target, has_weight in zip(best, targets, linked, strict=True)
            if has_weight
        )
        return sorted((source, target) for source, target in pairs if source is not None and target is not None)


def pharaoh(links: Sequence[tuple[int, int]]) -> str:
    """Return an alignment in the Pharaoh format: `0-0 1-2`, source before target, both counted from 0."""
    return " ".join(f"{source}-{target}" for source, target in links)


def piece_units(ids: Sequence[int], subwords: SubwordModel) -> Units:
    """Return the pieces of `ids`, in which every segment of the line ends with EOS."""
    texts = [END if piece == EOS else text for piece, text in zip(ids, subwords.pieces(ids), strict=True)]
    return Units(texts, frozenset(index for index, piece in enumerate(ids) if piece == EOS))


def word_spans(pieces: Units) -> list[range]:
    """Return the range of pieces of each word; EOS is a word of its own.

    A word begins with a piece that begins with U+2581, SentencePiece's mark of a space, or after EOS.
    """
    starts = []
    for index, text in enumerate(pieces.texts):
        inside = index > 0 and index not in pieces.ends and index - 1 not in pieces.ends
        # A mark that is a piece of its own is the space before the next word, even if that has a mark as well.
        if not (inside and (not text.startswith(WORD_START) or pieces.texts[index - 1] == WORD_START)):
            starts.append(index)
    return [range(*pair) for pair in zip(starts, [*starts[1:], len(pieces.texts)], strict=True)]


def line_words(pieces: Units, words: Sequence[str], subwords: SubwordModel) -> list[list[int]]:
    """Return the indices of the pieces of each white-space word of a line; each EOS follows as a word of its own.

    The subword model may separate words differently: it may read a zero-width space as a space, or drop a word. So
    the characters of the words, as the model writes each of them, are matched with the characters of the pieces.

    Args:
        pieces: The pieces of the line.
        words: The words of the line, separated by white space.
        subwords: The model of the pieces, from left to right.
    """
    starts: list[int] = []
    symbols: list[str] = []
    for row in subwords.encode(words):
        starts.append(len(symbols))
        symbols += (symbol for piece in subwords.pieces(row) for symbol in _symbols(piece))
    owners = [index for index, text in enumerate(pieces.texts) if index not in pieces.ends for _ in _symbols(text)]
    written = [
        symbol for index, text in enumerate(pieces.texts) if index not in pieces.ends for symbol in _symbols(text)
    ]
    first: dict[int, int] = {}
    for owner, place in zip(owners, _matching(symbols, written), strict=True):
        first.setdefault(owner, max(0, bisect_right(starts, place) - 1))
    groups: list[list[int]] = [[] for _ in words]
    word = 0
    for index in range(len(pieces.texts)):
        # A text without words, such as a lone space, still has pieces: they belong to no word.
        if words and index not in pieces.ends:
            # A piece without characters is the space before the next word.
            word = first.get(index, first.get(index + 1, word))
            groups[word].append(index)
    return [*groups, *([end] for end in sorted(pieces.ends))]


def _symbols(piece: str) -> list[str]:
    """Return the visible characters of a piece; a byte is one."""
    return [piece] if BYTE_PIECE.fullmatch(piece) else list(piece.replace(WORD_START, ""))


def _matching(expected: Sequence[str], written: Sequence[str]) -> list[int]:
    """Return the index in `expected` for each element of `written`, in ascending order."""
    if expected == written:
        return list(range(len(written)))
    if len(expected) * len(written) > MAX_MATCHED:
        return [index * len(expected) // len(written) for index in range(len(written))]
    places: list[int] = []
    for _, start, end, first, last in SequenceMatcher(None, expected, written, autojunk=False).get_opcodes():
        width = max(1, last - first)
        places += (
            min(start + index * (end - start) // width, max(0, len(expected) - 1)) for index in range(last - first)
        )
    return places


def word_weights(
    weights: NDArray[np.float32], source_words: Sequence[Sequence[int]], target_words: Sequence[Sequence[int]]
) -> NDArray[np.float32]:
    """Return the weights between words: summed over the pieces of a source word, averaged over those of a target word.

    Rows that sum to one still sum to one. A word without pieces has no weight.

    Args:
        weights: The weights between pieces [T, S].
        source_words: The pieces of each source word.
        target_words: The pieces of each target word.
    """
    sums = np.stack([weights[:, list(word)].sum(axis=1) for word in source_words], axis=1)  # [T, source words]
    means = np.stack([sums[list(word)].sum(axis=0) / max(1, len(word)) for word in target_words])
    return means.astype(np.float32)
