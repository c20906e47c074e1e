"""The encoder: source pieces to memory states.   B batch, S source length, M memory size, L layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.dropout import Dropout
from nmt.model.embeddings import Embeddings
from nmt.model.recurrent import RecurrentLayer


class Encoder(nn.Module):
    """A deep LSTM, bidirectional at every layer or not at all."""

    def __init__(
        self,
        *,
        embeddings: Embeddings,
        embedding_size: int,
        hidden_size: int,
        layers: int,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.output_size = hidden_size * (2 if bidirectional else 1)
        sizes = [embedding_size] + [self.output_size] * (layers - 1)
        self.layers = nn.ModuleList(
            RecurrentLayer(input_size=size, hidden_size=hidden_size, bidirectional=bidirectional) for size in sizes
        )
        self.dropout = Dropout(dropout)

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Encode `source` [B, S] (padded ids) of `lengths` [B].

        Returns:
            The memory states [B, S, M] and the last state of each layer [L, B, M].
        """
        states = self.embeddings(source)
        finals = []
        for layer in self.layers:
            states, final = layer(states, lengths)
            states = self.dropout(states)
            finals.append(final)
        return states, torch.stack(finals)
