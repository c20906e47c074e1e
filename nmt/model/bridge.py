"""The bridge: the decoder's first state from what the encoder saw.

B batch, M memory size, L layers, H hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.memory import Memory, State


class Bridge(nn.Module):
    """Initial hidden states of the decoder; cells start at zero.

    `kind` is "zero", "last" (the encoder's last states, layer by layer), "mean" (of the memory states, for every
    layer), or a tanh layer over either: "learned_last" (of the top layer), "learned_mean" (Sennrich et al. 2017).
    """

    def __init__(self, *, kind: str, memory_size: int, hidden_size: int, layers: int) -> None:
        super().__init__()
        self.kind = kind
        self.hidden_size = hidden_size
        self.layers = layers
        self.projection = nn.Linear(memory_size, layers * hidden_size) if kind.startswith("learned_") else None

    def forward(self, memory: Memory) -> State:
        """Return the state [L, B, H] that decoding starts from."""
        batch = memory.states.shape[0]
        zeros = memory.states.new_zeros(self.layers, batch, self.hidden_size)
        if self.kind == "zero":
            return State(zeros, zeros)
        if self.kind == "last":
            return State(torch.stack(memory.final), zeros)
        summary = memory.final[-1] if self.kind == "learned_last" else _mean(memory)
        if self.projection is None:
            return State(summary.unsqueeze(0).expand(self.layers, -1, -1), zeros)
        hidden = torch.tanh(self.projection(summary)).view(batch, self.layers, self.hidden_size)
        return State(hidden.transpose(0, 1).contiguous(), zeros)


def _mean(memory: Memory) -> Tensor:
    real = memory.mask.unsqueeze(-1).to(memory.states.dtype)
    return (memory.states * real).sum(1) / real.sum(1)
