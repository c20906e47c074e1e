"""The encoder: source pieces to memory states.

B batch, S source length, E embedding size, H hidden size, D directions, M memory size.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.model.cells import Cell, GatedCell, make_cell
from nmt.model.layers import Dropout, Embeddings
from nmt.model.memory import CellState


class EncoderOutput(NamedTuple):
    """The encoded source."""

    states: Tensor
    """Outputs of the top layer [B, S, M], in the order of the source."""
    final: tuple[CellState, ...]
    """Final state of each layer [B, D * H]."""
    embeddings: Tensor
    """Inputs of the first layer [B, S, E], in the order of the source."""


class Encoder(nn.Module):
    """A deep recurrent network.

    Directions: the first `bidirectional_layers` layers read in both directions and concatenate the two outputs. The
    others read left to right. With `alternating`, every second unidirectional layer reads right to left, so that each
    starts where the layer below ended (Zhou et al. 2016).
    Residual connections: from layer `residual_from` on, counted from 1, x_l = layer_l(x_(l-1)) + x_(l-1) (Wu et al.
    2016, section 3.1). The dropout before a layer does not apply to the residual term.
    Reversed source: the sentence is read from its end, with EOS still last (Sutskever et al. 2014).
    """

    def __init__(
        self,
        *,
        embeddings: Embeddings,
        embedding_size: int,
        cell: str,
        hidden_size: int,
        layers: int,
        bidirectional_layers: int,
        alternating: bool,
        residual_from: int | None,
        read_reversed: bool,
        dropout: float,
        recurrent_dropout: float,
        variational: bool,
        final_cells: bool,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.residual_from = residual_from
        self.read_reversed = read_reversed
        self.layers = nn.ModuleList()
        size = embedding_size
        for level in range(layers):
            both = level < bidirectional_layers
            backward = alternating and level % 2 == 1
            self.layers.append(
                RecurrentLayer(
                    cell=cell,
                    input_size=size,
                    hidden_size=hidden_size,
                    forward_direction=both or not backward,
                    backward_direction=both or backward,
                    recurrent_dropout=recurrent_dropout,
                    final_cells=final_cells,
                )
            )
            size = hidden_size * (2 if both else 1)
        self.output_size = size
        self.dropout = Dropout(dropout, variational=variational)

    def forward(self, source: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode `source` [B, S] (padded ids, each row ending with EOS) of `lengths` [B]."""
        embedded = self.embeddings(source)  # [B, S, E]
        # EOS and padding keep their positions.
        order = reversal_index(lengths - 1, source.shape[1]) if self.read_reversed else None  # [B, S]
        states = embedded if order is None else gather_positions(embedded, order)  # [B, S, E]
        finals = []
        for level, layer in enumerate(self.layers, start=1):
            outputs, final = layer(self.dropout(states) if level > 1 else states, lengths)  # [B, S, D * H]
            states = outputs + states if self.residual_from is not None and level >= self.residual_from else outputs
            finals.append(final)
        states = self.dropout(states)  # [B, S, M]
        return EncoderOutput(states if order is None else gather_positions(states, order), tuple(finals), embedded)


class RecurrentLayer(nn.Module):
    """One recurrent layer over a padded batch: left to right, right to left, or both."""

    def __init__(
        self,
        *,
        cell: str,
        input_size: int,
        hidden_size: int,
        forward_direction: bool,
        backward_direction: bool,
        recurrent_dropout: float,
        final_cells: bool,
    ) -> None:
        """Make a cell for each direction.

        Args:
            cell: Kind of the cells; see `make_cell`.
            input_size: Features of the inputs.
            hidden_size: Units of each direction.
            forward_direction: Read from left to right.
            backward_direction: Read from right to left.
            recurrent_dropout: Dropout probability of the hidden state that the gates read.
            final_cells: Return final memory cells; otherwise they are zeros.
        """
        super().__init__()
        self.final_cells = final_cells
        sizes = {"input_size": input_size, "hidden_size": hidden_size}
        self.forward_cell = make_cell(cell, **sizes) if forward_direction else None
        self.backward_cell = make_cell(cell, **sizes) if backward_direction else None
        self.recurrent_dropout = Dropout(recurrent_dropout)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, CellState]:
        """Read `inputs` [B, S, I] of `lengths` [B].

        Returns:
            The outputs [B, S, D * H] and the final state of each row [B, D * H], with D = 1 or 2 directions.
        """
        results = []
        if self.forward_cell is not None:
            results.append(self._read(self.forward_cell, inputs, lengths))
        if self.backward_cell is not None:
            # The backward direction is the forward one on reversed rows, whose padding stays on the right.
            order = reversal_index(lengths, inputs.shape[1])  # [B, S]
            outputs, final = self._read(self.backward_cell, gather_positions(inputs, order), lengths)
            results.append((gather_positions(outputs, order), final))
        if len(results) == 1:
            return results[0]
        (forward, forward_final), (backward, backward_final) = results
        final = CellState(*(torch.cat(both, dim=-1) for both in zip(forward_final, backward_final, strict=True)))
        return torch.cat([forward, backward], dim=-1), final  # [B, S, 2 H], [B, 2 H]

    def _read(self, cell: Cell, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, CellState]:
        """Run `cell` over `inputs` [B, S, I] from zeros; return outputs [B, S, H] and the final state of each row."""
        final_cell = inputs.new_zeros(len(inputs), cell.hidden_size)  # [B, H]
        mask = self.recurrent_dropout.mask(inputs, (len(inputs), cell.hidden_size))  # [B, H]
        if self.final_cells and isinstance(cell, GatedCell):
            outputs, final_cell = cell.forward_padded(inputs, lengths, mask)
        else:
            outputs, _ = cell.forward_sequence(inputs, CellState(final_cell, final_cell), mask)
        final_hidden = gather_positions(outputs, (lengths - 1).unsqueeze(1)).squeeze(1)  # [B, H]
        return outputs, CellState(final_hidden, final_cell)


def reversal_index(lengths: Tensor, width: int) -> Tensor:
    """Return the positions [B, S] that reverse each row within its `lengths` [B] and keep padding in its place."""
    positions = torch.arange(width, device=lengths.device).unsqueeze(0)  # [1, S]
    ends = lengths.unsqueeze(1)  # [B, 1]
    return torch.where(positions < ends, ends - 1 - positions, positions)  # [B, S]


def gather_positions(values: Tensor, index: Tensor) -> Tensor:
    """Return `values` [B, S, H] at the positions `index` [B, S'] of each row: [B, S', H]."""
    batch, width, size = values.shape
    offsets = torch.arange(batch, device=values.device).unsqueeze(1) * width  # [B, 1]
    rows = (offsets + index).reshape(-1)  # [B * S']
    return values.reshape(batch * width, size).index_select(0, rows).view(batch, -1, size)  # [B, S', H]
