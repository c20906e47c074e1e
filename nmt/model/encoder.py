"""The encoder: source pieces to memory states.   B batch, S source length, E embedding size, M memory size."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from nmt.model.cells import CellState
from nmt.model.dropout import Dropout
from nmt.model.layers import Embeddings, RecurrentLayer, reversal_index, take_positions


class EncoderOutput(NamedTuple):
    """What became of the source."""

    states: Tensor
    """Outputs of the top layer [B, S, M], each at the place of its piece."""
    final: tuple[CellState, ...]
    """The last state of each layer, of [B, D * H] each."""
    embeddings: Tensor
    """What the first layer read [B, S, E], each at the place of its piece."""


class Encoder(nn.Module):
    """A deep recurrent network.

    Directions: the first `bidirectional_layers` read both ways and put the two outputs side by side; the others read
    one way, left to right. With `alternating` every second layer of all that read one way goes right to left, so that
    each reads from where the one below it ended (Zhou et al. 2016).
    Residual connections: from layer `residual_from` on, counted from 1, x_l = layer_l(x_(l-1)) + x_(l-1) (Wu et al.
    2016, section 3.1); the dropout before a layer is not on the sum's way.
    Reversed: the sentence is read from its end, with EOS still last (Sutskever et al. 2014).
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
            turned = alternating and level % 2 == 1
            self.layers.append(
                RecurrentLayer(
                    cell=cell,
                    input_size=size,
                    hidden_size=hidden_size,
                    rightward=both or not turned,
                    leftward=both or turned,
                    recurrent_dropout=recurrent_dropout,
                    final_cells=final_cells,
                )
            )
            size = hidden_size * (2 if both else 1)
        self.output_size = size
        self.dropout = Dropout(dropout, variational=variational)

    def forward(self, source: Tensor, lengths: Tensor) -> EncoderOutput:
        """Encode `source` [B, S] (padded ids, each row ending with EOS) of `lengths` [B]."""
        embedded = self.embeddings(source)
        # The end mark and the padding stay where they are.
        order = reversal_index(lengths - 1, source.shape[1]) if self.read_reversed else None
        states = embedded if order is None else take_positions(embedded, order)
        finals = []
        for level, layer in enumerate(self.layers, start=1):
            outputs, final = layer(self.dropout(states) if level > 1 else states, lengths)
            states = outputs + states if self.residual_from is not None and level >= self.residual_from else outputs
            finals.append(final)
        states = self.dropout(states)
        return EncoderOutput(states if order is None else take_positions(states, order), tuple(finals), embedded)
