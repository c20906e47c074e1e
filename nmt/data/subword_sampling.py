"""Subword sampling: other segmentations of the training text, drawn anew for each window of batches.

Seeing words cut in several ways makes a model sturdier, most of all with little data. A unigram model draws from the
best segmentations of each word, by probability (subword regularisation, Kudo 2018); a BPE model leaves merges out at
random (BPE-dropout, Provilkov et al. 2020).

SentencePiece can sample too, but its random numbers differ from process to process, and a resumed run must see what
the uninterrupted one would have seen. So words are taken from the stored ids, each distinct word is segmented a few
times, and each occurrence draws one of these: everything but the words themselves is whole-array arithmetic.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from nmt.data.shuffle import hash64, make_key, uniform
from nmt.data.store import Rows, make_rows
from nmt.data.tokenizer import WORD_START, SubwordModel

MOST = 64
"""Segmentations of a word that unigram models choose from."""
DRAWS = 32
"""Times that the merges of a word are made with dropout; its occurrences draw from these."""
KNOWN_WORDS = 200_000
"""Words whose segmentations are remembered."""

Word = tuple[int, ...]


class SubwordSampler:
    """Draws segmentations with one subword model."""

    def __init__(self, model: SubwordModel, *, strength: float) -> None:
        """Prepares the tables.

        Args:
            model: The model that made the stored ids.
            strength: BPE: probability of leaving a merge out. Unigram: what exponent the probabilities of
                segmentations get; the smaller, the more varied.
        """
        self._model = model
        self._strength = strength
        self._pieces = model.pieces(range(model.size))
        ordinary = [model.is_ordinary(piece) for piece in range(model.size)]
        self._ids = {self._pieces[piece]: piece for piece in range(model.size) if ordinary[piece]}
        self._ordinary = np.array(ordinary)
        self._starts_word = np.array([piece.startswith(WORD_START) for piece in self._pieces]) | ~self._ordinary
        self._scores = model.scores()
        self._kind = model.kind
        self._merges = _Merges(self._ids, self._scores, dropout=strength)
        self._known: dict[Word, tuple[list[Word], list[float]]] = {}

    def sample(self, rows: Rows, *, key: int) -> Rows:
        """Return the same text in other pieces, the same for the same rows and key.

        Args:
            rows: The stored ids of some sentences, none empty.
            key: Another key, another draw.
        """
        rows = rows.select(np.arange(len(rows.lengths)))
        starts_word = self._starts_word[rows.ids]
        starts_word[rows.starts] = True
        # A byte or symbol stands alone, so that what follows it is a word of its own.
        starts_word[1:] |= ~self._ordinary[rows.ids[:-1]]
        starts = np.flatnonzero(starts_word)
        lengths = np.diff(np.append(starts, len(rows.ids)))
        first, types = _distinct(rows.ids, starts, lengths)

        words, weights = self._alternatives(rows.ids, starts[first], lengths[first])
        sizes = np.array([len(shares) for shares in weights])
        bounds = np.concatenate([np.cumsum(shares) / math.fsum(shares) for shares in weights])
        bounds += np.repeat(np.arange(len(sizes)), sizes)
        drawn = types + uniform(np.arange(len(types)), make_key(key, 1)) * (1 - 1e-9)
        chosen = np.minimum(np.searchsorted(bounds, drawn, side="right"), (np.cumsum(sizes) - 1)[types])

        segmented = make_rows(words, rows.ids.dtype.type).select(chosen)
        row_lengths = np.add.reduceat(segmented.lengths, np.searchsorted(starts, rows.starts))
        return Rows(segmented.ids, np.cumsum(row_lengths) - row_lengths, row_lengths)

    def _alternatives(
        self, ids: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> tuple[list[Word], list[list[float]]]:
        """The segmentations of each distinct word, one after another, and the weights of each word's."""
        segmentations: list[Word] = []
        weights: list[list[float]] = []
        flat = ids.tolist()
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            word = tuple(flat[start : start + length])
            known = self._known.get(word)
            if known is None:
                # What is remembered depends on the word alone, so a resumed run draws what it would have drawn.
                known = self._segment(word)
                if len(self._known) < KNOWN_WORDS:
                    self._known[word] = known
            segmentations.extend(known[0])
            weights.append(known[1])
        return segmentations, weights

    def _segment(self, word: Word) -> tuple[list[Word], list[float]]:
        """The segmentations of `word` to draw from, and their weights."""
        if not self._ordinary[word[0]]:
            return [word], [1.0]
        text = "".join([self._pieces[piece] for piece in word])
        if self._kind == "unigram":
            found = self._model.best_segmentations(text, most=MOST) or [word]
            logs = [self._strength * sum(self._scores[piece] for piece in segments) for segments in found]
            return found, [math.exp(log - max(logs)) for log in logs]
        if any(character not in self._ids for character in text):
            return [word], [1.0]
        generator = random.Random(make_key(*word))
        draws = Counter(self._merges.sample(text, generator, count=DRAWS))
        return list(draws), [float(count) for count in draws.values()]


