"""Batches: pairs of similar length, padded to rectangles of ids that fit a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.order import EpochOrder, make_key, scramble, scramble_unit
from nmt.data.store import Rows, Store, make_rows
from nmt.data.tokenizer import BOS, EOS, PAD, SubwordModel, Tokenizers
from nmt.errors import DataError

SAMPLED_LINES = 10_000  # lines that are sampled at once; bounds the memory of their Python lists


@dataclass(frozen=True)
class Batch:
    """Pairs as ids, padded with PAD on the right. B pairs; S and T include EOS (T: BOS in `target_input`).

    Attributes:
        source: Pieces and EOS; int64 [B, S].
        source_lengths: EOS included; int64 [B].
        target_input: BOS and pieces, what the decoder is fed; int64 [B, T].
        target_output: Pieces and EOS, what it is to predict; int64 [B, T].
        target_lengths: EOS included; int64 [B].
    """

    source: NDArray[np.int64]
    source_lengths: NDArray[np.int64]
    target_input: NDArray[np.int64]
    target_output: NDArray[np.int64]
    target_lengths: NDArray[np.int64]

    @property
    def target_tokens(self) -> int:
        """Predictions that count: pieces and EOS of all targets."""
        return int(self.target_lengths.sum())

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Position:
    """A place in the stream of batches: the next batch to give. Training starts at Position(0, 0, 0)."""

    epoch: int
    window: int
    batch: int


class Batches:
    """The endless stream of training batches, the same for the same seed from wherever it is entered.

    Each epoch shuffles all pairs, cuts them into windows, sorts each window by length (roughly, so that the batches
    differ from epoch to epoch), cuts it into batches that fit, and gives these in random order.
    """

    def __init__(
        self,
        store: Store,
        tokenizers: Tokenizers,
        *,
        batch_tokens: int,
        batch_sentences: int | None,
        shuffle_window: int,
        sampling: float,
        seed: int,
        weights: Sequence[float],
    ) -> None:
        """Prepares the stream; reads nothing but lengths.

        Args:
            store: The training pairs.
            tokenizers: The subword models, asked only when `sampling` is above 0.
            batch_tokens: Limit of rows times length of a batch, on either side, padding and EOS included.
            batch_sentences: Limit of rows, or None.
            shuffle_window: Pairs that are held in memory and sorted together.
            sampling: Strength of subword sampling; 0 takes the stored ids. A sampled segmentation longer than every
                stored one is not used (the stored one is).
            seed: Another seed, another order.
            weights: How often an epoch shows the pairs of each corpus.

        Raises:
            DataError: The longest pair alone is more than `batch_tokens`, or the store does not fit the options.
        """
        if len(weights) != len(store.bounds) - 1:
            raise DataError(f"There are {len(store.bounds) - 1} corpora, but {len(weights)} weights.")
        self._store = store
        self._models = (tokenizers.source, tokenizers.target)
        self._batch_tokens = batch_tokens
        self._batch_sentences = batch_sentences
        self._shuffle_window = shuffle_window
        self._sampling = sampling
        self._seed = seed
        self._weights = tuple(weights)
        self._longest = int(store.source_lengths.max()), int(store.target_lengths.max())
        if max(self._longest) + 1 > batch_tokens:
            raise DataError(
                f"training.batch_tokens is {batch_tokens}, but the longest sentence has {max(self._longest) + 1} "
                "pieces. Raise it, or lower data.filters.max_pieces."
            )

    def iterate(self, position: Position) -> Iterator[tuple[Batch, Position]]:
        """Gives batches without end, each with the position of the one after it.

        After the last batch of an epoch that is window 0, batch 0 of the next.
        """
        epoch, window, batch = position.epoch, position.window, position.batch
        while True:
            order = self._order(epoch)
            windows = self._windows(order)
            while window < windows:
                loaded = self._load(order, epoch, window)
                for number in range(batch, len(loaded.batches)):
                    if number + 1 < len(loaded.batches):
                        following = Position(epoch, window, number + 1)
                    elif window + 1 < windows:
                        following = Position(epoch, window + 1, 0)
                    else:
                        following = Position(epoch + 1, 0, 0)
                    yield _pad(loaded.sources, loaded.targets, loaded.batches[number]), following
                window, batch = window + 1, 0
            epoch, window, batch = epoch + 1, 0, 0

    def count(self, epoch: int) -> int:
        """How many batches an epoch has; with sampling, about how many."""
        order = self._order(epoch)
        return sum(
            len(self._cut(*self._stored_lengths(self._pairs(order, window)), make_key(self._seed, 2, epoch, window)))
            for window in range(self._windows(order))
        )

    def worst(self) -> Batch:
        """A batch that spends the whole budget on the longest sentences there are: if it fits in memory, all do."""
        source, target = self._longest[0] + 1, self._longest[1] + 1
        rows = self._batch_tokens // max(source, target)
        if self._batch_sentences is not None and self._batch_sentences < rows:
            rows = self._batch_sentences
        elif len(self._store) < rows:
            rows = len(self._store)
        else:
            source = target = self._batch_tokens // rows
        longest = self._store.rows(np.array([self._store.source_lengths.argmax(), self._store.target_lengths.argmax()]))
        source_ids = np.resize(longest[0].ids[: longest[0].lengths[0]], source - 1)
        target_ids = np.resize(longest[1].ids[longest[1].starts[1] :], target - 1)
        return make_batch([source_ids.tolist()] * rows, [target_ids.tolist()] * rows)

    # --------------------------------------------------------------------------------------------------- inside

    def _order(self, epoch: int) -> EpochOrder:
        return EpochOrder(self._store.bounds, self._weights, seed=self._seed, epoch=epoch)

    def _windows(self, order: EpochOrder) -> int:
        return -(-len(order) // self._shuffle_window)

    def _pairs(self, order: EpochOrder, window: int) -> NDArray[np.int64]:
        """The pairs of a window, ascending. All windows of an epoch have the same size, give or take one."""
        windows = self._windows(order)
        pairs = order.pairs(window * len(order) // windows, (window + 1) * len(order) // windows)
        pairs.sort()
        return pairs

    def _stored_lengths(self, pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        store = self._store
        return store.source_lengths[pairs].astype(np.int64), store.target_lengths[pairs].astype(np.int64)

    def _load(self, order: EpochOrder, epoch: int, window: int) -> _Window:
        pairs = self._pairs(order, window)
        sources, targets = self._store.rows(pairs)
        if self._sampling > 0:
            lines = self._store.texts(pairs)
            key = make_key(self._seed, 3, epoch, window)
            sources = self._sampled(sources, lines[0], 0, key)
            targets = self._sampled(targets, lines[1], 1, key)
        key = make_key(self._seed, 2, epoch, window)
        return _Window(sources, targets, self._cut(sources.lengths, targets.lengths, key))

    def _sampled(self, stored: Rows, lines: list[str], side: int, key: int) -> Rows:
        model: SubwordModel = self._models[side]
        parts = []
        for first in range(0, len(lines), SAMPLED_LINES):
            part = lines[first : first + SAMPLED_LINES]
            ids = model.sample(part, strength=self._sampling, seed=make_key(key, side, first))
            parts.append(make_rows(ids, stored.ids.dtype.type))
        lengths = np.concatenate([part.lengths for part in parts])
        both = np.concatenate([*(part.ids for part in parts), stored.ids])
        starts = np.cumsum(lengths) - lengths
        use_stored = (lengths > self._longest[side]) | (lengths == 0)
        return Rows(
            both,
            np.where(use_stored, stored.starts + lengths.sum(), starts),
            np.where(use_stored, stored.lengths, lengths),
        )

    def _cut(
        self, source_lengths: NDArray[np.int64], target_lengths: NDArray[np.int64], key: int
    ) -> list[NDArray[np.int64]]:
        """Sorts a window by length and cuts it into batches, in random order.

        Targets of two neighbouring lengths go together, and among them sources ascend and descend by turns, so that
        both sides need little padding. What changes from epoch to epoch is which two lengths, which turns, and the
        order of equals: no two epochs have the same batches.
        """
        numbers = np.arange(len(source_lengths))
        shift, turn = (scramble(np.arange(2), make_key(key, 0)) >> np.uint64(63)).astype(np.int64)
        group = (target_lengths + shift) // 2
        fine = source_lengths + scramble_unit(numbers, make_key(key, 1))
        order = np.lexsort((np.where(group % 2 == turn, fine, -fine), group))
        batches = cut(
            source_lengths[order] + 1,
            target_lengths[order] + 1,
            batch_tokens=self._batch_tokens,
            batch_sentences=self._batch_sentences,
        )
        shuffled = np.argsort(scramble(np.arange(len(batches)), make_key(key, 2)), kind="stable")
        return [order[batches[number]] for number in shuffled]


class _Window(NamedTuple):
    """The pairs of one window in memory, and the batches as numbers of pairs in it."""

    sources: Rows
    targets: Rows
    batches: list[NDArray[np.int64]]


def cut(
    source_lengths: NDArray[np.int64],
    target_lengths: NDArray[np.int64],
    *,
    batch_tokens: int,
    batch_sentences: int | None,
) -> list[slice]:
    """Cuts pairs into batches, each as long as rows times the longest length stays within the limits.

    A pair that is longer than `batch_tokens` makes a batch of its own.

    Args:
        source_lengths: EOS included, in the order of the pairs.
        target_lengths: EOS included.
        batch_tokens: Limit of rows times length, on either side.
        batch_sentences: Limit of rows, or None.
    """
    lengths = np.maximum(source_lengths, target_lengths)
    batches = []
    first = 0
    while first < len(lengths):
        most = max(1, batch_tokens // int(lengths[first]))
        if batch_sentences is not None:
            most = min(most, batch_sentences)
        longest = np.maximum.accumulate(lengths[first : first + most])
        fitting = longest * np.arange(1, len(longest) + 1) <= batch_tokens  # true up to some row, false from then on
        rows = max(1, int(np.count_nonzero(fitting)))
        batches.append(slice(first, first + rows))
        first += rows
    return batches


def make_batch(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Batch:
    """Pads pairs of ids (without BOS and EOS) to a batch, in the given order."""
    return _pad(make_rows(sources, np.int64), make_rows(targets, np.int64), np.arange(len(sources)))


def fixed_batches(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    *,
    batch_tokens: int,
    batch_sentences: int | None,
) -> list[Batch]:
    """Batches of a validation set: every pair once, sorted by length, always the same.

    A pair that is longer than `batch_tokens` makes a batch of its own.
    """
    source_rows, target_rows = make_rows(sources, np.int64), make_rows(targets, np.int64)
    order = np.lexsort((source_rows.lengths, target_rows.lengths))
    batches = cut(
        source_rows.lengths[order] + 1,
        target_rows.lengths[order] + 1,
        batch_tokens=batch_tokens,
        batch_sentences=batch_sentences,
    )
    return [_pad(source_rows, target_rows, order[batch]) for batch in batches]


def _pad(sources: Rows, targets: Rows, pairs: NDArray[np.int64]) -> Batch:
    source, source_lengths = _rectangle(sources.select(pairs))
    target, target_lengths = _rectangle(targets.select(pairs))
    target_input = np.empty_like(target)
    target_input[:, 0] = BOS
    target_input[:, 1:] = target[:, :-1]
    target_input[np.arange(target.shape[1]) >= target_lengths[:, None]] = PAD
    return Batch(source, source_lengths, target_input, target, target_lengths)


def _rectangle(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each row with EOS at its end, padded; and the lengths, EOS included."""
    lengths = rows.lengths + 1
    width = int(lengths.max())
    padded = np.full((len(lengths), width), PAD, dtype=np.int64)
    padded[np.arange(width) < rows.lengths[:, None]] = rows.ids
    padded[np.arange(len(lengths)), rows.lengths] = EOS
    return padded, lengths
