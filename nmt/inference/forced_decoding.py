"""Forced decoding: runs known translations through the decoder, all positions at once, or in slices if there are many.

B pairs, T target length, T' positions of a slice, S source length (both with EOS), O output size.

A search keeps neither attention weights nor the log-probabilities of other pieces. Forced decoding computes both, and
gives the same numbers as the steps of a search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nmt.arrays import Array
from nmt.data.batch import Batch, make_batch
from nmt.inference.hardware import Hardware
from nmt.inference.networks import TranslationNetwork

# Most positions (B x T x S) at once. Attention has at least one number for each, and a score function with vectors of
# 512 features needs 0.3 GB.
MAX_POSITIONS = 160_000


class IdPair(NamedTuple):
    """A sentence and its translation, as ids without EOS."""

    source: list[int]
    target: list[int]


class Slice(NamedTuple):
    """The decoder output at some positions of a batch."""

    start: int
    """The first position, counted from 0."""
    states: Array
    """Attentional states, the input of the output layer [B, T', O]."""
    weights: Array | None
    """Attention weights [B, T', S]; None without attention."""


def length_batches(pairs: Sequence[IdPair], size: int) -> Iterator[list[int]]:
    """Split pairs into batches of similar length, as indices, the longest first.

    A batch has at most `size` pairs and MAX_POSITIONS positions. A longer pair is a batch of its own.
    """
    batch: list[int] = []
    widths = (0, 0)
    for index in sorted(range(len(pairs)), key=lambda index: (-len(pairs[index].source), -len(pairs[index].target))):
        source, target = len(pairs[index].source) + 1, len(pairs[index].target) + 1
        wider = (max(widths[0], source), max(widths[1], target))
        if batch and (len(batch) == size or (len(batch) + 1) * wider[0] * wider[1] > MAX_POSITIONS):
            yield batch
            batch, wider = [], (source, target)
        batch.append(index)
        widths = wider
    if batch:
        yield batch


def collate(pairs: Sequence[IdPair]) -> Batch:
    """Return the pairs as a batch, in this order."""
    return make_batch([pair.source for pair in pairs], [pair.target for pair in pairs])


def decode_slices(network: TranslationNetwork, batch: Batch, hardware: Hardware) -> Iterator[Slice]:
    """Run the targets of a batch through the decoder in slices of at most MAX_POSITIONS, or of one target position.

    Args:
        network: The network. The caller is in the context `hardware.computing()`.
        batch: The pairs.
        hardware: The hardware of the network.
    """
    source, lengths, target_input = map(hardware.array, (batch.source, batch.source_lengths, batch.target_input))
    memory = network.encode(source, lengths)
    state = network.init_state(memory)
    width = max(1, MAX_POSITIONS // batch.source.size)
    for start in range(0, target_input.shape[1], width):
        states, state, weights = network.forced(target_input[:, start : start + width], state, memory)
        yield Slice(start, states, weights)
