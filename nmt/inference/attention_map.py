"""Which source pieces each target piece looks at: the weights with their pieces, by word, and as an alignment.

T target units, S source units (pieces or words, the ends of sentence among them). Needs no torch.
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
"""What stands for the end of sentence on either side."""


class Units(NamedTuple):
    """One side of a sentence, cut into pieces or words."""

    texts: list[str]
    """The pieces or words in order, each end of sentence as END."""
    ends: frozenset[int]
    """Where the ends of sentence are: one at the end, or one for each part of a line that was translated in parts."""

    def numbers(self) -> list[int | None]:
        """Return each unit's number from 0, as if the ends of sentence were not there; None for those."""
        counts = accumulate(0 if place in self.ends else 1 for place in range(len(self.texts)))
        return [None if place in self.ends else count - 1 for place, count in enumerate(counts)]


class AttentionMap(NamedTuple):
    """The attention of one line."""

    source: Units
    target: Units
    weights: NDArray[np.float32]
    """[T, S]: how much of its attention each target unit has for each source unit, when it is predicted."""

    def links(self) -> list[tuple[int, int]]:
        """Return the alignment: for each target unit the source unit that has most of its attention.

        Returns:
            Pairs (source, target), both counted from 0 without the ends of sentence, sorted. A target unit that
            looks most at an end of sentence has none.
        """
        sources, targets = self.source.numbers(), self.target.numbers()
        best = self.weights.argmax(axis=1).tolist()
        pairs = ((sources[place], target) for place, target in zip(best, targets, strict=True))
        return sorted((source, target) for source, target in pairs if source is not None and target is not None)


def pharaoh(links: Sequence[tuple[int, int]]) -> str:
    """Return an alignment as most tools write it: `0-0 1-2`, source before target, both counted from 0."""
    return " ".join(f"{source}-{target}" for source, target in links)


def piece_units(ids: Sequence[int], subwords: SubwordModel) -> Units:
    """Return the pieces of `ids`, in which every part of the line ends with EOS."""
    texts = [END if piece == EOS else text for piece, text in zip(ids, subwords.pieces(ids), strict=True)]
    return Units(texts, frozenset(place for place, piece in enumerate(ids) if piece == EOS))


def word_spans(pieces: Units) -> list[range]:
    """Return where the pieces of each word are; an end of sentence is a word of its own.

    A word begins with a piece that begins with U+2581, SentencePiece's mark of a space, or after an end of sentence.
    """
    starts = []
    for place, text in enumerate(pieces.texts):
        inside = place > 0 and place not in pieces.ends and place - 1 not in pieces.ends
        # A mark alone is the space before the word that comes next, even if that has a mark as well.
        if not (inside and (not text.startswith(WORD_START) or pieces.texts[place - 1] == WORD_START)):
            starts.append(place)
    return [range(*pair) for pair in zip(starts, [*starts[1:], len(pieces.texts)], strict=True)]


def word_units(ids: Sequence[int], spans: Sequence[range], subwords: SubwordModel) -> Units:
    """Return the words of `ids`, whose pieces are at `spans`."""
    rows = [[ids[place] for place in span] for span in spans]
    ends = frozenset(number for number, row in enumerate(rows) if row == [EOS])
    texts = [END if number in ends else text.strip() for number, text in enumerate(subwords.decode(rows))]
    return Units(texts, ends)


def word_weights(
    weights: NDArray[np.float32], source_spans: Sequence[range], target_spans: Sequence[range]
) -> NDArray[np.float32]:
    """Return the weights between words: summed over the pieces of a source word, averaged over those of a target word.

    So rows that sum to one still do.

    Args:
        weights: Those between pieces [T, S].
        source_spans: The pieces of each source word, which together are all of them in order.
        target_spans: Likewise.
    """
    sums = np.add.reduceat(weights, [span.start for span in source_spans], axis=1)
    totals = np.add.reduceat(sums, [span.start for span in target_spans], axis=0)
    means: NDArray[np.float32] = (totals / [[len(span)] for span in target_spans]).astype(np.float32)
    return means
