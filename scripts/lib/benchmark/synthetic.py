"""Made-up data: piece ids drawn by Zipf's law, sentence lengths like those of Multi30k, and text of made-up words.

Nothing has to be downloaded, and the same seed gives the same data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from nmt.config.schema import TokenizerConfig
from nmt.data.batching import Batch, Batches, make_batch
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.special_tokens import EOS
from nmt.data.store import Rows, Store, StoreWriter
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.data.tokenizer_training import train_subwords

MEAN_LENGTH, LENGTH_DEVIATION = 14.0, 5.0
SHORTEST, LONGEST = 4, 45
SOURCE_DEVIATION = 0.15
"""Standard deviation of a source's length, as a share of its target's."""
FIRST_PIECE = EOS + 1
SYLLABLES = [consonant + vowel for consonant in "bdfghklmnprstvwz" for vowel in "aeiou"]


class Pairs(NamedTuple):
    """Sentence pairs as ids, without BOS and EOS."""

    sources: Rows
    targets: Rows


def draw_pairs(count: int, *, vocabulary: int, seed: int) -> Pairs:
    """Draw `count` pairs.

    Target lengths have a gamma distribution of mean 14 and standard deviation 5, kept between 4 and 45; a source is as
    long as its target, give or take 15 %.
    """
    generator = np.random.default_rng(seed)
    shape = (MEAN_LENGTH / LENGTH_DEVIATION) ** 2
    drawn = generator.gamma(shape, MEAN_LENGTH / shape, count)
    target_lengths = np.clip(np.round(drawn), SHORTEST, LONGEST).astype(np.int64)
    drawn = target_lengths * generator.normal(1.0, SOURCE_DEVIATION, count)
    source_lengths = np.clip(np.round(drawn), SHORTEST, LONGEST).astype(np.int64)
    return Pairs(
        _rows(source_lengths, vocabulary=vocabulary, generator=generator),
        _rows(target_lengths, vocabulary=vocabulary, generator=generator),
    )


def draw_ids(count: int, *, vocabulary: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw ids by Zipf's law: the piece of rank r has a probability in proportion to 1/r."""
    shares = np.cumsum(1.0 / np.arange(1, vocabulary - FIRST_PIECE + 1))
    ranks = np.searchsorted(shares, generator.random(count) * shares[-1], side="right")
    return np.asarray(FIRST_PIECE + ranks, dtype=np.int64)


def _rows(lengths: NDArray[np.int64], *, vocabulary: int, generator: np.random.Generator) -> Rows:
    ids = draw_ids(int(lengths.sum()), vocabulary=vocabulary, generator=generator)
    return Rows(ids, np.cumsum(lengths) - lengths, lengths)


def sentences(rows: Rows, numbers: Sequence[int] | range) -> list[list[int]]:
    """Return rows as lists of ids."""
    return [rows.ids[rows.starts[row] : rows.starts[row] + rows.lengths[row]].tolist() for row in numbers]


def even_batch(count: int, *, length: int, vocabulary: int, seed: int) -> Batch:
    """Draw a batch of `count` pairs whose two sides all have `length` pieces, EOS included."""
    generator = np.random.default_rng(seed)
    ids = draw_ids(2 * count * (length - 1), vocabulary=vocabulary, generator=generator).reshape(2, count, -1)
    return make_batch(ids[0].tolist(), ids[1].tolist())


def write_store(folder: Path, pairs: Pairs, *, vocabulary: int) -> Store:
    """Write `pairs` to an empty folder as `nmt preprocess` would."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = StoreWriter(folder, source_size=vocabulary, target_size=vocabulary)
    writer.add(pairs)
    writer.close([0, len(pairs.targets.lengths)])
    return Store(folder)


def stream(store: Store, tokenizers: Tokenizers, *, batch_tokens: int, seed: int) -> Batches:
    """Return the batches of `store` as `nmt train` makes them."""
    return Batches(
        store,
        tokenizers,
        batch_tokens=batch_tokens,
        batch_sentences=None,
        shuffle_window=100_000,
        sampling=0.0,
        seed=seed,
        weights=[1.0],
    )


def made_up_lines(count: int, *, seed: int) -> list[str]:
    """Return lines of made-up words of two to four syllables, some of them frequent and most of them rare."""
    generator = np.random.default_rng(seed)
    words = ["".join(generator.choice(SYLLABLES, size)) for size in generator.integers(2, 5, 8000)]
    numbers = draw_ids(count * 10, vocabulary=len(words), generator=generator).reshape(count, 10)
    return [" ".join(words[number] for number in line) + "." for line in numbers]


def made_up_tokenizers(*, vocabulary: int, seed: int) -> Tokenizers:
    """Return a joint subword model of (at most) `vocabulary` pieces, learnt from made-up lines."""
    options = TokenizerConfig(kind="bpe", vocabulary_size=vocabulary, byte_fallback=False)
    lines = made_up_lines(2 * vocabulary, seed=seed)
    model, _ = train_subwords(lines, options=options, symbols=[], what="joint")
    return joint(model)


class _Sized:
    """A substitute for a subword model that has a size and a direction, and whose pieces have no text."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.right_to_left = False

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """Return an empty text for each id."""
        return [""] * len(ids)

    def is_learned(self, piece: int) -> bool:
        """Return False: no piece comes from a text."""
        return False


def stand_in_tokenizers(vocabulary: int) -> Tokenizers:
    """Return what has the size of a joint subword model and can do nothing else."""
    return joint(cast(SubwordModel, _Sized(vocabulary)))


def draw_shortlist(*, vocabulary: int, translations: int, frequent: int, seed: int) -> ShortlistTable:
    """Draw a table as `nmt train` makes: each source piece itself and `translations` others, and the frequent ones.

    The translations of a piece are drawn by Zipf's law, so frequent pieces translate many others. The union over 64
    sentences of 14 pieces is about 2,600 of 8,000 pieces. A table learned from Multi30k has unions of 2,400.
    """
    generator = np.random.default_rng(seed)
    drawn = draw_ids(vocabulary * translations, vocabulary=vocabulary, generator=generator)
    drawn = drawn.reshape(vocabulary, translations)
    table = np.concatenate([np.arange(vocabulary)[:, np.newaxis], drawn], axis=1).astype(np.int32)
    often = np.arange(FIRST_PIECE, min(FIRST_PIECE + frequent, vocabulary), dtype=np.int32)
    return ShortlistTable(translations=table, frequent=often)


def joint(model: SubwordModel) -> Tokenizers:
    """Return `model` for both sides."""
    return Tokenizers(source=model, target=model)
