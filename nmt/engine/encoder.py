"""The encoder: source pieces to memory states. The equations are those of `nmt.model.encoder`.

B sentences, S source length, E embedding size, I input features, H hidden size, D directions, G gate features,
M memory size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from nmt.arrays import Array, namespace
from nmt.engine.memory import UnitState
from nmt.engine.units import RecurrentUnit, joint_activation, make_unit
from nmt.engine.weights import Weights

if TYPE_CHECKING:
    from nmt.config.schema import ModelConfig


class EmbeddingTable:
    """The embeddings of one side."""

    def __init__(self, table: Array, *, scale: float) -> None:
        """Take the table [V, E]."""
        self.table = table
        self._scale = scale

    def __call__(self, ids: Array) -> Array:
        """Return the embeddings [..., E] of `ids` [...]."""
        xp = namespace(self.table)
        flat = xp.take(self.table, xp.reshape(ids, (-1,)), axis=0)  # [T, E]
        flat = flat * self._scale if self._scale != 1 else flat
        return xp.reshape(flat, (*ids.shape, -1))


class EncodedSource(NamedTuple):
    """The encoded source."""

    states: Array
    """Outputs of the top layer [B, S, M]."""
    final: tuple[UnitState, ...]
    """Final state of each layer [B, D * H]."""
    embeddings: Array
    """Inputs of the first layer [B, S, E], in the order of the source."""


class InferenceEncoder:
    """A deep recurrent network over the source."""

    def __init__(self, weights: Weights, config: ModelConfig, *, embeddings: EmbeddingTable) -> None:
        """Lay out the parameters; see `nmt.model.encoder` for the options."""
        options = config.encoder
        self._embeddings = embeddings
        self._residual_from = options.residual_from
        self._read_reversed = options.reversed
        both_layers = (options.bidirectional_layers or options.layers) if options.bidirectional else 0
        self._layers = []
        size = config.embedding_size
        for level in range(options.layers):
            both = level < both_layers
            backward = options.alternating and level % 2 == 1
            names = ("forward", "backward") if both else ("backward",) if backward else ("forward",)
            units = [
                make_unit(
                    weights,
                    f"encoder.layers.{level}.{name}_cell.",
                    kind=options.cell,
                    input_size=size,
                    hidden_size=options.hidden_size,
                    reads_all=True,
                )
                for name in names
            ]
            self._layers.append(
                SourceLayer(
                    units,
                    backward=[name == "backward" for name in names],
                    hidden_size=options.hidden_size,
                    has_cell=options.cell.endswith("lstm"),
                    final_cells=config.decoder.bridge == "last_with_cells",
                )
            )
            size = options.hidden_size * len(names)
        self.output_size = size

    def __call__(self, source: Array, lengths: Array) -> EncodedSource:
        """Encode `source` [B, S] (padded ids, each row ending with EOS) of `lengths` [B]."""
        # Positions come first, so that the sentences of one position are adjacent.
        embedded = self._embeddings(source.T)  # [S, B, E]
        order = Reversal(lengths, len(embedded))
        # EOS and padding keep their positions.
        source_order = Reversal(lengths - 1, len(embedded)) if self._read_reversed else None
        states = embedded if source_order is None else source_order(embedded)
        finals = []
        for level, layer in enumerate(self._layers, start=1):
            outputs, final = layer(states, lengths, order)  # [S, B, D * H]
            if self._residual_from is not None and level >= self._residual_from:
                outputs += states
            states = outputs
            finals.append(final)
        if source_order is not None:
            states = source_order(states)
        return EncodedSource(_sentences_first(states), tuple(finals), _sentences_first(embedded))


def _sentences_first(values: Array) -> Array:
    """Return `values` [S, B, I] as [B, S, I], contiguous."""
    xp = namespace(values)
    swapped = xp.permute_dims(values, (1, 0, 2))
    copy = xp.empty(swapped.shape, dtype=values.dtype, device=values.device)
    copy[...] = swapped
    return copy


class Reversal:
    """Reverses each sentence of a batch within its length, and keeps padding in its place."""

    def __init__(self, lengths: Array, width: int) -> None:
        """Take the lengths [B], and S."""
        xp = namespace(lengths)
        self._is_flip = bool(xp.all(lengths == width))
        if not self._is_flip:
            positions = xp.arange(width, device=lengths.device)[:, None]  # [S, 1]
            self._index = xp.where(positions < lengths, lengths - 1 - positions, positions)  # [S, B]
            self._columns = xp.arange(len(lengths), device=lengths.device)  # [B]

    def __call__(self, values: Array) -> Array:
        """Return `values` [S, B, ...] in the other order."""
        if self._is_flip:
            return namespace(values).flip(values, axis=0)
        return values[self._index, self._columns]


class SourceLayer:
    """One recurrent layer over a padded batch: left to right, right to left, or both."""

    def __init__(
        self,
        units: list[RecurrentUnit],
        *,
        backward: list[bool],
        hidden_size: int,
        has_cell: bool,
        final_cells: bool,
    ) -> None:
        """Take a unit for each direction.

        Args:
            units: D units of the same kind.
            backward: Which of them read from right to left.
            hidden_size: H.
            has_cell: Whether the units have memory cells.
            final_cells: Whether the final memory cells are needed.
        """
        self._units = units
        self._backward = backward
        self._hidden_size = hidden_size
        self._has_cell = has_cell
        self._final_cells = final_cells and has_cell
        self._activation = joint_activation(units)

    def __call__(self, inputs: Array, lengths: Array, order: Reversal) -> tuple[Array, UnitState]:
        """Read `inputs` [S, B, I] of `lengths` [B], which `order` reverses.

        Returns:
            The outputs [S, B, D * H], and the final state of each sentence [B, D * H].
        """
        xp = namespace(inputs)
        sentences = inputs.shape[1]
        outputs, cells = self._read(self._gates(inputs, order), sentences)  # [S, D, B, H] each
        last, columns = lengths - 1, xp.arange(sentences, device=lengths.device)  # [B] each
        final = [
            None if values is None else xp.reshape(values[last, :, columns], (sentences, -1))  # [B, D * H]
            for values in (outputs, cells)
        ]
        directions = [
            order(outputs[:, index]) if backward else outputs[:, index] for index, backward in enumerate(self._backward)
        ]  # D x [S, B, H]
        joined = directions[0] if len(directions) == 1 else xp.concat(directions, axis=2)
        return joined, UnitState(*final)

    def _gates(self, inputs: Array, order: Reversal) -> Array:
        """Return the products of the inputs [S, D, B, G], in the order in which each direction reads."""
        xp = namespace(inputs)
        flat = xp.reshape(inputs, (-1, inputs.shape[2]))  # [S * B, I]
        projected = [xp.reshape(unit.inputs(flat), (*inputs.shape[:2], -1)) for unit in self._units]  # [S, B, G]
        pairs = zip(projected, self._backward, strict=True)
        return xp.stack([order(gates) if backward else gates for gates, backward in pairs], axis=1)

    def _read(self, gates: Array, sentences: int) -> tuple[Array, Array | None]:
        """Return the hidden states [S, D, B, H], and the memory cells [S, D, B, H] if they are needed."""
        xp = namespace(gates)
        width, directions = gates.shape[:2]
        kind = {"dtype": gates.dtype, "device": gates.device}
        shape = (directions, sentences, self._hidden_size)
        outputs = xp.empty((width, *shape), **kind)
        cells = xp.empty((width, *shape), **kind) if self._final_cells else None
        recurrent = xp.empty((directions, sentences, self._units[0].recurrent.output_size), **kind)  # [D, B, G]
        state = UnitState(xp.zeros(shape, **kind), xp.zeros(shape, **kind) if self._has_cell else None)
        for position in range(width):
            for index, unit in enumerate(self._units):
                unit.recurrent(state.hidden[index], out=recurrent[index])
            state = self._activation(gates[position], recurrent, state)
            outputs[position] = state.hidden
            if cells is not None:
                cells[position] = state.cell
        return outputs, cells
