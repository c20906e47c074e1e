"""The output layer: attentional states to log-probabilities over the vocabulary.   O output size, V vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class OutputLayer(nn.Module):
    """log softmax(W s + b), where W may be the target embedding table (Press & Wolf 2017)."""

    def __init__(self, *, vocabulary_size: int, size: int, tied_to: nn.Embedding | None) -> None:
        super().__init__()
        self.weight = tied_to.weight if tied_to is not None else nn.Parameter(torch.empty(vocabulary_size, size))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, states: Tensor) -> Tensor:
        """Return the log-probabilities [..., V], float32, of `states` [..., O]."""
        return torch.log_softmax(F.linear(states, self.weight, self.bias), dim=-1, dtype=torch.float32)
