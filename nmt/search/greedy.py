"""Batched greedy search: the most probable next piece, at each step.   B sentences, V vocabulary.

The same hypotheses as `beam_search` with a beam of one, with less book-keeping.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nmt.data.special_tokens import BOS, EOS
from nmt.errors import CheckpointError
from nmt.search.history import FloatArray, IntArray
from nmt.search.interface import (
    DONE_SHARE,
    MemoryT,
    StateT,
    StepModel,
    TokenHypothesis,
    select_rows,
    to_device,
    to_host,
)
from nmt.search.length_normalization import LengthNormalization
from nmt.search.top_k import as_top_k_model


@torch.inference_mode()
def greedy_search(
    model: StepModel[MemoryT, StateT],
    source: Tensor,
    lengths: Tensor,
    *,
    max_lengths: Tensor,
    normalization: LengthNormalization,
) -> list[list[TokenHypothesis]]:
    """Translate a batch.

    Args:
        model: What gives the log-probabilities.
        source: Source ids [B, S] with EOS, padded to the right.
        lengths: Their lengths [B].
        max_lengths: Longest hypothesis of each sentence [B] in pieces, EOS not counted.
        normalization: Makes the score out of the log-probability; it has no influence on the search.

    Returns:
        One hypothesis for each sentence, in a list of its own.
    """
    memory = model.encode(source, lengths)
    state = model.init_state(memory)
    record = _Record(max_lengths=to_host(max_lengths))
    ids = torch.full_like(lengths, BOS)
    steps = as_top_k_model(model)
    while True:
        totals = torch.zeros(len(ids), 1, device=source.device)
        output = steps.continue_best(ids, state, memory, totals, 1)
        best = output.continuations
        before = len(ids)
        next_ids, stay = record.add(to_host(best.log_probs)[:, 0], to_host(best.pieces)[:, 0], output.eos)
        if not len(stay):
            return [[hypothesis] for hypothesis in record.hypotheses(normalization)]
        memory = select_rows(memory, stay, of=before, device=source.device)
        state = select_rows(output.state, stay, of=before, device=source.device)
        ids = to_device(next_ids, source.device)


class _Record:
    """The pieces chosen so far, and which sentences are still in the batch: b of the B that it began with."""

    def __init__(self, *, max_lengths: IntArray) -> None:
        self._limits = max_lengths
        self._sentences: IntArray = np.arange(len(max_lengths))
        self._lengths: IntArray = np.full(len(max_lengths), -1)  # pieces before EOS; -1: not ended
        self._finished = np.ones(len(max_lengths), np.bool_)
        self._steps: list[tuple[IntArray, FloatArray]] = []

    def add(self, log_probs: FloatArray, pieces: IntArray, eos: Tensor) -> tuple[IntArray, IntArray]:
        """Put the best `pieces` [b] with `log_probs` [b] to the hypotheses, or EOS [b] at their length limit.

        Returns:
            The pieces to feed next [b'], and which sentences [b'] stay, counted in the batch as it was.
        """
        if np.isnan(log_probs).any():
            raise CheckpointError("The model gives undefined probabilities (NaN): its weights are damaged.")
        step, sentences = len(self._steps), self._sentences
        live = self._lengths[sentences] < 0
        cut = live & (self._limits[sentences] <= step) & (pieces != EOS)
        if cut.any():
            log_probs, pieces = np.where(cut, to_host(eos), log_probs), np.where(cut, EOS, pieces)
            self._finished[sentences[cut]] = False
        ended = live & (pieces == EOS)
        self._lengths[sentences[ended]] = step
        chosen, values = np.zeros(len(self._limits), np.int64), np.zeros(len(self._limits), np.float64)
        chosen[sentences], values[sentences] = pieces, log_probs
        self._steps.append((chosen, values))
        stay: IntArray = np.arange(len(sentences))
        over = self._lengths[sentences] >= 0
        if over.sum() >= DONE_SHARE * len(over):
            stay = np.flatnonzero(~over)
        self._sentences = sentences[stay]
        return pieces[stay], stay

    def hypotheses(self, normalization: LengthNormalization) -> list[TokenHypothesis]:
        """Return the hypothesis of each sentence."""
        ids = np.stack([chosen for chosen, _ in self._steps], axis=1)
        log_probs = np.stack([values for _, values in self._steps], axis=1)
        # The same order of addition as in beam search, so that the sums are the same to the last digit.
        totals = np.cumsum(log_probs, axis=1)[np.arange(len(ids)), self._lengths]
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
