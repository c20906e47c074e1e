"""What the encoder hands to the decoder.   B batch, S source length, M memory size, A key size, L layers."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from nmt.model.cells import CellState


class Memory(NamedTuple):
    """The encoded source sentences. Nothing about a sentence is kept anywhere else."""

    states: Tensor
    """Encoder outputs [B, S, M]."""
    keys: Tensor
    """The outputs as attention compares them [B, S, A], with heads [B, N, S, A/N]; for the dot score the same tensor as
    `states`."""
    mask: Tensor
    """True at real positions [B, S]."""
    final: tuple[CellState, ...]
    """Last state of each layer, both directions side by side, of [B, D * H] each: D directions of H units. The memory
    cells are zeros unless the bridge hands them on."""
    values: Tensor | None = None
    """What attention sums where heads project the outputs [B, N, S, M/N]; None: `states` themselves."""
    embeddings: Tensor | None = None
    """Source embeddings [B, S, E], for the lexical model; None without."""

    def select(self, rows: Tensor) -> Memory:
        """Return the memory of the sentences `rows` (indices [B'])."""
        states = self.states.index_select(0, rows)
        return Memory(
            states,
            states if self.keys is self.states else self.keys.index_select(0, rows),
            self.mask.index_select(0, rows),
            tuple(CellState(*(part.index_select(0, rows) for part in last)) for last in self.final),
            _select(self.values, rows),
            _select(self.embeddings, rows),
        )


class State(NamedTuple):
    """The decoder's recurrent state. Fields are None where the configuration does not need them."""

    hidden: Tensor
    """[L, R, H]"""
    cell: Tensor
    """[L, R, H]; zeros where cells have no memory."""
    feed: Tensor | None = None
    """With input feeding: the last attentional state [R, O]."""
    coverage: Tensor | None = None
    """With coverage: the sum of the attention weights so far [R, S], float32."""
    position: Tensor | None = None
    """With a window around the target's position: the number of pieces so far [R], int64."""

    def select(self, rows: Tensor) -> State:
        """Return the state of `rows` (indices [R'])."""
        return State(
            self.hidden.index_select(1, rows),
            self.cell.index_select(1, rows),
            _select(self.feed, rows),
            _select(self.coverage, rows),
            _select(self.position, rows),
        )


def _select(values: Tensor | None, rows: Tensor) -> Tensor | None:
    return None if values is None else values.index_select(0, rows)


class DecoderStepOutput(NamedTuple):
    """What one decoder step gives."""

    log_probs: Tensor
    """Log-probabilities of the next piece [R, V], float32."""
    state: State
    """The state after the step."""
    weights: Tensor | None
    """Attention weights [R, S]; None without attention."""
