"""Layers without recurrence: linear, dropout, embeddings, heads, attentional layer, lexical model, output layer.

B sentences, R rows, T positions, S source length, I inputs, E embedding size, H hidden size, M memory size,
O output size, V vocabulary, N heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.data.special_tokens import PAD
from nmt.device import plans_shapes_slowly
from nmt.model.memory import Memory

_LEVELS = 256
"""Dropout probabilities are multiples of one over this."""

# -------------------------------------------------------------------------------------------------------------- linear

# oneDNN, which multiplies bf16 matrices on a CPU, plans a kernel for each new shape of the operands. With AMX, planning
# takes 1 to 30 ms on one core, often longer than the product, and almost every batch has a new number of positions. So
# the number of positions is rounded up, with rows of zeros, to one of eight values between two powers of two. That
# costs at most an eighth more work, and most kernels have been planned before.


def round_up(count: int, *, digits: int = 4) -> int:
    """Round up to a few binary digits. With four: 8, 9, ... 15, 16, 18, ... 30, 32, 36, ..."""
    step = 1 << max(0, count.bit_length() - digits)
    return -(-count // step) * step


def fill(values: Tensor, rows: int) -> Tensor:
    """Append zeros to `values` [..., T, I] until there are `rows` positions: [..., rows, I]."""
    missing = rows - values.shape[-2]
    return F.pad(values, (0, 0, 0, missing)) if missing else values


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return W x + b [..., O], as `torch.nn.functional.linear` does, in few shapes where new shapes are slow.

    Args:
        inputs: x [..., I].
        weight: W [O, I].
        bias: b [O]. None: no bias.
    """
    dtype = torch.bfloat16 if torch.is_autocast_enabled(inputs.device.type) else inputs.dtype
    if not plans_shapes_slowly(inputs.device, dtype):
        return F.linear(inputs, weight, bias)  # [..., O]
    flat = inputs.reshape(-1, inputs.shape[-1])  # [T, I]
    products = F.linear(fill(flat, round_up(len(flat))), weight, bias)  # [T', O], T' >= T
    return products[: len(flat)].view(*inputs.shape[:-1], len(weight))  # [..., O]


class Linear(nn.Linear):
    """`torch.nn.Linear` that calls `linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return W x + b [..., O] of `inputs` [..., I]."""
        return linear(inputs, self.weight, self.bias)


# ------------------------------------------------------------------------------------------------------------- dropout


def keep_mask(shape: torch.Size | tuple[int, ...], probability: float, *, dtype: torch.dtype) -> Tensor:
    """Draw a dropout mask on the CPU: 0 with `probability`, else 1 / (1 - probability).

    torch draws one random number for each feature, which on a CPU takes longer than the layer before it. Here one
    64-bit draw serves eight features, so `probability` is rounded to a multiple of 1/256. The scale is the exact
    inverse of the rounded probability, so the expectation is unchanged (Srivastava et al. 2014).
    """
    count = 1
    for size in shape:
        count *= size
    threshold = min(max(round(probability * _LEVELS), 1), _LEVELS - 1)
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[:count].view(shape) >= threshold
    return kept.to(dtype).mul_(_LEVELS / (_LEVELS - threshold))


class Dropout(nn.Module):
    """Zero features with `probability` in training.

    `per_row` drops whole vectors (the last dimension together). `variational` drops the same features at every
    position of a sequence (the last but one dimension; Gal & Ghahramani 2016).
    """

    def __init__(self, probability: float, *, per_row: bool = False, variational: bool = False) -> None:
        super().__init__()
        self.probability = probability
        self.per_row = per_row
        self.variational = variational

    def forward(self, values: Tensor) -> Tensor:
        """Return `values`, of any shape, with some features (or rows) zeroed and the others scaled up."""
        if not self.training or self.probability == 0.0:
            return values
        if values.device.type != "cpu" and not self.per_row and not self.variational:
            return F.dropout(values, self.probability)
        mask = self.mask(values, values.shape)
        assert mask is not None
        return values * mask

    def mask(self, values: Tensor, shape: tuple[int, ...]) -> Tensor | None:
        """Draw the factors for values of `shape`, with the device and type of `values`.

        Returns:
            A mask that broadcasts to `shape`; None when nothing is dropped.
        """
        if not self.training or self.probability == 0.0:
            return None
        if self.per_row:
            shape = (*shape[:-1], 1)
        if self.variational and len(shape) > 2:
            shape = (*shape[:-2], 1, shape[-1])
        if values.device.type == "cpu":
            return keep_mask(shape, self.probability, dtype=values.dtype)
        return F.dropout(values.new_ones(shape), self.probability)

    def extra_repr(self) -> str:
        return f"{self.probability}, per_row={self.per_row}, variational={self.variational}"


# ---------------------------------------------------------------------------------------------------------- embeddings


class Embeddings(nn.Module):
    """A table of piece embeddings with dropout of features and of whole pieces."""

    def __init__(
        self,
        *,
        vocabulary_size: int,
        size: int,
        scale: float,
        dropout: float,
        variational: bool,
        word_dropout: float,
    ) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary_size, size, padding_idx=PAD)
        self.scale = scale
        self.word_dropout = Dropout(word_dropout, per_row=True)
        self.dropout = Dropout(dropout, variational=variational)

    def forward(self, ids: Tensor) -> Tensor:
        """Look up `ids` [B, S] (or [B]) and return embeddings [B, S, E] (or [B, E])."""
        vectors: Tensor = self.dropout(self.word_dropout(self.table(ids) * self.scale))  # [B, S, E]
        return vectors


