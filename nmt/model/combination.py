"""From context and state to what the output layer reads.

R rows, T positions, M context size, H hidden size, E embedding size, O output size. Below, c is the context, h the
top layer's state, e the embedding of the piece that the decoder was fed.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nmt.model.linear import Linear, linear


class Combination(nn.Module):
    """The attentional state s, of one of three kinds.

    attentional: s = tanh(W_c c + W_h h), Luong et al. 2015, eq. 5.
    deep: s = tanh(W_c c + W_h h + W_e e + b), Bahdanau et al. 2015, appendix A.2.2, with tanh in place of maxout, as
    in Nematus (Sennrich et al. 2017).
    linear: s = W_c c + W_h h: the context goes to the softmax.

    Without attention the context's part is missing. With a gate z = sigmoid(Z [c; h; e] + y), W_c c becomes
    z * W_c c, and the rest r becomes (1 - z) * r: the gate on both sides of Tu et al. 2017, here where context
    and state are combined rather than inside the decoder's recurrence, and so with the new state instead of the last.
    """

    def __init__(
        self, *, kind: str, context_size: int, hidden_size: int, embedding_size: int, output_size: int, gated: bool
    ) -> None:
        super().__init__()
        self.kind = kind
        self.context_size = context_size
        read = context_size + hidden_size + (embedding_size if kind == "deep" else 0)
        self.weight = nn.Parameter(torch.empty(output_size, read))
        self.bias = nn.Parameter(torch.zeros(output_size)) if kind == "deep" else None
        self.gate = Linear(context_size + hidden_size + embedding_size, output_size) if gated else None

    def forward(self, context: Tensor | None, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Return s [..., O] of `context` [..., M], `hidden` [..., H] and `embedded` [..., E]."""
        rest = [hidden, embedded] if self.kind == "deep" else [hidden]
        if context is None or self.gate is None:
            combined = linear(_beside(rest if context is None else [context, *rest]), self.weight, self.bias)
        else:
            gate = torch.sigmoid(self.gate(torch.cat([context, hidden, embedded], dim=-1)))
            ours = linear(_beside(rest), self.weight[:, self.context_size :], self.bias)
            combined = ours + gate * (linear(context, self.weight[:, : self.context_size]) - ours)
        return combined if self.kind == "linear" else torch.tanh(combined)


def _beside(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
