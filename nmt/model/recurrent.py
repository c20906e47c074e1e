"""LSTM layers over padded batches.   B batch, S length, I input size, H hidden size.

Each direction of each layer is one fused ``nn.LSTM`` over the whole padded batch: packed sequences would miss the
fast kernels. Padding never leaks: it stands to the right, where a forward LSTM has finished, and the backward
direction reads each row reversed within its own length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def lstm(input_size: int, hidden_size: int) -> nn.LSTM:
    """Return one LSTM layer in one direction (Hochreiter & Schmidhuber 1997, with forget gate)."""
    return nn.LSTM(input_size, hidden_size, batch_first=True)


def run_lstm(layer: nn.LSTM, inputs: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Run `layer` over `inputs` [B, S, I] from `hidden` and `cell` [B, H]; return outputs [B, S, H] and both."""
    outputs, (hidden, cell) = layer(inputs, (hidden.unsqueeze(0).to(inputs.dtype), cell.unsqueeze(0).to(inputs.dtype)))
    return outputs, hidden.squeeze(0), cell.squeeze(0)


def reversal_index(lengths: Tensor, width: int) -> Tensor:
    """Return the positions [B, S] that reverse each row within its own length and leave the padding where it is."""
    positions = torch.arange(width, device=lengths.device).unsqueeze(0)
    ends = lengths.unsqueeze(1)
    return torch.where(positions < ends, ends - 1 - positions, positions)


def take_positions(values: Tensor, index: Tensor) -> Tensor:
    """Return `values` [B, S, H] at the positions `index` [B, S'] of each row: [B, S', H]."""
    batch, width, size = values.shape
    rows = torch.arange(batch, device=values.device).unsqueeze(1) * width
    return values.reshape(batch * width, size).index_select(0, (rows + index).reshape(-1)).view(batch, -1, size)


class RecurrentLayer(nn.Module):
    """One LSTM layer over a padded batch, in one direction or both."""

    def __init__(self, *, input_size: int, hidden_size: int, bidirectional: bool) -> None:
        super().__init__()
        self.rightward = lstm(input_size, hidden_size)
        self.leftward = lstm(input_size, hidden_size) if bidirectional else None

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Read `inputs` [B, S, I] of `lengths` [B].

        Returns:
            The outputs [B, S, D * H] and each row's last state [B, D * H], D being 1 or 2 directions.
        """
        outputs, _ = self.rightward(inputs)
        final = take_positions(outputs, (lengths - 1).unsqueeze(1)).squeeze(1)
        if self.leftward is None:
            return outputs, final
        reverse = reversal_index(lengths, inputs.shape[1])
        reversed_outputs, _ = self.leftward(take_positions(inputs, reverse))
        final_left = take_positions(reversed_outputs, (lengths - 1).unsqueeze(1)).squeeze(1)
        both = torch.cat([outputs, take_positions(reversed_outputs, reverse)], dim=-1)
        return both, torch.cat([final, final_left], dim=-1)
