"""Recurrent layers over padded batches.   B batch, S length, I input size, H hidden size, D directions.

Each direction of each layer runs over the whole padded batch: packed sequences would miss the fast kernels. Padding
never leaks: it stands to the right, where a rightward layer has finished, and the leftward direction reads each row
reversed within its own length.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.cells import Carried, Cell, MemoryCell, make_cell
from nmt.model.dropout import Dropout


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
    """One recurrent layer over a padded batch: left to right, right to left, or both."""

    def __init__(
        self,
        *,
        cell: str,
        input_size: int,
        hidden_size: int,
        rightward: bool,
        leftward: bool,
        recurrent_dropout: float,
        final_cells: bool,
    ) -> None:
        """Makes the cells of each direction.

        Args:
            cell: Its kind; see `make_cell`.
            input_size: Features of the inputs.
            hidden_size: Units of each direction.
            rightward: Whether it reads from left to right.
            leftward: Whether it reads from right to left.
            recurrent_dropout: Chance that the gates do not see a unit of the state.
            final_cells: Whether the memory cells of last states are wanted too; else they are zeros.
        """
        super().__init__()
        self.final_cells = final_cells
        self.rightward = make_cell(cell, input_size=input_size, hidden_size=hidden_size) if rightward else None
        self.leftward = make_cell(cell, input_size=input_size, hidden_size=hidden_size) if leftward else None
        self.recurrent_dropout = Dropout(recurrent_dropout)

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Carried]:
        """Read `inputs` [B, S, I] of `lengths` [B].

        Returns:
            The outputs [B, S, D * H] and each row's last state, of [B, D * H] each, D being 1 or 2 directions.
        """
        results = []
        if self.rightward is not None:
            results.append(self._read(self.rightward, inputs, lengths))
        if self.leftward is not None:
            reverse = reversal_index(lengths, inputs.shape[1])
            outputs, final = self._read(self.leftward, take_positions(inputs, reverse), lengths)
            results.append((take_positions(outputs, reverse), final))
        if len(results) == 1:
            return results[0]
        (right, right_final), (left, left_final) = results
        final = Carried(*(torch.cat(both, dim=-1) for both in zip(right_final, left_final, strict=True)))
        return torch.cat([right, left], dim=-1), final

    def _read(self, cell: Cell, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Carried]:
        """Run `cell` over `inputs` [B, S, I] from zeros; return outputs [B, S, H] and the state at each row's end."""
        memory = inputs.new_zeros(len(inputs), cell.hidden_size)
        kept = self.recurrent_dropout.mask(inputs, (len(inputs), cell.hidden_size))
        if self.final_cells and isinstance(cell, MemoryCell):
            outputs, memory = cell.read(inputs, lengths, kept)
        else:
            outputs, _ = cell.run(inputs, Carried(memory, memory), kept)
        return outputs, Carried(take_positions(outputs, (lengths - 1).unsqueeze(1)).squeeze(1), memory)
