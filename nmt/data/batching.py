"""The stream of training batches: shuffled, of similar length, within a token budget, resumable at any batch."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.alignments import Linker, Links, no_links
from nmt.data.batch import Batch, fixed_batches, make_batch, pad, reversed_targets, split_into_batches
from nmt.data.concatenation import ConcatenatedExamples, ConcatenationSampler, SampledGroups, join_links
from nmt.data.shuffle import EpochOrder, hash64, make_key, uniform
from nmt.data.store import Rows, Store, make_rows
from nmt.data.subword_sampling import SubwordSampler
from nmt.data.tokenizer import Tokenizers
from nmt.errors import DataError

__all__ = ["Batch", "BatchSize", "Batches", "Position", "Share", "fixed_batches", "make_batch", "whole"]

MAX_SAMPLED_GROWTH = 2  # ratio of the longest sampled to the longest stored segmentation
GROWTH_PAIRS = 2_000  # pairs from which the effect of sampling on lengths is estimated


@dataclass(frozen=True)
class Position:
    """A position in the stream: that of the next batch. Training starts at Position(0, 0, 0)."""

    epoch: int
    window: int
    batch: int


class BatchSize(NamedTuple):
    """The size of a batch."""

    sentences: int
    target_tokens: int
    """Number of target pieces, with EOS."""


class Share(NamedTuple):
    """The batches of one update that one process computes."""

    batches: Sequence[Batch]
    """At least one. If the update has fewer batches than there are processes, some compute its first batch again."""
    numbers: Sequence[int]
    """Number of each batch in the update."""
    sizes: Sequence[BatchSize]
    """Sizes of all batches of the update."""
    counts: bool = True
    """False if the batch is one that another process computes too: it must not count."""


def whole(batches: Sequence[Batch]) -> Share:
    """Return all batches of an update, for a single process."""
    sizes = [BatchSize(len(batch.source), batch.target_tokens) for batch in batches]
    return Share(batches, range(len(batches)), sizes)


class Batches:
    """The endless stream of training batches. A batch depends only on the seed and its position.

    Each epoch shuffles all pairs and splits them into windows. Each window is sorted by length (roughly, so that the
    batches differ from epoch to epoch) and split into batches within the limits, in random order. Concatenated examples
    are added to a window before it is sorted.
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
        aligned: bool = False,
        concatenation: ConcatenationSampler | None = None,
    ) -> None:
        """Make the stream. Only the lengths of the store are read.

        Args:
            store: The training pairs.
            tokenizers: The subword models, for sampling and for the direction of the targets. The store has all rows
                from left to right.
            batch_tokens: Limit of rows times length of a batch, on either side, padding and EOS included.
            batch_sentences: Limit of rows, or None.
            shuffle_window: Pairs that are held in memory and sorted together.
            sampling: Strength of subword sampling. 0 uses the stored ids. The stored segmentation replaces a sampled
                one that is more than twice as long as the longest stored one.
            seed: Seed of the order and of all sampling.
            weights: How often an epoch shows the pairs of each corpus.
            aligned: Whether batches have the alignment links of the store.
            concatenation: Samples concatenated examples, if any.

        Raises:
            DataError: The longest pair has more than `batch_tokens` pieces, or the store does not fit the options.
        """
        if len(weights) != len(store.bounds) - 1:
            raise DataError(f"The data has {len(store.bounds) - 1} corpora, but {len(weights)} weights were given.")
        self._store = store
        self._batch_tokens = batch_tokens
        self._batch_sentences = batch_sentences
        self._shuffle_window = shuffle_window
        models = (tokenizers.source, tokenizers.target)
        self._samplers = [SubwordSampler(model, strength=sampling) for model in models] if sampling > 0 else []
        self._linker = Linker(tokenizers) if aligned else None
        self._right_to_left = tokenizers.target.right_to_left
        self._seed = seed
        self._weights = tuple(weights)
        self._sizes = [end - start for start, end in pairwise(store.bounds)]
        longest = int(store.source_lengths.max()), int(store.target_lengths.max())
        if max(longest) + 1 > batch_tokens:
            raise DataError(
                f"training.batch_tokens is {batch_tokens}, but the longest sentence has {max(longest) + 1} pieces. "
                "Raise it, or lower data.filters.max_pieces and preprocess again."
            )
        growth = MAX_SAMPLED_GROWTH if sampling > 0 else 1
        self._longest = tuple(min(growth * length, batch_tokens - 1) for length in longest)
        concatenation = concatenation or ConcatenationSampler(ratio=0.0, max_pairs=1, max_pieces=0)
        max_pieces = min(concatenation.max_pieces, batch_tokens - 1)
        self._concatenation = dataclasses.replace(concatenation, max_pieces=max_pieces)

    def iterate(self, position: Position) -> Iterator[tuple[Batch, Position]]:
        """Yield batches without end, each with the position of the batch after it.

        The position after the last batch of an epoch is window 0, batch 0 of the next epoch.
        """
        for planned, following in self._plan(position):
            yield self._batch(*planned), following

    def shares(
        self, position: Position, *, batches: int, rank: int = 0, processes: int = 1
    ) -> Iterator[tuple[Share, Position]]:
        """Yield the share of one process in each update, with the position of the batch after the update.

        The batches of an update do not depend on the number of processes. Each process gets every `processes`-th batch.

        Args:
            position: The position of the first batch.
            batches: Batches of an update. The last update of an epoch may have fewer.
            rank: Number of the process.
            processes: Number of processes.
        """
        group: list[_Planned] = []
        for planned, following in self._plan(position):
            group.append(planned)
            if len(group) == batches or following.epoch > position.epoch:
                numbers = range(rank, len(group), processes)
                sizes = [window.size(rows) for window, rows in group]
                own = [self._batch(*group[number]) for number in numbers or [0]]
                yield Share(own, numbers or [0], sizes, counts=bool(numbers)), following
                group, position = [], following

    def _plan(self, position: Position) -> Iterator[tuple[_Planned, Position]]:
        """Yield batches before their pieces are copied, each with the position of the batch after it."""
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
                    yield _Planned(loaded, loaded.batches[number]), following
                window, batch = window + 1, 0
            epoch, window, batch = epoch + 1, 0, 0

    def count(self, epoch: int) -> int:
        """Return the number of batches of an epoch. With sampling, it is an estimate."""
        order = self._order(epoch)
        batches = 0
        for window in range(self._windows(order)):
            lengths = self._stored_lengths(self._pairs(order, window), epoch, window)
            batches += len(self._split(*lengths, make_key(self._seed, 2, epoch, window)))
        return round(batches * self._growth(order)) if self._samplers else batches

    def largest(self) -> Batch:
        """Return a batch at least as large as all others, of the longest sentences. If it fits in memory, all do."""
        source, target = (self._longest_example(side) + 1 for side in (0, 1))
        rows = self._batch_tokens // max(source, target)
        pairs = [math.ceil(weight * size) for weight, size in zip(self._weights, self._sizes, strict=True)]
        max_rows = min(sum(pairs), self._shuffle_window)
        max_rows += math.ceil(self._concatenation.ratio * max_rows)
        max_rows = min(max_rows, self._batch_sentences or max_rows)
        if max_rows < rows:
            rows = max_rows
        else:
            source = target = self._batch_tokens // rows
        longest = self._store.rows(np.array([self._store.source_lengths.argmax(), self._store.target_lengths.argmax()]))
        source_ids = np.resize(longest[0].ids[: longest[0].lengths[0]], source - 1)
        target_ids = np.resize(longest[1].ids[longest[1].starts[1] :], target - 1)
        batch = make_batch([source_ids.tolist()] * rows, [target_ids.tolist()] * rows)
        if self._linker is not None:
            pieces = (
                make_rows([source_ids.tolist()] * rows, np.int64),
                make_rows([target_ids.tolist()] * rows, np.int64),
            )
            batch = dataclasses.replace(batch, links=self._linker.link(no_links(rows), *pieces))
        return batch

    def _order(self, epoch: int) -> EpochOrder:
        return EpochOrder(self._store.bounds, self._weights, seed=self._seed, epoch=epoch)

    def _windows(self, order: EpochOrder) -> int:
        return -(-len(order) // self._shuffle_window)

    def _pairs(self, order: EpochOrder, window: int) -> NDArray[np.int64]:
        """Return the pairs of a window, ascending. The sizes of the windows of an epoch differ by at most one."""
        windows = self._windows(order)
        pairs = order.pairs(window * len(order) // windows, (window + 1) * len(order) // windows)
        pairs.sort()
        return pairs

    def _longest_example(self, side: int) -> int:
        longest = self._longest[side]
        if self._concatenation.ratio == 0:
            return longest
        return max(longest, min(self._concatenation.max_pairs * longest, self._concatenation.max_pieces))

    def _groups(self, pairs: NDArray[np.int64], epoch: int, window: int) -> tuple[SampledGroups, NDArray[np.int64]]:
        """Return the groups to concatenate, and the rows of a window: each pair, then the members of the groups."""
        groups = self._concatenation.sample(len(pairs), make_key(self._seed, 5, epoch, window))
        return groups, np.concatenate([np.arange(len(pairs)), groups.members])

    def _stored_lengths(
        self, pairs: NDArray[np.int64], epoch: int, window: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the lengths of the examples of a window in stored pieces, without sampling."""
        groups, rows = self._groups(pairs, epoch, window)
        numbers = pairs[rows]
        lengths = [side[numbers].astype(np.int64) for side in (self._store.source_lengths, self._store.target_lengths)]
        examples = self._concatenation.fit(lengths, groups)
        return examples.lengths(lengths[0]), examples.lengths(lengths[1])

    def _growth(self, order: EpochOrder) -> float:
        """Estimate the ratio of sampled to stored lengths from a few pairs."""
        pairs = np.sort(order.pairs(0, min(len(order), GROWTH_PAIRS)))
        stored = self._store.rows(pairs)
        key = make_key(self._seed, 4)
        source, target = (self._sampled(stored[side], side, key).lengths for side in (0, 1))
        unsampled = np.maximum(stored[0].lengths, stored[1].lengths) + 1
        return float((np.maximum(source, target) + 1).sum() / unsampled.sum())

    def _load(self, order: EpochOrder, epoch: int, window: int) -> _Window:
        pairs = self._pairs(order, window)
        groups, rows = self._groups(pairs, epoch, window)
        sources, targets = self._store.rows(pairs)
        links = self._store.links(pairs) if self._linker is not None else None
        if len(groups.members):
            sources, targets = sources.select(rows), targets.select(rows)
            links = None if links is None else links.select(rows)
        if self._samplers:
            key = make_key(self._seed, 3, epoch, window)
            sources, targets = self._sampled(sources, 0, key), self._sampled(targets, 1, key)
        examples = self._concatenation.fit((sources.lengths, targets.lengths), groups)
        joined = examples.concatenate(sources), examples.concatenate(targets)
        batches = self._split(joined[0].lengths, joined[1].lengths, make_key(self._seed, 2, epoch, window))
        return _Window(*joined, _Members(sources, targets, links, examples), batches)

    def _batch(self, window: _Window, numbers: NDArray[np.int64]) -> Batch:
        batch = pad(window.sources, window.targets, numbers)
        if self._linker is not None:
            batch = dataclasses.replace(batch, links=_links(self._linker, window.members, numbers))
        return reversed_targets(batch) if self._right_to_left else batch

    def _sampled(self, stored: Rows, side: int, key: int) -> Rows:
        sampled = self._samplers[side].sample(stored, key=make_key(key, side))
        ids = np.concatenate([sampled.ids, stored.ids])
        lengths, starts = sampled.lengths, sampled.starts
        use_stored = lengths > self._longest[side]
        chosen = Rows(
            ids,
            np.where(use_stored, stored.starts + lengths.sum(), starts),
            np.where(use_stored, stored.lengths, lengths),
        )
        return chosen.select(np.arange(len(chosen.lengths)))

    def _split(
        self, source_lengths: NDArray[np.int64], target_lengths: NDArray[np.int64], key: int
    ) -> list[NDArray[np.int64]]:
        """Sort a window by length and split it into batches, in random order.

        Targets of two neighbouring lengths form a group. The sources ascend in one group and descend in the next, so
        that both sides need little padding. The pairs of lengths, the directions and the order of equal lengths are
        random, so no two epochs have the same batches.
        """
        numbers = np.arange(len(source_lengths))
        shift, turn = (hash64(np.arange(2), make_key(key, 0)) >> np.uint64(63)).astype(np.int64)
        group = (target_lengths + shift) // 2
        fine = source_lengths + uniform(numbers, make_key(key, 1))
        order = np.lexsort((np.where(group % 2 == turn, fine, -fine), group))
        batches = split_into_batches(
            source_lengths[order] + 1,
            target_lengths[order] + 1,
            batch_tokens=self._batch_tokens,
            batch_sentences=self._batch_sentences,
        )
        shuffled = np.argsort(hash64(np.arange(len(batches)), make_key(key, 2)), kind="stable")
        return [order[batches[number]] for number in shuffled]


class _Members(NamedTuple):
    """The pairs of one window in memory, and the examples that they form."""

    sources: Rows
    targets: Rows
    links: Rows | None
    examples: ConcatenatedExamples


class _Window(NamedTuple):
    """The examples of one window in memory, and the batches as numbers of examples."""

    sources: Rows
    targets: Rows
    members: _Members
    batches: list[NDArray[np.int64]]

    def size(self, numbers: NDArray[np.int64]) -> BatchSize:
        """Return the size of the batch of some examples."""
        return BatchSize(len(numbers), int(self.targets.lengths[numbers].sum()) + len(numbers))


class _Planned(NamedTuple):
    """A batch before its pieces are copied."""

    window: _Window
    numbers: NDArray[np.int64]
    """The examples of the batch."""


def _links(linker: Linker, window: _Members, numbers: NDArray[np.int64]) -> Links:
    """Return the links of some examples: the links of their pairs, moved to their positions in the examples."""
    members, owners = window.examples.members(numbers)
    sources, targets = window.sources.select(members), window.targets.select(members)
    words = no_links(len(members)) if window.links is None else window.links.select(members)
    return join_links(linker.link(words, sources, targets), owners, sources.lengths, targets.lengths)
