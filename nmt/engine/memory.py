"""The encoded source sentences, and the state that the decoder carries from piece to piece.

B sentences, R rows (K hypotheses of each sentence), S source length, E embedding size, M memory size, A key size,
N heads, H hidden size, O size of the attentional state, V vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

from nmt.arrays import Array, namespace, take_rows

Trace = dict[str, Array]
"""The arrays that a step computes on its way, by name. Recorded on request; see `record`."""


def record(trace: Trace | None, **arrays: Array | None) -> None:
    """Copy arrays into `trace`, because later lines overwrite some of them. None: do nothing."""
    if trace is not None:
        for name, values in arrays.items():
            if values is not None:
                trace[name] = namespace(values).asarray(values, copy=True)


class UnitState(NamedTuple):
    """The state of one recurrent layer."""

    hidden: Array
    """[R, H]"""
    cell: Array | None = None
    """Memory cell [R, H]; None for units without one."""

    def select(self, rows: Array) -> UnitState:
        """Return the state of `rows` (indices [R'])."""
        return UnitState(_take(self.hidden, rows), _take(self.cell, rows))


class SourceMemory(NamedTuple):
    """The encoded source sentences."""

    states: Array
    """Encoder outputs [B, S, M]."""
    keys: Array
    """Attention keys: [B, N, S, A/N], for additive scores [B, S, A]."""
    values: Array
    """Attention values [B, N, S, M/N]."""
    mask: Array
    """True at real positions [B, S]."""
    lengths: Array
    """[B]"""
    final: tuple[UnitState, ...]
    """Final state of each encoder layer, both directions concatenated."""
    embeddings: Array | None = None
    """Source embeddings [B, S, E] for the lexical model; None without one."""

    def select(self, rows: Array) -> SourceMemory:
        """Return the memory of the sentences `rows` (indices [B'])."""
        xp = namespace(self.states)
        states = _take(self.states, rows)  # [B', S, M]
        by_head = xp.expand_dims(states, axis=1)  # [B', 1, S, M]
        return SourceMemory(
            states,
            # With one head, the values and the keys of the dot score are views of the states.
            by_head if self.keys is self.values else _take(self.keys, rows),
            by_head if self.values.shape[1] == 1 else _take(self.values, rows),
            _take(self.mask, rows),
            _take(self.lengths, rows),
            tuple(state.select(rows) for state in self.final),
            _take(self.embeddings, rows),
        )


class InferenceState(NamedTuple):
    """The decoder's state between two pieces. An optional field is None where the configuration does not need it."""

    units: tuple[UnitState, ...]
    """State of each layer, the lowest first."""
    feed: Array | None = None
    """With input feeding: the last attentional state [R, O]."""
    coverage: Array | None = None
    """With coverage: the sum of the attention weights so far [R, S]."""
    position: Array | None = None
    """With monotonic local attention: the number of target pieces so far [R], int64."""

    def select(self, rows: Array) -> InferenceState:
        """Return the state of `rows` (indices [R'])."""
        units = tuple(state.select(rows) for state in self.units)
        return InferenceState(units, *(_take(values, rows) for values in self[1:]))


class InferenceOutput(NamedTuple):
    """The output of one decoder step."""

    log_probs: Array
    """Log-probabilities of the next piece [R, V], float32."""
    state: InferenceState
    """The state after the step."""
    weights: Array | None
    """Attention weights [R, S]; None without attention."""


def _take(values: Array | None, rows: Array) -> Array | None:
    return None if values is None else take_rows(values, rows)
