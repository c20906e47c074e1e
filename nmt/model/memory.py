"""What the encoder hands to the decoder.   B batch, S source length, M memory size, A key size, L layers."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Memory(NamedTuple):
    """The encoded source sentences. Nothing about a sentence is kept anywhere else."""

    states: Tensor
    """Encoder outputs [B, S, M]."""
    keys: Tensor
    """The outputs as attention compares them [B, S, A]; for the dot score the same tensor as `states`."""
    mask: Tensor
    """True at real positions [B, S]."""
    final: Tensor
    """Last state of each layer, both directions side by side [L, B, M]."""

    def select(self, rows: Tensor) -> Memory:
        """Return the memory of the sentences `rows` (indices [B'])."""
        states = self.states.index_select(0, rows)
        keys = states if self.keys is self.states else self.keys.index_select(0, rows)
        return Memory(states, keys, self.mask.index_select(0, rows), self.final.index_select(1, rows))


class State(NamedTuple):
    """The decoder's recurrent state."""

    hidden: Tensor
    """[L, R, H]"""
    cell: Tensor
    """[L, R, H]"""

    def select(self, rows: Tensor) -> State:
        """Return the state of `rows` (indices [R'])."""
        return State(self.hidden.index_select(1, rows), self.cell.index_select(1, rows))


class StepOutput(NamedTuple):
    """What one decoder step gives."""

    log_probs: Tensor
    """Log-probabilities of the next piece [R, V], float32."""
    state: State
    """The state after the step."""
    weights: Tensor | None
    """Attention weights [R, S]; None without attention."""
