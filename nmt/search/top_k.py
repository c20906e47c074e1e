"""Finds the most probable continuations of the hypotheses of each sentence.

B sentences, K rows (hypotheses) per sentence, R = B x K rows, V vocabulary, C continuations.
"""

from __future__ import annotations

from typing import Generic

from nmt.arrays import Array, top_k_of_sums
from nmt.data.special_tokens import EOS
from nmt.search.interface import Continuations, MemoryT, StateT, StepModel, TopKModel, TopKOutput


def as_top_k_model(model: StepModel[MemoryT, StateT]) -> TopKModel[MemoryT, StateT]:
    """Return `model` if it finds the best continuations itself, else a wrapper that does."""
    return model if isinstance(model, TopKModel) else _TopKModel(model)


class _TopKModel(Generic[MemoryT, StateT]):
    """Computes all log-probabilities of a model, and finds the best among them."""

    def __init__(self, model: StepModel[MemoryT, StateT]) -> None:
        self._model = model

    def step_top_k(self, ids: Array, state: StateT, memory: MemoryT, totals: Array, count: int) -> TopKOutput[StateT]:
        output = self._model.step(ids, state, memory)
        log_probs = output.log_probs
        return TopKOutput(top_k_continuations(log_probs, totals, count), log_probs[:, EOS], output.state)


def top_k_continuations(log_probs: Array, totals: Array, count: int) -> Continuations:
    """Return the C continuations of each sentence with the greatest total + log-probability, best first.

    PAD, UNK and BOS are never generated: their ids are below EOS in every vocabulary, and are skipped. Their
    probability is not redistributed.

    The choice among equal values depends on the sentence alone, not on the batch.

    Args:
        log_probs: [R, V].
        totals: [B, K].
        count: C; fewer are returned if fewer exist.
    """
    return Continuations(*top_k_of_sums(log_probs, totals, count, start=EOS))
