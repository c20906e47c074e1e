"""The attention between lines and translations that are known, by forced decoding.

T target length, S source length (both with EOS).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.data.special_tokens import EOS
from nmt.data.tokenizer import Tokenizers
from nmt.device import autocast
from nmt.errors import NMTError
from nmt.inference.attention_map import AttentionMap, piece_units, word_spans, word_units, word_weights
from nmt.inference.ensemble import shares
from nmt.inference.forced_decoding import IdPair, collate, decode_slices, length_batches
from nmt.inference.workers import halve_on_oom
from nmt.model import Seq2Seq

Weights = NDArray[np.float32]


class Aligned(NamedTuple):
    """The attention between a line and its translation."""

    pieces: AttentionMap
    words: AttentionMap
    """Summed over the pieces of a source word, averaged over those of a target word."""


class Aligner:
    """Tells what a model looks at, or what several look at on average. Keeps nothing between calls."""

    def __init__(
        self,
        networks: Sequence[Seq2Seq],
        tokenizers: Tokenizers,
        *,
        device: torch.device,
        dtype: torch.dtype,
        batch_sentences: int,
        weights: Sequence[float] | None = None,
    ) -> None:
        """Keeps what it is given.

        Args:
            networks: At least one, all with attention, in evaluation mode on `device`; all with the same subword
                models.
            tokenizers: The subword models of the two sides.
            device: Where to compute.
            dtype: The number format of matrix products.
            batch_sentences: Most sentences at once; changes speed alone.
            weights: How much each network counts, above zero; None: all the same.
        """
        self._networks = tuple(networks)
        self._shares = shares(weights or [1.0] * len(networks))
        self._tokenizers = tokenizers
        # What is shown runs from left to right, however the model writes.
        self._shown = tokenizers.with_direction(right_to_left=False)
        self._device = device
        self._dtype = dtype
        self._batch_sentences = batch_sentences

    def weights(self, pairs: Sequence[IdPair]) -> list[Weights]:
        """Return the weights [T, S] of each pair, a row for each target piece from left to right and one for EOS.

        Raises:
            NMTError: One pair alone does not fit into memory.
        """
        found: list[Weights] = [np.empty((0, 0), dtype=np.float32)] * len(pairs)
        for chosen in length_batches(pairs, self._batch_sentences):
            batch = [pairs[index] for index in chosen]
            several = halve_on_oom(self._batch, batch, device=self._device, explain=_too_long)
            for index, weights in zip(chosen, several, strict=True):
                found[index] = weights
        return found

    def _batch(self, pairs: Sequence[IdPair]) -> list[Weights]:
        batch = collate(pairs)
        found = np.zeros((len(pairs), batch.target_input.shape[1], batch.source.shape[1]), dtype=np.float32)
        with torch.inference_mode(), autocast(self._device, self._dtype):
            for network, share in zip(self._networks, self._shares, strict=True):
                for start, states, weights in decode_slices(network, batch, self._device):
                    if weights is None:
                        raise NMTError("The model gave no attention weights.")
                    found[:, start : start + states.shape[1]] += share * weights.float().cpu().numpy()
        lengths = zip(found, batch.target_lengths, batch.source_lengths, strict=True)
        return [self._in_order_of_text(weights[:target, :source]) for weights, target, source in lengths]

    def align(self, source: Sequence[list[int]], target: Sequence[list[int]]) -> Aligned | None:
        """Return the attention between the parts of a line and their translations; None if there are none."""
        pairs = list(map(IdPair, source, target))
        return self.put_together(pairs, self.weights(pairs)) if pairs else None

    def put_together(self, pairs: Sequence[IdPair], weights: Sequence[Weights]) -> Aligned:
        """Return the attention of a line, given that of each of its parts: there is none between different parts."""
        source = [piece for pair in pairs for piece in (*pair.source, EOS)]
        target = [piece for pair in pairs for piece in (*self._tokenizers.target.turned(pair.target), EOS)]
        pieces = AttentionMap(
            piece_units(source, self._shown.source), piece_units(target, self._shown.target), _diagonal(weights)
        )
        source_spans, target_spans = word_spans(pieces.source), word_spans(pieces.target)
        words = AttentionMap(
            word_units(source, source_spans, self._shown.source),
            word_units(target, target_spans, self._shown.target),
            word_weights(pieces.weights, source_spans, target_spans),
        )
        return Aligned(pieces, words)

    def _in_order_of_text(self, weights: Weights) -> Weights:
        """Return weights with a row for each piece, and one for EOS, that are in the order of writing."""
        *written, eos = range(len(weights))
        return weights[[*self._tokenizers.target.turned(written), eos]]


def _too_long(pair: IdPair) -> str:
    return (
        f"There is not enough memory for the attention between a line of {len(pair.source)} pieces and a translation "
        f"of {len(pair.target)}. Cut it into sentences."
    )


def _diagonal(parts: Sequence[Weights]) -> Weights:
    """Return the matrix with `parts` along its diagonal and zeros elsewhere."""
    joined = np.zeros((sum(len(part) for part in parts), sum(part.shape[1] for part in parts)), dtype=np.float32)
    row = column = 0
    for part in parts:
        joined[row : row + part.shape[0], column : column + part.shape[1]] = part
        row, column = row + part.shape[0], column + part.shape[1]
    return joined
