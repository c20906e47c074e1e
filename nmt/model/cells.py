"""Recurrent layers in one direction, in two ways of running them.   B batch, T length, I input size, H hidden size.

`run` reads whole sequences. For the RNN, the GRU and the LSTM that is one fused call of torch. The layer-normalised
LSTM has no fused kernel, and none has one for dropout inside the recurrence; there the inputs of all positions are
projected in one product, and only the recurrent part runs position by position.

`project` and `advance` are the two halves of one position, for decoders whose next input depends on what attention
found at the last one.

`read` is `run` over padded rows, and finds the memory cell that each had at its own end.

Every cell takes and gives a hidden state and a memory cell [B, H]; those without a memory cell hand it through.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.model.linear import linear

GATE_SATURATION = 1e3
"""What opens a gate fully, or shuts it, whatever else its input is: the sigmoid is 1, or 0, from some 100 on."""


class CellState(NamedTuple):
    """What one layer carries from position to position."""

    hidden: Tensor
    """[B, H]"""
    cell: Tensor
    """[B, H]; of a cell without memory: as it was given."""


class Cell(nn.Module):
    """What all recurrent cells can do."""

    hidden_size: int

    @abstractmethod
    def project(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        """Return the gates' input part W x + b [..., G] of `inputs` [..., I'].

        Inputs may come in two parts: features from 0 on, with the bias, and those from `start` on, without.
        The sum is the projection of both side by side.
        """

    @abstractmethod
    def advance(self, projected: Tensor, before: CellState, kept: Tensor | None) -> CellState:
        """Go one position on.

        Args:
            projected: The input part of the gates [B, G], from `project`.
            before: The state at the last position.
            kept: Dropout mask [B, H] on the hidden state that the gates see (Gal & Ghahramani 2016), the same one at
                every position; None: no dropout.
        """

    def run(self, inputs: Tensor, before: CellState, kept: Tensor | None) -> tuple[Tensor, CellState]:
        """Read `inputs` [B, T, I]; return the outputs [B, T, H] and the state after the last position."""
        outputs = []
        for projected in self.project(inputs).unbind(1):
            before = self.advance(projected, before, kept)
            outputs.append(before.hidden)
        return torch.stack(outputs, dim=1), before


class GatedCell(Cell):
    """A recurrent cell with a memory that outputs do not show."""

    def read(self, inputs: Tensor, lengths: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read rows of `lengths` [B] from zeros.

        Args:
            inputs: [B, T, I], rows padded to the right.
            lengths: Positions of each row.
            kept: As of `advance`.

        Returns:
            The outputs [B, T, H], and the memory cells [B, H] after each row's own last position.
        """
        zeros = inputs.new_zeros(len(inputs), self.hidden_size)
        before, outputs = CellState(zeros, zeros), []
        for projected, ended in zip(self.project(inputs).unbind(1), _ended(inputs, lengths).unbind(1), strict=True):
            after = self.advance(projected, before, kept)
            outputs.append(after.hidden)
            before = after._replace(cell=torch.where(ended, before.cell, after.cell))
        return torch.stack(outputs, dim=1), before.cell


def _ended(inputs: Tensor, lengths: Tensor) -> Tensor:
    """True [B, T, 1] where rows of `lengths` are over."""
    positions = torch.arange(inputs.shape[1], device=inputs.device)
    return (positions >= lengths.unsqueeze(1)).unsqueeze(2)


def _columns(weight: Tensor, bias: Tensor, inputs: Tensor, start: int) -> Tensor:
    """Multiply `inputs` with their columns of `weight`; the part that begins at 0 brings the bias."""
    return linear(inputs, weight[:, start : start + inputs.shape[-1]], None if start else bias)


def _seen(before: CellState, kept: Tensor | None) -> Tensor:
    return before.hidden if kept is None else before.hidden * kept


