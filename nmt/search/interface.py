"""What search asks of a model, and what it gives back.

B sentences, S source length, R rows (the hypotheses of all sentences), V vocabulary.

Anything that has these three verbs can be searched: a network, an ensemble that holds one memory and one state for
each of its members, a test double. Search never asks what is inside a memory or a state; it only picks rows of it.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SelectableT = TypeVar("SelectableT", bound="Selectable")


class Selectable(Protocol):
    """Something whose first dimension can be picked from: a memory by sentence, a state by row."""

    def select(self: SelectableT, rows: Tensor) -> SelectableT:
        """Return the part that belongs to `rows` (indices, in any order, with repetitions)."""


MemoryT = TypeVar("MemoryT", bound=Selectable)
StateT = TypeVar("StateT", bound=Selectable)
MemoryT_contra = TypeVar("MemoryT_contra", bound=Selectable, contravariant=True)
StateT_co = TypeVar("StateT_co", bound=Selectable, covariant=True)


class StepOutput(Protocol[StateT_co]):
    """What one step gives."""

    @property
    def log_probs(self) -> Tensor:
        """Log-probabilities of the next piece [R, V], float32, never above zero."""

    @property
    def state(self) -> StateT_co:
        """The state after the step, R rows."""

    @property
    def weights(self) -> Tensor | None:
        """Attention weights [R, S]; None without attention."""


class StepModel(Protocol[MemoryT, StateT]):
    """A model that can be searched. Each row depends on its own sentence alone, whatever stands beside it."""

    def encode(self, source: Tensor, lengths: Tensor) -> MemoryT:
        """Encode `source` [B, S], rows of `lengths` [B] ids that end with EOS, padded to the right."""

    def init_state(self, memory: MemoryT) -> StateT:
        """Return the first state, one row for each sentence of `memory`."""

    def step(self, ids: Tensor, state: StateT, memory: MemoryT) -> StepOutput[StateT]:
        """Feed one piece to each row: `ids` [R], R a multiple of B; row r belongs to sentence r // (R / B)."""


class Continuations(NamedTuple):
    """The best continuations of each sentence's hypotheses by one piece, best first.   B sentences, C of each."""

    log_probs: Tensor
    """Of the piece [B, C], float32: what the search adds up."""
    rows: Tensor
    """Which of the sentence's rows is continued [B, C], counted from 0."""
    pieces: Tensor
    """The pieces [B, C]."""
    own: Tensor | None = None
    """The log-probabilities that the model gives these pieces [B, C], where `log_probs` are others."""


class TopKOutput(NamedTuple, Generic[StateT]):
    """What one step gives to a search that asks for the best continuations alone."""

    continuations: Continuations
    eos: Tensor
    """Log-probability of EOS for each row [R]."""
    state: StateT
    """The state after the step, R rows."""
    bonus: Tensor | None = None
    """What is added to the score of a hypothesis of each row that ends now [R], at most 0; None: nothing."""


@runtime_checkable
class TopKModel(Protocol[MemoryT_contra, StateT]):
    """A model that finds the best continuations itself, faster than a search can in all log-probabilities."""

    def continue_best(
        self, ids: Tensor, state: StateT, memory: MemoryT_contra, totals: Tensor, count: int
    ) -> TopKOutput[StateT]:
        """Feed one piece to each row, and return the best continuations of each sentence.

        Args:
            ids: The last pieces [R].
            state: The rows' state.
            memory: The sentences.
            totals: The log-probability of each hypothesis so far [B, K], or its difference to that of the sentence's
                best one; -inf: no hypothesis.
            count: How many continuations are wanted; fewer come back if there are fewer.
        """


class TokenHypothesis(NamedTuple):
    """A candidate translation."""

    ids: list[int]
    """Its pieces, without BOS and EOS."""
    log_probability: float
    """Sum of the log-probabilities that the model gives its pieces and EOS."""
    score: float
    """What hypotheses are ranked by: the log-probability after length normalisation, and after the penalties of the
    search where there are any."""
    piece_log_probabilities: list[float]
    """Of each piece, and of EOS at the end."""
    finished: bool
    """False if it was still going on at the length limit, where EOS was put to it (and counted)."""


# Sentences that are done leave the batch when they are this share of it: copying the others has its price too.
DONE_SHARE = 1 / 16


def to_host(values: Tensor) -> NDArray[Any]:
    """Return `values` as an array; waits for the device."""
    array: NDArray[Any] = values.cpu().numpy()
    return array


def to_device(values: NDArray[np.int64], device: torch.device) -> Tensor:
    """Return an array of indices or ids as a tensor on `device`."""
    return torch.from_numpy(values).to(device)


def select_rows(selectable: SelectableT, rows: NDArray[np.int64], *, of: int, device: torch.device) -> SelectableT:
    """Return the part of a memory or state of `of` rows that belongs to `rows`; itself if that is all, in order."""
    if len(rows) == of and np.array_equal(rows, np.arange(of)):
        return selectable
    return selectable.select(to_device(rows, device))
