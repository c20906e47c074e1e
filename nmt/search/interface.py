"""The interface between search and models: what a search requires of a model, and the hypotheses that it returns.

B sentences, S source length, R rows (the hypotheses of all sentences), K rows per sentence, C continuations, V
vocabulary.

Anything with these three methods can be searched: a network, an ensemble that holds a memory and a state for each
member, a test double. A search never reads a memory or a state; it only selects rows of them.

The arrays of a model are numpy arrays or torch tensors, on one device. Those that a search passes to the model are like
the source. Ids, lengths and indices are int64, log-probabilities float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nmt.arrays import Array, from_host

SelectableT = TypeVar("SelectableT", bound="Selectable")


class Selectable(Protocol):
    """A batch that can be indexed by its first dimension: a memory by sentence, a state by row."""

    def select(self: SelectableT, rows: Array) -> SelectableT:
        """Return the part of `rows` (indices, in any order, with repetitions)."""


MemoryT = TypeVar("MemoryT", bound=Selectable)
StateT = TypeVar("StateT", bound=Selectable)
MemoryT_contra = TypeVar("MemoryT_contra", bound=Selectable, contravariant=True)
StateT_co = TypeVar("StateT_co", bound=Selectable, covariant=True)


class StepOutput(Protocol[StateT_co]):
    """The output of one decoding step."""

    @property
    def log_probs(self) -> Array:
        """Log-probabilities of the next piece [R, V], float32, never above zero."""

    @property
    def state(self) -> StateT_co:
        """The state after the step, R rows."""

    @property
    def weights(self) -> Array | None:
        """Attention weights [R, S]; None without attention."""


class StepModel(Protocol[MemoryT, StateT]):
    """A model that can be searched. Each row depends on its own sentence alone, not on the rest of the batch."""

    def encode(self, source: Array, lengths: Array) -> MemoryT:
        """Encode `source` [B, S], rows of `lengths` [B] ids that end with EOS, padded to the right."""

    def init_state(self, memory: MemoryT) -> StateT:
        """Return the initial state, one row for each sentence of `memory`."""

    def step(self, ids: Array, state: StateT, memory: MemoryT) -> StepOutput[StateT]:
        """Feed one piece to each row: `ids` [R], R a multiple of B; row r belongs to sentence r // (R / B)."""


class Continuations(NamedTuple):
    """The best continuations of each sentence's hypotheses by one piece, best first."""

    log_probs: Array
    """Log-probability of the piece [B, C], float32, by which the search ranks."""
    rows: Array
    """The row of the sentence that is continued [B, C], counted from 0."""
    pieces: Array
    """The pieces [B, C]."""
    model_log_probs: Array | None = None
    """The model's own log-probabilities of the pieces [B, C]. None: they are `log_probs`."""


@dataclass(frozen=True)
class TopKOutput(Generic[StateT]):
    """The output of one decoding step, reduced to the best continuations."""

    continuations: Continuations
    eos: Array
    """Log-probability of EOS for each row [R]."""
    state: StateT
    """The state after the step, R rows."""
    bonus: Array | None = None
    """Added to the score of a hypothesis of each row that ends now [R], at most 0. None: nothing is added."""


@runtime_checkable
class TopKModel(Protocol[MemoryT_contra, StateT]):
    """A model that finds the best continuations faster than a search over all log-probabilities."""

    def step_top_k(
        self, ids: Array, state: StateT, memory: MemoryT_contra, totals: Array, count: int
    ) -> TopKOutput[StateT]:
        """Feed one piece to each row, and return the best continuations of each sentence.

        Args:
            ids: The last pieces [R].
            state: The state of the rows.
            memory: The encoded sentences.
            totals: The log-probability of each hypothesis [B, K], absolute or relative to the sentence's best one;
                -inf where there is no hypothesis.
            count: C; fewer are returned if fewer exist.

        Returns:
            New arrays: the search keeps the continuations until its end. The state may reuse its memory in the next
            step.
        """


class TokenHypothesis(NamedTuple):
    """A hypothesis as token ids."""

    ids: list[int]
    """Target ids, without BOS and EOS."""
    log_probability: float
    """Sum of the model's log-probabilities over the pieces and EOS."""
    score: float
    """The ranking score: the log-probability after length normalization, plus the penalties of the search."""
    piece_log_probabilities: list[float]
    """Of each piece, then of EOS."""
    finished: bool
    """False if the length limit ended it: then EOS was forced, and counts in the log-probability."""


# Finished sentences are dropped when they are this share of the batch, because copying the others has a cost too.
DROP_SHARE = 1 / 16


def select_rows(selectable: SelectableT, rows: NDArray[np.int64], *, of: int, like: Array) -> SelectableT:
    """Return `rows` of a memory or state of `of` rows, without a copy if they are all rows in order.

    Args:
        selectable: The memory or the state.
        rows: Indices [R'], on the host.
        of: R.
        like: An array of the model.
    """
    if len(rows) == of and rows.tolist() == list(range(of)):
        return selectable
    return selectable.select(from_host(rows, like))
