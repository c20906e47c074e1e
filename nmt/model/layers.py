"""Layers: embeddings, recurrent layers, the bridge, the attentional layer, the lexical model, the output layer.

B sentences, T positions, E embedding size, H hidden size, M memory size, O output size, V vocabulary, N heads.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.model.cells import Cell, CellState, GatedCell, make_cell
from nmt.model.dropout import Dropout
from nmt.model.linear import Linear, linear
from nmt.model.memory import Memory, State

PAD = 0


class Embeddings(nn.Module):
    """A table of piece vectors with dropout of features and of whole pieces."""

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
        """Look up `ids` [B, S] (or [B]) and return vectors [B, S, E] (or [B, E])."""
        vectors: Tensor = self.dropout(self.word_dropout(self.table(ids) * self.scale))
        return vectors


def split_heads(features: Tensor, heads: int) -> Tensor:
    """Give each head its share of `features` [B, L, A]: [B, N, L, A/N], laid out head by head."""
    sentences, length, size = features.shape
    return features.view(sentences, length, heads, size // heads).transpose(1, 2).contiguous()


def join_heads(rows: Tensor, heads: int) -> Tensor:
    """Put the features of the heads [R, L, A/N] side by side again: [B, L, A]."""
    _, length, size = rows.shape
    return rows.view(-1, heads, length, size).transpose(1, 2).reshape(-1, length, heads * size)


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

    def forward(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, CellState]:
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
        final = CellState(*(torch.cat(both, dim=-1) for both in zip(right_final, left_final, strict=True)))
        return torch.cat([right, left], dim=-1), final

    def _read(self, cell: Cell, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, CellState]:
        """Run `cell` over `inputs` [B, S, I] from zeros; return outputs [B, S, H] and the state at each row's end."""
        memory = inputs.new_zeros(len(inputs), cell.hidden_size)
        kept = self.recurrent_dropout.mask(inputs, (len(inputs), cell.hidden_size))
        if self.final_cells and isinstance(cell, GatedCell):
            outputs, memory = cell.read(inputs, lengths, kept)
        else:
            outputs, _ = cell.run(inputs, CellState(memory, memory), kept)
        return outputs, CellState(take_positions(outputs, (lengths - 1).unsqueeze(1)).squeeze(1), memory)


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


class AttentionalLayer(nn.Module):
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
