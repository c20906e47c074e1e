"""Batched greedy search: the most probable next piece at each step.

B sentences, b sentences that are still in the batch, S source length, V vocabulary.

It finds the same hypotheses as `beam_search` with a beam of one, with less bookkeeping.
"""

from __future__ import annotations

import numpy as np

from nmt.arrays import Array, from_host, inference, namespace, to_host
from nmt.data.special_tokens import BOS, EOS
from nmt.errors import CheckpointError
from nmt.search.history import FloatArray, IntArray
from nmt.search.interface import (
    DROP_SHARE,
    MemoryT,
    StateT,
    StepModel,
    TokenHypothesis,
    select_rows,
)
from nmt.search.length_normalization import LengthNormalization
from nmt.search.top_k import as_top_k_model


def greedy_search(
    model: StepModel[MemoryT, StateT],
    source: Array,
    lengths: Array,
    *,
    max_lengths: Array,
    normalization: LengthNormalization,
) -> list[list[TokenHypothesis]]:
    """Translate a batch.

    Args:
        model: Gives the log-probabilities.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Source lengths [B].
        max_lengths: Length limit of each sentence [B] in pieces, without EOS.
        normalization: Computes the score from the log-probability; it does not affect the search.

    Returns:
        A list of one hypothesis for each sentence.
    """
    record = _Record(max_lengths=to_host(max_lengths))
    top_k_model = as_top_k_model(model)
    with inference(source):
        memory = model.encode(source, lengths)
        state = model.init_state(memory)
        ids = namespace(source).full_like(lengths, BOS)  # [b]
        while True:
            totals = from_host(np.zeros((len(ids), 1), np.float32), source)  # [b, 1]
            output = top_k_model.step_top_k(ids, state, memory, totals, 1)
            best = output.continuations
            rows = len(ids)
            next_ids, live = record.add(to_host(best.log_probs)[:, 0], to_host(best.pieces)[:, 0], output.eos)
            if not len(live):
                return [[hypothesis] for hypothesis in record.hypotheses(normalization)]
            memory = select_rows(memory, live, of=rows, like=source)
            state = select_rows(output.state, live, of=rows, like=source)
            ids = from_host(next_ids, source)


class _Record:
    """The pieces so far, and the sentences that are still in the batch."""

    def __init__(self, *, max_lengths: IntArray) -> None:
        self._limits = max_lengths
        self._sentences: IntArray = np.arange(len(max_lengths))
        self._lengths: IntArray = np.full(len(max_lengths), -1)  # [B]: pieces before EOS; -1: not ended
        self._finished = np.ones(len(max_lengths), np.bool_)
        self._steps: list[tuple[IntArray, FloatArray]] = []

    def add(self, log_probs: FloatArray, pieces: IntArray, eos: Array) -> tuple[IntArray, IntArray]:
        """Append the best `pieces` [b] with `log_probs` [b], or EOS with `eos` [b] at the length limit.

        Returns:
            The pieces to feed next [b'], and the indices in the batch of the sentences that stay [b'].
        """
        if np.isnan(log_probs).any():
            raise CheckpointError("The model computes undefined probabilities (NaN): its weights are damaged.")
        step, sentences = len(self._steps), self._sentences
        live = self._lengths[sentences] < 0  # [b]
        at_limit = live & (self._limits[sentences] <= step) & (pieces != EOS)  # [b]
        if at_limit.any():
            log_probs, pieces = np.where(at_limit, to_host(eos), log_probs), np.where(at_limit, EOS, pieces)
            self._finished[sentences[at_limit]] = False
        ended = live & (pieces == EOS)  # [b]
        self._lengths[sentences[ended]] = step
        ids, values = np.zeros(len(self._limits), np.int64), np.zeros(len(self._limits), np.float64)  # [B]
        ids[sentences], values[sentences] = pieces, log_probs
        self._steps.append((ids, values))
        kept: IntArray = np.arange(len(sentences))
        done = self._lengths[sentences] >= 0  # [b]
        if done.sum() >= DROP_SHARE * len(done):
            kept = np.flatnonzero(~done)  # [b']
        self._sentences = sentences[kept]
        return pieces[kept], kept

    def hypotheses(self, normalization: LengthNormalization) -> list[TokenHypothesis]:
        """Return the hypothesis of each sentence."""
        ids = np.stack([pieces for pieces, _ in self._steps], axis=1)  # [B, T]
        log_probs = np.stack([values for _, values in self._steps], axis=1)  # [B, T]
        # The order of addition is that of beam search, so that the sums are equal to the last digit.
        totals = np.cumsum(log_probs, axis=1)[np.arange(len(ids)), self._lengths]  # [B]
        scores = normalization.score(totals, self._lengths + 1)
        return [
            TokenHypothesis(
                ids=ids[index, :length].tolist(),
                log_probability=float(totals[index]),
                score=float(scores[index]),
                piece_log_probabilities=log_probs[index, : length + 1].tolist(),
                finished=bool(self._finished[index]),
            )
            for index, length in enumerate(self._lengths)
        ]
