"""Attention maps: weights between pieces or words, and the alignment that follows from them.

T target units, S source units (pieces or words, EOS included). Imports no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.special_tokens import EOS
from nmt.data.tokenizer import WORD_START, SubwordModel

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
            Sorted pairs (source, target), both counted from 0 without EOS. A target unit whose greatest weight is on
            EOS has no pair.
        """
        sources, targets = self.source.numbers(), self.target.numbers()
        best = self.weights.argmax(axis=1).tolist()
        pairs = ((sources[index], target) for index, target in zip(best, targets, strict=True))
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


def word_units(ids: Sequence[int], spans: Sequence[range], subwords: SubwordModel) -> Units:
    """Return the words of `ids`, whose pieces are at `spans`."""
    rows = [[ids[index] for index in span] for span in spans]
    ends = frozenset(number for number, row in enumerate(rows) if row == [EOS])
    texts = [END if number in ends else text.strip() for number, text in enumerate(subwords.decode(rows))]
    return Units(texts, ends)


def word_weights(
    weights: NDArray[np.float32], source_spans: Sequence[range], target_spans: Sequence[range]
) -> NDArray[np.float32]:
    """Return the weights between words: summed over the pieces of a source word, averaged over those of a target word.

    Rows that sum to one still sum to one.

    Args:
        weights: The weights between pieces [T, S].
        source_spans: The range of pieces of each source word, in order and without gaps.
        target_spans: The range of pieces of each target word, in order and without gaps.
    """
    sums = np.add.reduceat(weights, [span.start for span in source_spans], axis=1)  # [T, source words]
    totals = np.add.reduceat(sums, [span.start for span in target_spans], axis=0)
    means: NDArray[np.float32] = (totals / [[len(span)] for span in target_spans]).astype(np.float32)
    return means
