"""Recurrent cells: one layer in one direction.   R rows, T length, I input size, H hidden size, G gate features.

A cell runs in three ways:

- `forward_sequence` reads whole sequences. For the RNN, the GRU and the LSTM this is one fused call of torch. The
  layer-normalized LSTM and recurrent dropout have no fused kernel: one product projects the inputs of all positions,
  and only the recurrent part runs position by position.
- `input_gates` and `step` compute one position. A decoder whose next input depends on attention needs them.
- `forward_padded` reads padded rows, and returns the memory cell at the end of each row.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.model.layers import linear
from nmt.model.memory import CellState

GATE_SATURATION = 1e3
"""A gate input of this size opens a gate fully, and its negative shuts it. A sigmoid saturates from about 100."""


class Cell(nn.Module):
    """The interface of all recurrent cells."""

    hidden_size: int

    @abstractmethod
    def input_gates(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        """Return the input part of the gates, W x + b [..., G].

        An input of several parts may come part by part. The sum of the results is the projection of the whole input.

        Args:
            inputs: Part of the input features [..., I'].
            start: First column of W that belongs to `inputs`. Only the part that starts at 0 adds the bias.
        """

    @abstractmethod
    def step(self, gates: Tensor, state: CellState, recurrent_mask: Tensor | None) -> CellState:
        """Compute the state of one position.

        Args:
            gates: The input part of the gates [R, G], from `input_gates`.
            state: The state of the previous position.
            recurrent_mask: Dropout mask [R, H] on the hidden state that the gates read, the same at every position
                (Gal & Ghahramani 2016). None: no dropout.
        """

    def forward_sequence(
        self, inputs: Tensor, state: CellState, recurrent_mask: Tensor | None
    ) -> tuple[Tensor, CellState]:
        """Read `inputs` [R, T, I] from `state`; return the outputs [R, T, H] and the state of the last position."""
        outputs = []
        for gates in self.input_gates(inputs).unbind(1):  # T x [R, G]
            state = self.step(gates, state, recurrent_mask)
            outputs.append(state.hidden)
        return torch.stack(outputs, dim=1), state  # [R, T, H]


class GatedCell(Cell):
    """A recurrent cell with a memory cell beside the hidden state."""

    def forward_padded(self, inputs: Tensor, lengths: Tensor, recurrent_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read padded rows from a zero state.

        Args:
            inputs: [R, T, I], rows padded on the right.
            lengths: Number of real positions of each row [R].
            recurrent_mask: See `step`.

        Returns:
            The outputs [R, T, H], and the memory cell [R, H] at the last real position of each row.
        """
        zeros = inputs.new_zeros(len(inputs), self.hidden_size)  # [R, H]
        state, outputs = CellState(zeros, zeros), []
        padding = _padding(inputs, lengths)  # [R, T, 1]
        for gates, ended in zip(self.input_gates(inputs).unbind(1), padding.unbind(1), strict=True):
            after = self.step(gates, state, recurrent_mask)
            outputs.append(after.hidden)
            # The memory cell of a row that has ended keeps its last value.
            state = after._replace(cell=torch.where(ended, state.cell, after.cell))  # [R, H]
        return torch.stack(outputs, dim=1), state.cell  # [R, T, H], [R, H]


def _padding(inputs: Tensor, lengths: Tensor) -> Tensor:
    """Return True [R, T, 1] at the padding of rows of `lengths` [R]."""
    positions = torch.arange(inputs.shape[1], device=inputs.device)  # [T]
    return (positions >= lengths.unsqueeze(1)).unsqueeze(2)  # [R, T, 1]


def _project(weight: Tensor, bias: Tensor, inputs: Tensor, start: int) -> Tensor:
    """Multiply `inputs` by their columns of `weight`, and add the bias if `start` is 0."""
    columns = weight[:, start : start + inputs.shape[-1]]  # [G, I']
    return linear(inputs, columns, None if start else bias)  # [..., G]


def _masked_hidden(state: CellState, recurrent_mask: Tensor | None) -> Tensor:
    return state.hidden if recurrent_mask is None else state.hidden * recurrent_mask


class RNN(nn.RNN, Cell):
    """h' = tanh(W x + b + U h + d) (Elman 1990). Fused, except with recurrent dropout."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def input_gates(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return _project(self.weight_ih_l0, self.bias_ih_l0, inputs, start)

    def step(self, gates: Tensor, state: CellState, recurrent_mask: Tensor | None) -> CellState:
        recurrent = F.linear(_masked_hidden(state, recurrent_mask), self.weight_hh_l0, self.bias_hh_l0)  # [R, H]
        return CellState(torch.tanh(gates + recurrent), state.cell)

    def forward_sequence(
        self, inputs: Tensor, state: CellState, recurrent_mask: Tensor | None
    ) -> tuple[Tensor, CellState]:
        if recurrent_mask is not None:
            return Cell.forward_sequence(self, inputs, state, recurrent_mask)
        outputs, hidden = self(inputs, state.hidden.unsqueeze(0).to(inputs.dtype))  # [R, T, H], [1, R, H]
        return outputs, CellState(hidden.squeeze(0), state.cell)


class GRU(nn.GRU, Cell):
    """The gated recurrent unit in the variant of torch and cuDNN. Fused, except with recurrent dropout.

    r = sigmoid(W_r x + b_r + U_r h + d_r)          z = sigmoid(W_z x + b_z + U_z h + d_z)
    n = tanh(W_n x + b_n + r * (U_n h + d_n))       h' = (1 - z) * n + z * h

    Cho et al. (2014) apply the reset gate before the product, U_n (r * h). No fused kernel computes that variant, and
    the two are about equally good.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def input_gates(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return _project(self.weight_ih_l0, self.bias_ih_l0, inputs, start)

    def step(self, gates: Tensor, state: CellState, recurrent_mask: Tensor | None) -> CellState:
        recurrent = F.linear(_masked_hidden(state, recurrent_mask), self.weight_hh_l0, self.bias_hh_l0)  # [R, 3 H]
        size = 2 * self.hidden_size
        reset, update = torch.sigmoid(gates[:, :size] + recurrent[:, :size]).chunk(2, dim=1)  # [R, H] each
        new = torch.tanh(gates[:, size:] + reset * recurrent[:, size:])  # [R, H]
        # (1 - z) * n + z * h with one multiplication less.
        return CellState(new + update * (state.hidden - new), state.cell)

    def forward_sequence(
        self, inputs: Tensor, state: CellState, recurrent_mask: Tensor | None
    ) -> tuple[Tensor, CellState]:
        if recurrent_mask is not None:
            return Cell.forward_sequence(self, inputs, state, recurrent_mask)
        outputs, hidden = self(inputs, state.hidden.unsqueeze(0).to(inputs.dtype))  # [R, T, H], [1, R, H]
        return outputs, CellState(hidden.squeeze(0), state.cell)


class LSTM(nn.LSTM, GatedCell):
    """Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    i, f, o = sigmoid(W x + b + U h + d)        g = tanh(W_g x + b_g + U_g h + d_g)
    c' = f * c + i * g                          h' = o * tanh(c')

    Fused, except with recurrent dropout.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def input_gates(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return _project(self.weight_ih_l0, self.bias_ih_l0, inputs, start)

    def step(self, gates: Tensor, state: CellState, recurrent_mask: Tensor | None) -> CellState:
        gates = gates + F.linear(_masked_hidden(state, recurrent_mask), self.weight_hh_l0, self.bias_hh_l0)  # [R, 4 H]
        into, forget, new, out = gates.chunk(4, dim=1)  # [R, H] each
        cell = torch.sigmoid(forget) * state.cell + torch.sigmoid(into) * torch.tanh(new)
        return CellState(torch.sigmoid(out) * torch.tanh(cell), cell)

    def forward_sequence(
        self, inputs: Tensor, state: CellState, recurrent_mask: Tensor | None
    ) -> tuple[Tensor, CellState]:
        if recurrent_mask is not None:
            return Cell.forward_sequence(self, inputs, state, recurrent_mask)
        hidden, cell = (values.unsqueeze(0).to(inputs.dtype) for values in state)  # [1, R, H] each
        outputs, (hidden, cell) = self(inputs, (hidden, cell))  # [R, T, H], [1, R, H] each
        return outputs, CellState(hidden.squeeze(0), cell.squeeze(0))

    def forward_padded(self, inputs: Tensor, lengths: Tensor, recurrent_mask: Tensor | None) -> tuple[Tensor, Tensor]:
        if recurrent_mask is not None:
            return GatedCell.forward_padded(self, inputs, lengths, recurrent_mask)
        if inputs.is_cuda:
            return self.forward_packed(inputs, lengths)
        # The fused call takes no lengths. An additional input feature marks the padding and saturates the gates there:
        # the input gate is shut and the forget gate open, so the memory cell keeps its value to the end of the batch.
        saturation = self.weight_ih_l0.new_tensor([-GATE_SATURATION, GATE_SATURATION, 0.0, 0.0])  # [4]
        column = saturation.repeat_interleave(self.hidden_size).unsqueeze(1)  # [4 H, 1]
        weights = torch.cat([self.weight_ih_l0, column], dim=1)  # [4 H, I + 1]
        zeros = inputs.new_zeros(1, len(inputs), self.hidden_size)  # [1, R, H]
        outputs, _, cell = torch.lstm(
            torch.cat([inputs, _padding(inputs, lengths).to(inputs.dtype)], dim=2),  # [R, T, I + 1]
            (zeros, zeros),
            (weights, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0),
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )
        return outputs, cell.squeeze(0)  # [R, T, H], [R, H]

    def forward_packed(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Compute `forward_padded` with torch's packed sequences; the outputs are zero at padding.

        This is the fast way with cuDNN, which takes lengths but needs its weights in one block. Packed sequences are
        not fused on a CPU.
        """
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, (_, cell) = self(packed)
        padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])  # [R, T, H]
        return padded, cell.squeeze(0)


