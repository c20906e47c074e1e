"""Subword sampling: random segmentations of the training text, sampled again for each window of batches.

Words in several segmentations make a model more robust, especially with little data. A unigram model samples from the
best segmentations of each word, by probability (subword regularisation, Kudo 2018). A BPE model skips random merges
(BPE-dropout, Provilkov et al. 2020).

SentencePiece can sample too, but its random numbers differ from process to process, and a resumed run must see the same
text as an uninterrupted one. So the words are taken from the stored ids, each distinct word is segmented a few times,
and each occurrence samples one of these segmentations with whole-array arithmetic.
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

MAX_SEGMENTATIONS = 64
"""Segmentations of a word that unigram models sample from."""
DRAWS = 32
"""Segmentations of a word by BPE-dropout, from which its occurrences sample."""
MAX_KNOWN_WORDS = 200_000
"""Words whose segmentations are remembered."""

Word = tuple[int, ...]


class SubwordSampler:
    """Samples segmentations of one subword model."""

    def __init__(self, model: SubwordModel, *, strength: float) -> None:
        """Make the tables.

        Args:
            model: The model of the stored ids.
            strength: BPE: probability of skipping a merge. Unigram: exponent of the probabilities of segmentations.
                Smaller exponents give more variety.
        """
        self._model = model
        self._strength = strength
        self._pieces = model.pieces(range(model.size))
        learned = [model.is_learned(piece) for piece in range(model.size)]
        self._ids = {self._pieces[piece]: piece for piece in range(model.size) if learned[piece]}
        self._learned = np.array(learned)
        self._starts_word = np.array([piece.startswith(WORD_START) for piece in self._pieces]) | ~self._learned
        self._scores = model.scores()
        self._kind = model.kind
        self._merges = _Merges(self._ids, self._scores, dropout=strength)
        self._known: dict[Word, tuple[list[Word], list[float]]] = {}

    def sample(self, rows: Rows, *, key: int) -> Rows:
        """Return the same text in sampled pieces. The result is a function of the rows and the key.

        Args:
            rows: The stored ids of some sentences, none empty.
            key: Random key.
        """
        rows = rows.select(np.arange(len(rows.lengths)))
        starts_word = self._starts_word[rows.ids]
        starts_word[rows.starts] = True
        # Each byte or symbol is a word, so the piece after it starts another word.
        starts_word[1:] |= ~self._learned[rows.ids[:-1]]
        starts = np.flatnonzero(starts_word)
        lengths = np.diff(np.append(starts, len(rows.ids)))
        first, types = _distinct(rows.ids, starts, lengths)

        words, weights = self._segmentations(rows.ids, starts[first], lengths[first])
        sizes = np.array([len(each) for each in weights])
        bounds = np.concatenate([np.cumsum(each) / math.fsum(each) for each in weights])
        bounds += np.repeat(np.arange(len(sizes)), sizes)
        drawn = types + uniform(np.arange(len(types)), make_key(key, 1)) * (1 - 1e-9)
        chosen = np.minimum(np.searchsorted(bounds, drawn, side="right"), (np.cumsum(sizes) - 1)[types])

        segmented = make_rows(words, rows.ids.dtype.type).select(chosen)
        row_lengths = np.add.reduceat(segmented.lengths, np.searchsorted(starts, rows.starts))
        return Rows(segmented.ids, np.cumsum(row_lengths) - row_lengths, row_lengths)

    def _segmentations(
        self, ids: NDArray[np.int64], starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> tuple[list[Word], list[list[float]]]:
        """Return the segmentations of each distinct word, one after another, and for each word their weights."""
        segmentations: list[Word] = []
        weights: list[list[float]] = []
        flat = ids.tolist()
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            word = tuple(flat[start : start + length])
            known = self._known.get(word)
            if known is None:
                # The entry depends only on the word, so a resumed run samples the same segmentations.
                known = self._segment(word)
                if len(self._known) < MAX_KNOWN_WORDS:
                    self._known[word] = known
            segmentations.extend(known[0])
            weights.append(known[1])
        return segmentations, weights

    def _segment(self, word: Word) -> tuple[list[Word], list[float]]:
        """Return the segmentations of `word` to sample from, and their weights."""
        if not self._learned[word[0]]:
            return [word], [1.0]
        text = "".join([self._pieces[piece] for piece in word])
        if self._kind == "unigram":
            best = self._model.best_segmentations(text, count=MAX_SEGMENTATIONS) or [word]
            logs = [self._strength * sum(self._scores[piece] for piece in pieces) for pieces in best]
            return best, [math.exp(log - max(logs)) for log in logs]
        if any(character not in self._ids for character in text):
            return [word], [1.0]
        generator = random.Random(make_key(*word))
        draws = Counter(self._merges.sample(text, generator, count=DRAWS))
        return list(draws), [float(count) for count in draws.values()]


class _Merges:
    """The merges of a BPE model with BPE-dropout (Provilkov et al. 2020)."""

    def __init__(self, ids: Mapping[str, int], scores: Sequence[float], *, dropout: float) -> None:
        """Take the pieces. Pieces with higher scores are merged earlier.

        Args:
            ids: The number of each piece.
            scores: The score of each piece, by number.
            dropout: Probability of skipping a merge.
        """
        self._ids = ids
        self._dropout = dropout
        self._scores = {piece: scores[number] for piece, number in ids.items()}

    def sample(self, text: str, generator: random.Random, *, count: int) -> Iterator[Word]:
        """Yield `count` random segmentations of `text`, whose characters are all pieces.

        Most segmentations skip no merge, or only a late one. Their common merges are computed once.
        """
        symbols, path = list(text), list[tuple[list[str], list[float]]]()
        scores = [self._score(first, second) for first, second in pairwise(symbols)]
        while scores and (best := max(scores)) > -math.inf:
            path.append((symbols.copy(), scores.copy()))
            self._merge(symbols, scores, scores.index(best))
        whole = self._word(symbols)
        for _ in range(count):
            for state in path:
                if generator.random() < self._dropout:
                    yield self._word(self._continue(state[0].copy(), state[1].copy(), generator))
                    break
            else:
                yield whole

    def _continue(self, symbols: list[str], scores: list[float], generator: random.Random) -> list[str]:
        """Merge `symbols` until no merge is possible. The first step skips the best merge.

        Each step takes the best merge that is not skipped, the first of equal ones. A skipped merge is possible again
        in the next step.
        """
        skip = True
        while scores and (best := max(scores)) > -math.inf:
            place = scores.index(best)
            if skip or generator.random() < self._dropout:
                skip = False
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
        """Merge two neighbours into one symbol, and update the scores of the pairs beside it."""
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
    """Find equal words by a 64-bit hash: the first position of each distinct word, and the type of each word."""
    within = np.arange(len(ids)) - np.repeat(starts, lengths)
    hashes = np.add.reduceat(hash64(ids.astype(np.int64) + (within << 32), make_key(0)), starts)
    _, first, types = np.unique(hashes, return_index=True, return_inverse=True)
    return first, types
