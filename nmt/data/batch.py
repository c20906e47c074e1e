"""Batches: pairs of sentences as padded rectangles of ids, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nmt.data.alignments import Links
from nmt.data.special_tokens import BOS, EOS, PAD
from nmt.data.store import Rows, make_rows


@dataclass(frozen=True)
class Batch:
    """Pairs as ids, padded with PAD on the right.

    B pairs, S and T the longest source and target. Both include EOS (or BOS, in `target_input`).

    Attributes:
        source: Pieces and EOS; int64 [B, S].
        source_lengths: EOS included; int64 [B].
        target_input: BOS and pieces, the input of the decoder; int64 [B, T].
        target_output: Pieces and EOS, the expected output of the decoder; int64 [B, T].
        target_lengths: EOS included; int64 [B].
        links: Alignment links between the pieces of the pairs; None if training does not use them.
    """

    source: NDArray[np.int64]
    source_lengths: NDArray[np.int64]
    target_input: NDArray[np.int64]
    target_output: NDArray[np.int64]
    target_lengths: NDArray[np.int64]
    links: Links | None = None

    @property
    def target_tokens(self) -> int:
        """Number of predicted tokens: pieces and EOS of all targets."""
        return int(self.target_lengths.sum())

    def __len__(self) -> int:
        return len(self.source)


def split_into_batches(
    source_lengths: NDArray[np.int64],
    target_lengths: NDArray[np.int64],
    *,
    batch_tokens: int,
    batch_sentences: int | None,
) -> list[slice]:
    """Split pairs into batches. Each batch takes pairs as long as rows times the longest length is within the limits.

    A pair that is longer than `batch_tokens` is a batch of one pair.

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
        max_rows = max(1, batch_tokens // int(lengths[first]))
        if batch_sentences is not None:
            max_rows = min(max_rows, batch_sentences)
        longest = np.maximum.accumulate(lengths[first : first + max_rows])
        fits = longest * np.arange(1, len(longest) + 1) <= batch_tokens  # true for the first rows, false for all others
        rows = max(1, int(np.count_nonzero(fits)))
        batches.append(slice(first, first + rows))
        first += rows
    return batches


def make_batch(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Batch:
    """Make a batch of pairs of ids (without BOS and EOS), in the given order."""
    return pad(make_rows(sources, np.int64), make_rows(targets, np.int64), np.arange(len(sources)))


def fixed_batches(
    sources: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    *,
    batch_tokens: int,
    batch_sentences: int | None,
) -> list[Batch]:
    """Make the batches of a validation set: every pair once, sorted by length, the same batches each time.

    A pair that is longer than `batch_tokens` is a batch of one pair.
    """
    source_rows, target_rows = make_rows(sources, np.int64), make_rows(targets, np.int64)
    order = np.lexsort((source_rows.lengths, target_rows.lengths))
    batches = split_into_batches(
        source_rows.lengths[order] + 1,
        target_rows.lengths[order] + 1,
        batch_tokens=batch_tokens,
        batch_sentences=batch_sentences,
    )
    return [pad(source_rows, target_rows, order[batch]) for batch in batches]


def pad(sources: Rows, targets: Rows, pairs: NDArray[np.int64]) -> Batch:
    """Make a batch of the pairs with these numbers, in this order."""
    source, source_lengths = _rectangle(sources.select(pairs))
    target, target_lengths = _rectangle(targets.select(pairs))
    return Batch(source, source_lengths, _shifted(target, target_lengths), target, target_lengths)


def reversed_targets(batch: Batch) -> Batch:
    """Reverse the pieces of each target. EOS stays at the end."""
    lengths = batch.target_lengths[:, None]  # [B, 1]
    positions = np.arange(batch.target_output.shape[1])[None, :]  # [1, T]
    mirrored = np.where(positions < lengths - 1, lengths - 2 - positions, positions)  # [B, T]
    output = np.take_along_axis(batch.target_output, mirrored, axis=1)
    links = batch.links
    if links is not None:
        links = replace(links, targets=batch.target_lengths[links.rows] - 2 - links.targets)  # EOS has no links
    return replace(batch, target_input=_shifted(output, batch.target_lengths), target_output=output, links=links)


def _shifted(target: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the decoder input for targets [B, T]: BOS, then all pieces without EOS [B, T]."""
    shifted = np.empty_like(target)
    shifted[:, 0] = BOS
    shifted[:, 1:] = target[:, :-1]
    shifted[np.arange(target.shape[1]) >= lengths[:, None]] = PAD
    return shifted


def _rectangle(rows: Rows) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows with EOS at their ends, padded [B, T], and their lengths with EOS [B]."""
    lengths = rows.lengths + 1
    width = int(lengths.max())
    padded = np.full((len(lengths), width), PAD, dtype=np.int64)
    padded[np.arange(width) < rows.lengths[:, None]] = rows.ids
    padded[np.arange(len(lengths)), rows.lengths] = EOS
    return padded, lengths
