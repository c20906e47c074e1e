"""Forced decoding: known translations through the decoder, all positions at once or, where they are many, in slices.

B pairs, T target length, S source length (both with EOS), O output size.

Search keeps neither the weights of attention nor the log-probabilities of what it did not choose. Both come from
running a known translation through the decoder once more, which computes the same numbers as the steps of a search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.batch import Batch, make_batch
from nmt.model import Seq2Seq

# Most positions (B x T x S) at once: attention has at least a number for each, and a network that makes vectors of
# them, of 512 features say, needs 0.3 GB.
POSITIONS = 160_000


class IdPair(NamedTuple):
    """A sentence and its translation, as ids without EOS."""

    source: list[int]
    target: list[int]


class Slice(NamedTuple):
    """Some positions of the targets of a batch."""

    start: int
    """The first of them, counted from 0."""
    states: Tensor
    """What the output layer reads [B, T', O]."""
    weights: Tensor | None
    """Attention weights [B, T', S]; None without attention."""


def length_batches(pairs: Sequence[IdPair], most: int) -> Iterator[list[int]]:
    """Cut pairs into batches of like length, the longest first, with at most `most` rows and POSITIONS in each.

    A pair that has more is a batch of its own.
    """
    batch: list[int] = []
    widths = (0, 0)
    for index in sorted(range(len(pairs)), key=lambda index: (-len(pairs[index].source), -len(pairs[index].target))):
        source, target = len(pairs[index].source) + 1, len(pairs[index].target) + 1
        wider = (max(widths[0], source), max(widths[1], target))
        if batch and (len(batch) == most or (len(batch) + 1) * wider[0] * wider[1] > POSITIONS):
            yield batch
            batch, wider = [], (source, target)
        batch.append(index)
        widths = wider
    if batch:
        yield batch


def collate(pairs: Sequence[IdPair]) -> Batch:
    """Return a batch of these pairs, in this order."""
    return make_batch([pair.source for pair in pairs], [pair.target for pair in pairs])


def decode_slices(network: Seq2Seq, batch: Batch, device: torch.device) -> Iterator[Slice]:
    """Run the targets of a batch through the decoder: each slice has at most POSITIONS, or is one position long.

    Args:
        network: In evaluation mode on `device`. The caller sets inference mode and number format.
        batch: The pairs.
        device: Where.
    """
    source, lengths, target_input = (
        torch.from_numpy(array).to(device) for array in (batch.source, batch.source_lengths, batch.target_input)
    )
    memory = network.encode(source, lengths)
    state = network.init_state(memory)
    width = max(1, POSITIONS // batch.source.size)
    for start in range(0, target_input.shape[1], width):
        decoded = network.attentional_states(target_input[:, start : start + width], state, memory)
        state = decoded.state
        yield Slice(start, decoded.states, decoded.weights)