class RNN(nn.RNN, Cell):
    """h' = tanh(W x + b + U h + d) (Elman 1990). Fused, unless the state has dropout."""

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def project(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return _columns(self.weight_ih_l0, self.bias_ih_l0, inputs, start)

    def advance(self, projected: Tensor, before: CellState, kept: Tensor | None) -> CellState:
        recurrent = F.linear(_seen(before, kept), self.weight_hh_l0, self.bias_hh_l0)
        return CellState(torch.tanh(projected + recurrent), before.cell)

    def run(self, inputs: Tensor, before: CellState, kept: Tensor | None) -> tuple[Tensor, CellState]:
        if kept is not None:
            return Cell.run(self, inputs, before, kept)
        outputs, hidden = self(inputs, before.hidden.unsqueeze(0).to(inputs.dtype))
        return outputs, CellState(hidden.squeeze(0), before.cell)


class GRU(nn.GRU, Cell):
    """The gated recurrent unit, as torch and cuDNN compute it. Fused, unless the state has dropout.

    r = sigmoid(W_r x + b_r + U_r h + d_r)          z = sigmoid(W_z x + b_z + U_z h + d_z)
    n = tanh(W_n x + b_n + r * (U_n h + d_n))       h' = (1 - z) * n + z * h

    Cho et al. (2014) reset before the product, U_n (r * h), which no fused kernel does; the two are about as good.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def project(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return _columns(self.weight_ih_l0, self.bias_ih_l0, inputs, start)

    def advance(self, projected: Tensor, before: CellState, kept: Tensor | None) -> CellState:
        recurrent = F.linear(_seen(before, kept), self.weight_hh_l0, self.bias_hh_l0)
        size = 2 * self.hidden_size
        reset, update = torch.sigmoid(projected[:, :size] + recurrent[:, :size]).chunk(2, dim=1)
        new = torch.tanh(projected[:, size:] + reset * recurrent[:, size:])
        return CellState(new + update * (before.hidden - new), before.cell)

    def run(self, inputs: Tensor, before: CellState, kept: Tensor | None) -> tuple[Tensor, CellState]:
        if kept is not None:
            return Cell.run(self, inputs, before, kept)
        outputs, hidden = self(inputs, before.hidden.unsqueeze(0).to(inputs.dtype))
        return outputs, CellState(hidden.squeeze(0), before.cell)


class LSTM(nn.LSTM, GatedCell):
    """Long short-term memory with forget gate (Hochreiter & Schmidhuber 1997, Gers et al. 2000).

    i, f, o = sigmoid(W x + b + U h + d)        g = tanh(W_g x + b_g + U_g h + d_g)
    c' = f * c + i * g                          h' = o * tanh(c')

    Fused, unless the state has dropout.
    """

    weight_ih_l0: Tensor
    weight_hh_l0: Tensor
    bias_ih_l0: Tensor
    bias_hh_l0: Tensor

    def __init__(self, *, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)

    def project(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return _columns(self.weight_ih_l0, self.bias_ih_l0, inputs, start)

    def advance(self, projected: Tensor, before: CellState, kept: Tensor | None) -> CellState:
        gates = projected + F.linear(_seen(before, kept), self.weight_hh_l0, self.bias_hh_l0)
        first, forget, new, last = gates.chunk(4, dim=1)
        cell = torch.sigmoid(forget) * before.cell + torch.sigmoid(first) * torch.tanh(new)
        return CellState(torch.sigmoid(last) * torch.tanh(cell), cell)

    def run(self, inputs: Tensor, before: CellState, kept: Tensor | None) -> tuple[Tensor, CellState]:
        if kept is not None:
            return Cell.run(self, inputs, before, kept)
        hidden, cell = before.hidden.unsqueeze(0).to(inputs.dtype), before.cell.unsqueeze(0).to(inputs.dtype)
        outputs, (hidden, cell) = self(inputs, (hidden, cell))
        return outputs, CellState(hidden.squeeze(0), cell.squeeze(0))

    def read(self, inputs: Tensor, lengths: Tensor, kept: Tensor | None) -> tuple[Tensor, Tensor]:
        if kept is not None:
            return GatedCell.read(self, inputs, lengths, kept)
        if inputs.is_cuda:
            return self.read_packed(inputs, lengths)
        # The fused call knows no lengths. One more feature says that a row is over, and holds the gates: nothing comes
        # in, all is kept, so that the cell at the end of the padding is that of the row's own end.
        hold = self.weight_ih_l0.new_tensor([-GATE_SATURATION, GATE_SATURATION, 0.0, 0.0]).repeat_interleave(
            self.hidden_size
        )
        weights = torch.cat([self.weight_ih_l0, hold.unsqueeze(1)], dim=1)
        zeros = inputs.new_zeros(1, len(inputs), self.hidden_size)
        outputs, _, cell = torch.lstm(
            torch.cat([inputs, _ended(inputs, lengths).to(inputs.dtype)], dim=2),
            (zeros, zeros),
            (weights, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0),
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )
        return outputs, cell.squeeze(0)

    def read_packed(self, inputs: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Do as `read`, with zeros in the padding of the outputs.

        Suits cuDNN, which takes lengths, and weights in one piece only; on processors nothing about it is fused.
        """
        packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
        outputs, (_, cell) = self(packed)
        padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=inputs.shape[1])
        return padded, cell.squeeze(0)


class LayerNormLSTM(GatedCell):
    """An LSTM with each gate normalised on its own, and the memory cell where it is read (RNMT+, Chen et al. 2018).

    With N(v) = (v - mean(v)) / sqrt(var(v) + 1e-5) over the H features of one gate, gains a and biases b:

    i, f, o = sigmoid(a * N(W x + U h) + b)     g = tanh(a_g * N(W_g x + U_g h) + b_g)
    c' = f * c + i * g                          h' = o * tanh(a_c * N(c') + b_c)

    The norm of the cell is that of Ba et al. (2016), who norm W x and U h apart, and all four gates together.
    Never fused: the input products of all positions are one, the rest runs position by position.
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

    def project(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        return linear(inputs, self.weight_ih[:, start : start + inputs.shape[-1]])

    def advance(self, projected: Tensor, before: CellState, kept: Tensor | None) -> CellState:
        gates = projected + F.linear(_seen(before, kept), self.weight_hh)
        normal = F.layer_norm(gates.view(-1, 4, self.hidden_size), (self.hidden_size,)).flatten(1)
        first, forget, new, last = torch.addcmul(self.gate_bias, normal, self.gate_gain).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * before.cell + torch.sigmoid(first) * torch.tanh(new)
        shown = F.layer_norm(cell, (self.hidden_size,), self.cell_gain, self.cell_bias)
        return CellState(torch.sigmoid(last) * torch.tanh(shown), cell)


def make_cell(kind: str, *, input_size: int, hidden_size: int) -> Cell:
    """Return a cell of `kind`: "rnn", "gru", "lstm" or "layer_norm_lstm"."""
    kinds: dict[str, type[Cell]] = {"rnn": RNN, "gru": GRU, "lstm": LSTM, "layer_norm_lstm": LayerNormLSTM}
    cell: Cell = kinds[kind](input_size=input_size, hidden_size=hidden_size)
    return cell