class _Merges:
    """The merges of a BPE model, which are made at random (Provilkov et al. 2020)."""

    def __init__(self, ids: Mapping[str, int], scores: Sequence[float], *, dropout: float) -> None:
        """Takes the pieces, of which those with higher scores are merged earlier.

        Args:
            ids: The pieces and their numbers.
            scores: By number.
            dropout: Probability of leaving a merge out.
        """
        self._ids = ids
        self._dropout = dropout
        self._scores = {piece: scores[number] for piece, number in ids.items()}

    def sample(self, text: str, generator: random.Random, *, count: int) -> Iterator[Word]:
        """Draw `count` segmentations of `text`, whose characters are all pieces.

        Most draws leave out no merge, or not an early one: what they have in common is computed once.
        """
        symbols, path = list(text), list[tuple[list[str], list[float]]]()
        scores = [self._score(first, second) for first, second in pairwise(symbols)]
        while scores and (best := max(scores)) > -math.inf:
            path.append((symbols.copy(), scores.copy()))
            self._merge(symbols, scores, scores.index(best))
        whole = self._word(symbols)
        for _ in range(count):
            for before in path:
                if generator.random() < self._dropout:
                    yield self._word(self._go_on(before[0].copy(), before[1].copy(), generator))
                    break
            else:
                yield whole

    def _go_on(self, symbols: list[str], scores: list[float], generator: random.Random) -> list[str]:
        """Merge `symbols` as far as it goes, the first time without the best merge.

        Each time it is the best one, the first of several, that is not left out; what has been left out once may come
        the next time.
        """
        leave_out = True
        while scores and (best := max(scores)) > -math.inf:
            place = scores.index(best)
            if leave_out or generator.random() < self._dropout:
                leave_out = False
                others = scores.copy()
                others[place] = -math.inf
                while (best := max(others)) > -math.inf and generator.random() < self._dropout:
                    others[others.index(best)] = -math.inf
                if best == -math.inf:
                    break
                place = others.index(best)
            self._merge(symbols, scores, place)
        return symbols

    def _merge(self, symbols: list[str], scores: list[float], place: int) -> None:
        """Make one symbol of two neighbours, and change the scores of the pairs beside it."""
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        del scores[place]
        if place > 0:
            scores[place - 1] = self._score(symbols[place - 1], symbols[place])
        if place < len(scores):
            scores[place] = self._score(symbols[place], symbols[place + 1])

    def _score(self, first: str, second: str) -> float:
        return self._scores.get(first + second, -math.inf)

    def _word(self, symbols: Sequence[str]) -> Word:
        return tuple([self._ids[symbol] for symbol in symbols])


def _distinct(
    ids: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find equal words by a 64-bit hash: one place of each, and which one each word is."""
    within = np.arange(len(ids)) - np.repeat(starts, lengths)
    hashes = np.add.reduceat(hash64(ids.astype(np.int64) + (within << 32), make_key(0)), starts)
    _, first, types = np.unique(hashes, return_index=True, return_inverse=True)
    return first, types