# --------------------------------------------------------------------------------------------------------------- heads


def split_heads(features: Tensor, heads: int) -> Tensor:
    """Split the features [B, T, A] among the heads: [B, N, T, A/N], contiguous."""
    sentences, length, size = features.shape
    by_head = features.view(sentences, length, heads, size // heads)  # [B, T, N, A/N]
    return by_head.transpose(1, 2).contiguous()  # [B, N, T, A/N]


def join_heads(rows: Tensor, heads: int) -> Tensor:
    """Concatenate the features of the heads [B * N, T, A/N] at each position: [B, T, A]."""
    _, length, size = rows.shape
    by_head = rows.view(-1, heads, length, size)  # [B, N, T, A/N]
    return by_head.transpose(1, 2).reshape(-1, length, heads * size)  # [B, T, A]


# -------------------------------------------------------------------------------------------- from decoder to logits


class AttentionalLayer(nn.Module):
    """The attentional state s, of one of three kinds.

    attentional: s = tanh(W_c c + W_h h) (Luong et al. 2015, eq. 5).
    deep: s = tanh(W_c c + W_h h + W_e e + b) (Bahdanau et al. 2015, appendix A.2.2, with tanh instead of maxout, as in
    Nematus, Sennrich et al. 2017).
    linear: s = W_c c + W_h h, so that the softmax layer reads the context itself.

    Without attention, the term of the context is missing. With a context gate z = sigmoid(Z [c; h; e] + y), W_c c
    becomes z * W_c c and the other terms r become (1 - z) * r. This is the gate on both sides of Tu et al. 2017, but
    applied to the new decoder state in this layer, not to the last state inside the recurrence.
    """

    def __init__(
        self, *, kind: str, context_size: int, hidden_size: int, embedding_size: int, output_size: int, gated: bool
    ) -> None:
        super().__init__()
        self.kind = kind
        self.context_size = context_size
        input_size = context_size + hidden_size + (embedding_size if kind == "deep" else 0)
        self.weight = nn.Parameter(torch.empty(output_size, input_size))
        self.bias = nn.Parameter(torch.zeros(output_size)) if kind == "deep" else None
        self.gate = Linear(context_size + hidden_size + embedding_size, output_size) if gated else None

    def forward(self, context: Tensor | None, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Return s [..., O] of `context` [..., M], `hidden` [..., H] and `embedded` [..., E]."""
        others = [hidden, embedded] if self.kind == "deep" else [hidden]
        if context is None or self.gate is None:
            inputs = _concatenate(others if context is None else [context, *others])  # [..., M + H (+ E)]
            combined = linear(inputs, self.weight, self.bias)  # [..., O]
        else:
            gate = torch.sigmoid(self.gate(torch.cat([context, hidden, embedded], dim=-1)))  # [..., O]
            of_others = linear(_concatenate(others), self.weight[:, self.context_size :], self.bias)  # [..., O]
            of_context = linear(context, self.weight[:, : self.context_size])  # [..., O]
            # z * W_c c + (1 - z) * r
            combined = of_others + gate * (of_context - of_others)
        return combined if self.kind == "linear" else torch.tanh(combined)


def _concatenate(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)


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
        by_sentence = weights.to(memory.embeddings.dtype).reshape(sentences, -1, width)  # [B, K * T, S]
        attended = torch.bmm(by_sentence, memory.embeddings)  # [B, K * T, E]
        average = torch.tanh(attended.view(rows, length, size))  # [R, T, E]
        return torch.tanh(self.projection(average)) + average


class OutputLayer(nn.Module):
    """log softmax(W s + b), where W may be the target embedding table (Press & Wolf 2017).

    With a lexical model, `lexical_size` E > 0, the input is [s; l] and the logits are W s + U l + b (Nguyen & Chiang
    2018, whose two biases add up to one).
    """

    def __init__(self, *, vocabulary_size: int, size: int, tied_to: nn.Embedding | None, lexical_size: int) -> None:
        super().__init__()
        self.weight = tied_to.weight if tied_to is not None else nn.Parameter(torch.empty(vocabulary_size, size))
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))
        self.lexical_weight = nn.Parameter(torch.empty(vocabulary_size, lexical_size)) if lexical_size else None

    def joint_weight(self) -> Tensor:
        """Return the matrix that multiplies the whole input: W [V, O], or [W, U] [V, O + E]."""
        return self.weight if self.lexical_weight is None else torch.cat([self.weight, self.lexical_weight], dim=1)

    def forward(self, states: Tensor) -> Tensor:
        """Return the log-probabilities [..., V], float32, of `states` [..., O] (or [..., O + E])."""
        if self.lexical_weight is None:
            logits = F.linear(states, self.weight, self.bias)  # [..., V]
        else:
            size = self.weight.shape[1]
            # Two products instead of `joint_weight`, so that a step of the search does not copy both matrices.
            logits = F.linear(states[..., :size], self.weight, self.bias)  # [..., V]
            logits = logits + F.linear(states[..., size:], self.lexical_weight)  # [..., V]
        return torch.log_softmax(logits, dim=-1, dtype=torch.float32)
