"""The encoded source sentences, and the state that the decoder carries from position to position.

B sentences, R rows (K hypotheses of each sentence), S source length, E embedding size, M memory size, A key size,
N heads, H hidden size, D directions, O size of the attentional state, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class CellState(NamedTuple):
    """The state of one recurrent layer."""

    hidden: Tensor
    """[R, H]"""
    cell: Tensor
    """[R, H]; cells without a memory cell return it unchanged."""

    def select(self, rows: Tensor) -> CellState:
        """Return the state of `rows` (indices [R'])."""
        return CellState(self.hidden.index_select(0, rows), self.cell.index_select(0, rows))


class Memory(NamedTuple):
    """The encoded source sentences. Modules keep nothing about a sentence between calls."""

    states: Tensor
    """Encoder outputs [B, S, M]."""
    keys: Tensor
    """Attention keys [B, S, A], with several heads [B, N, S, A/N]. For the dot score, the same tensor as `states`."""
    mask: Tensor
    """True at real positions [B, S]."""
    final: tuple[CellState, ...]
    """Final state of each encoder layer, both directions concatenated: [B, D * H]. Memory cells are zeros unless the
    bridge is "last_with_cells"."""
    values: Tensor | None = None
    """Attention values of several heads [B, N, S, M/N]; None with one head, whose values are `states`."""
    embeddings: Tensor | None = None
    """Source embeddings [B, S, E] for the lexical model; None without one."""

    def select(self, rows: Tensor) -> Memory:
        """Return the memory of the sentences `rows` (indices [B'])."""
        states = self.states.index_select(0, rows)  # [B', S, M]
        return Memory(
            states,
            states if self.keys is self.states else self.keys.index_select(0, rows),
            self.mask.index_select(0, rows),
            tuple(state.select(rows) for state in self.final),
            _select(self.values, rows),
            _select(self.embeddings, rows),
        )


class AttentionState(NamedTuple):
    """The state of attention. A field is None where the configuration does not need it."""

    feed: Tensor | None = None
    """With input feeding: the last attentional state [R, O]."""
    coverage: Tensor | None = None
    """With coverage: the sum of the attention weights so far [R, S], float32."""
    position: Tensor | None = None
    """With monotonic local attention: the number of target pieces so far [R], int64."""

    def select(self, rows: Tensor) -> AttentionState:
        """Return the state of `rows` (indices [R'])."""
        return AttentionState(*(_select(values, rows) for values in self))


class DecoderState(NamedTuple):
    """The decoder's state between two target positions."""

    cells: tuple[CellState, ...]
    """State of each layer, the lowest first."""
    attention: AttentionState = AttentionState()

    def select(self, rows: Tensor) -> DecoderState:
        """Return the state of `rows` (indices [R'])."""
        return DecoderState(tuple(state.select(rows) for state in self.cells), self.attention.select(rows))


class DecoderStepOutput(NamedTuple):
    """The result of one decoder step."""

    log_probs: Tensor
    """Log-probabilities of the next piece [R, V], float32."""
    state: DecoderState
    """The state after the step."""
    weights: Tensor | None
    """Attention weights [R, S]; None without attention."""


def _select(values: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if values is None else values.index_select(0, rows)
