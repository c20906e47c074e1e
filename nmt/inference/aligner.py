"""Computes the attention between lines and known translations, by forced decoding.

B pairs, T target length, S source length (both with EOS).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import to_host
from nmt.data.special_tokens import EOS
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import NMTError
from nmt.inference.attention_map import (
    END,
    AttentionMap,
    Units,
    line_words,
    piece_units,
    word_spans,
    word_weights,
)
from nmt.inference.ensemble import normalize_weights
from nmt.inference.forced_decoding import IdPair, collate, decode_slices, length_batches
from nmt.inference.hardware import Hardware
from nmt.inference.networks import TranslationNetwork
from nmt.inference.workers import halve_on_oom

Weights = NDArray[np.float32]


class Aligned(NamedTuple):
    """The attention between a line and its translation."""

    pieces: AttentionMap
    words: AttentionMap
    """Summed over the pieces of a source word, averaged over those of a target word."""


class Aligner:
    """Computes the attention of a model, or the mean attention of several. Threads may share it."""

    def __init__(
        self,
        networks: Sequence[TranslationNetwork],
        tokenizers: Tokenizers,
        *,
        hardware: Hardware,
        batch_sentences: int,
        weights: Sequence[float] | None = None,
    ) -> None:
        """Take the networks.

        Args:
            networks: At least one, all with attention, and all with the same subword models.
            tokenizers: The subword models of the two sides.
            hardware: The hardware of the networks.
            batch_sentences: Most sentences of a batch; affects speed alone.
            weights: The weight of each network, above zero. None: equal weights.
        """
        self._networks = tuple(networks)
        self._shares = normalize_weights(weights or [1.0] * len(networks))
        self._tokenizers = tokenizers
        # Attention maps run from left to right, even if the model writes from right to left.
        self._shown = tokenizers.with_direction(right_to_left=False)
        self._hardware = hardware
        self._batch_sentences = batch_sentences

    def weights(self, pairs: Sequence[IdPair]) -> list[Weights]:
        """Return the weights [T, S] of each pair: a row for each target piece from left to right, then one for EOS.

        Raises:
            NMTError: A single pair does not fit into memory.
        """
        results: list[Weights] = [np.empty((0, 0), dtype=np.float32)] * len(pairs)
        for indices in length_batches(pairs, self._batch_sentences):
            batch = [pairs[index] for index in indices]
            matrices = halve_on_oom(self._batch, batch, hardware=self._hardware, explain=_out_of_memory)
            for index, weights in zip(indices, matrices, strict=True):
                results[index] = weights
        return results

    def _batch(self, pairs: Sequence[IdPair]) -> list[Weights]:
        batch = collate(pairs)
        shape = (len(pairs), batch.target_input.shape[1], batch.source.shape[1])
        attention = np.zeros(shape, dtype=np.float32)  # [B, T, S]
        with self._hardware.computing():
            for network, share in zip(self._networks, self._shares, strict=True):
                for start, states, weights in decode_slices(network, batch, self._hardware):
                    if weights is None:
                        raise NMTError("the model has no attention weights.")
                    attention[:, start : start + states.shape[1]] += share * to_host(weights)
        lengths = zip(attention, batch.target_lengths, batch.source_lengths, strict=True)
        return [self._in_order_of_text(weights[:target, :source]) for weights, target, source in lengths]

    def align(self, source: Sequence[list[int]], target: Sequence[list[int]], texts: tuple[str, str]) -> Aligned | None:
        """Return the attention between the segments of a line and their translations; None without segments.

        Args:
            source: The ids of each segment of the line.
            target: The ids of the translation of each segment.
            texts: The line and its translation. Their words are those that white space separates.
        """
        pairs = list(map(IdPair, source, target))
        return self.combine(pairs, self.weights(pairs), texts) if pairs else None

    def combine(self, pairs: Sequence[IdPair], weights: Sequence[Weights], texts: tuple[str, str]) -> Aligned:
        """Return the attention of a line from the attention of its segments; different segments do not attend."""
        source = [piece for pair in pairs for piece in (*pair.source, EOS)]
        target = [piece for pair in pairs for piece in (*self._tokenizers.target.in_text_order(pair.target), EOS)]
        pieces = AttentionMap(
            piece_units(source, self._shown.source), piece_units(target, self._shown.target), _block_diagonal(weights)
        )
        source_words, source_units = _words(pieces.source, texts[0], self._shown.source)
        target_words, target_units = _words(pieces.target, texts[1], self._shown.target)
        weights_of_words = word_weights(pieces.weights, source_words, target_words)
        return Aligned(pieces, AttentionMap(source_units, target_units, weights_of_words))

    def _in_order_of_text(self, weights: Weights) -> Weights:
        """Return weights whose rows, except the last for EOS, are in the order of the text, not of the model."""
        *rows, eos = range(len(weights))
        return weights[[*self._tokenizers.target.in_text_order(rows), eos]]  # [T, S]


def _words(pieces: Units, text: str, subwords: SubwordModel) -> tuple[Sequence[Sequence[int]], Units]:
    """Return the pieces of each white-space word of a line, and the words."""
    words = text.split()
    spans = word_spans(pieces)
    if len(spans) - len(pieces.ends) == len(words):
        ends = frozenset(number for number, span in enumerate(spans) if span[0] in pieces.ends)
        remaining = iter(words)
        return spans, Units([END if number in ends else next(remaining) for number in range(len(spans))], ends)
    ends = frozenset(range(len(words), len(words) + len(pieces.ends)))
    return line_words(pieces, words, subwords), Units([*words, *[END] * len(ends)], ends)


def _out_of_memory(pair: IdPair) -> str:
    return (
        f"There is not enough memory for the attention between a line of {len(pair.source)} pieces and a translation "
        f"of {len(pair.target)}. Split the line into sentences."
    )


def _block_diagonal(blocks: Sequence[Weights]) -> Weights:
    """Return the matrix with `blocks` along its diagonal and zeros elsewhere."""
    shape = (sum(len(block) for block in blocks), sum(block.shape[1] for block in blocks))
    joined = np.zeros(shape, dtype=np.float32)  # [T, S]
    row = column = 0
    for block in blocks:
        joined[row : row + block.shape[0], column : column + block.shape[1]] = block
        row, column = row + block.shape[0], column + block.shape[1]
    return joined
