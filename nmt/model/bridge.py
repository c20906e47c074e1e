"""The bridge: the decoder's first state from what the encoder saw.

B batch, M memory size, L layers, H hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.linear import Linear
from nmt.model.memory import Memory, State


class Bridge(nn.Module):
    """The decoder's first states, layer by layer.

    `kind` is "zero", "last" (the encoder's last hidden states), "last_with_cells" (its memory cells too: Sutskever et
    al. 2014, Luong et al. 2015), "mean" (of the memory states, for every layer), or a tanh layer over either:
    "learned_last" (of the top layer), "learned_mean" (Sennrich et al. 2017). All but one start with empty cells.
    """

    def __init__(self, *, kind: str, memory_size: int, hidden_size: int, layers: int) -> None:
        super().__init__()
        self.kind = kind
        self.hidden_size = hidden_size
        self.layers = layers
        self.projection = Linear(memory_size, layers * hidden_size) if kind.startswith("learned_") else None

    def forward(self, memory: Memory) -> State:
        """Return the state [L, B, H] that decoding starts from."""
        batch = memory.states.shape[0]
        zeros = memory.states.new_zeros(self.layers, batch, self.hidden_size)
        if self.kind == "zero":
            return State(zeros, zeros)
        if self.kind in ("last", "last_with_cells"):
            hidden = torch.stack([last.hidden for last in memory.final])
            cells = torch.stack([last.cell for last in memory.final])
            return State(hidden, cells if self.kind == "last_with_cells" else zeros)
        summary = memory.final[-1].hidden if self.kind == "learned_last" else _mean(memory)
        if self.projection is None:
            return State(summary.unsqueeze(0).expand(self.layers, -1, -1), zeros)
        hidden = torch.tanh(self.projection(summary)).view(batch, self.layers, self.hidden_size)
        return State(hidden.transpose(0, 1).contiguous(), zeros)


def _mean(memory: Memory) -> Tensor:
    real = memory.mask.unsqueeze(-1).to(memory.states.dtype)
    return (memory.states * real).sum(1) / real.sum(1)
