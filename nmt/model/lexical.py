"""The lexical model: what the attended source words alone say.   B sentences, R rows, T positions, S source length."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.linear import Linear
from nmt.model.memory import Memory


class LexicalModel(nn.Module):
    """Lexical states from attention and source embeddings (Nguyen & Chiang 2018).

    f_t = tanh(sum over s of a_ts * e_s)        l_t = tanh(W f_t) + f_t

    The output layer adds a product of l_t to the logits.
    """

    def __init__(self, *, embedding_size: int) -> None:
        super().__init__()
        self.projection = Linear(embedding_size, embedding_size, bias=False)

    def forward(self, weights: Tensor, memory: Memory) -> Tensor:
        """Return the lexical states [R, T, E] of attention `weights` [R, T, S]."""
        assert memory.embeddings is not None
        sentences, width, size = memory.embeddings.shape
        rows, length, _ = weights.shape
        attended = torch.bmm(weights.to(memory.embeddings.dtype).reshape(sentences, -1, width), memory.embeddings)
        average = torch.tanh(attended.view(rows, length, size))
        return torch.tanh(self.projection(average)) + average