class LayerNormLSTM(GatedCell):
    """An LSTM with layer normalization of each gate and of the memory cell's output (RNMT+, Chen et al. 2018).

    With N(v) = (v - mean(v)) / sqrt(var(v) + 1e-5) over the H features of one gate, gains a and biases b:

    i, f, o = sigmoid(a * N(W x + U h) + b)     g = tanh(a_g * N(W_g x + U_g h) + b_g)
    c' = f * c + i * g                          h' = o * tanh(a_c * N(c') + b_c)

    The normalization of the cell is that of Ba et al. (2016), who normalize W x and U h separately, and all four gates
    together. There is no fused kernel: the input products of all positions are one, the rest runs step by step.
    """

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.weight_ih = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.empty(4 * hidden_size, hidden_size))
        self.gate_gain = nn.Parameter(torch.ones(4 * hidden_size))
        self.gate_bias = nn.Parameter(torch.zeros(4 * hidden_size))
        self.cell_gain = nn.Parameter(torch.ones(hidden_size))
        self.cell_bias = nn.Parameter(torch.zeros(hidden_size))

    def input_gates(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return linear(inputs, self.weight_ih[:, start : start + inputs.shape[-1]])  # [..., 4 H]

    def step(self, gates: Tensor, state: CellState, recurrent_mask: Tensor | None) -> CellState:
        gates = gates + F.linear(_masked_hidden(state, recurrent_mask), self.weight_hh)  # [R, 4 H]
        by_gate = gates.view(-1, 4, self.hidden_size)  # [R, 4, H]
        normalized = F.layer_norm(by_gate, (self.hidden_size,)).flatten(1)  # [R, 4 H]
        gates = torch.addcmul(self.gate_bias, normalized, self.gate_gain)
        into, forget, new, out = gates.chunk(4, dim=1)  # [R, H] each
        cell = torch.sigmoid(forget) * state.cell + torch.sigmoid(into) * torch.tanh(new)
        normalized_cell = F.layer_norm(cell, (self.hidden_size,), self.cell_gain, self.cell_bias)
        return CellState(torch.sigmoid(out) * torch.tanh(normalized_cell), cell)


def make_cell(kind: str, *, input_size: int, hidden_size: int) -> Cell:
    """Return a cell of `kind`: "rnn", "gru", "lstm" or "layer_norm_lstm"."""
    kinds: dict[str, type[Cell]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM, "layer_norm_lstm": LayerNormLSTM}
    cell: Cell = kinds[kind](input_size=input_size, hidden_size=hidden_size)
    return cell
