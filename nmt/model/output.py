"""The output layer: attentional states to log-probabilities over the vocabulary.

O output size, E embedding size, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class OutputLayer(nn.Module):
    """log softmax(W s + b), where W may be the target embedding table (Press & Wolf 2017).

    With a lexical model, `lexical_size` E > 0, states are [s; l], and the logits W s + U l + b (Nguyen & Chiang
    2018, whose two biases add up to one).
    """

    def __init__(self, *, vocabulary_size: int, size: int, tied_to: nn.Embedding | None, lexical_size: int) -> None:
        super().__init__()
        self.weight = tied_to.weight if tied_to is not None else nn.Parameter(torch.empty(vocabulary_size, size))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.lexical_weight = nn.Parameter(torch.empty(vocabulary_size, lexical_size)) if lexical_size else None

    def joint_weight(self) -> Tensor:
        """Return the matrix that the whole state is multiplied by: W [V, O], or [W, U] [V, O + E]."""
        return self.weight if self.lexical_weight is None else torch.cat([self.weight, self.lexical_weight], dim=1)

    def forward(self, states: Tensor) -> Tensor:
        """Return the log-probabilities [..., V], float32, of `states` [..., O] (or [..., O + E])."""
        if self.lexical_weight is None:
            logits = F.linear(states, self.weight, self.bias)
        else:
            size = self.weight.shape[1]
            # Two products instead of `joint_weight`: a step of the search need not copy both matrices.
            logits = F.linear(states[..., :size], self.weight, self.bias)
            logits = logits + F.linear(states[..., size:], self.lexical_weight)
        return torch.log_softmax(logits, dim=-1, dtype=torch.float32)
