"""Recurrent units: RNN, GRU, LSTM, and LSTM with layer normalization. The equations are those of `nmt.model.cells`.

R rows, I input features, H hidden size, G gate features, D directions.

sigmoid(x) = (tanh(x / 2) + 1) / 2, so one tanh computes all gates of an LSTM. The halves are in the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nmt.arrays import Array, namespace
from nmt.engine.memory import UnitState
from nmt.engine.products import MatrixProduct, RowBlock, arrange_rows
from nmt.engine.weights import Reader, Weights

EPSILON = 1e-5
"""Added to the variance in layer normalization."""


class Activation(Protocol):
    """The part of a recurrent unit after its matrix products, for any number of leading dimensions."""

    def __call__(self, gates: Array, recurrent: Array | None, state: UnitState) -> UnitState:
        """Compute the next state.

        Args:
            gates: Products of the inputs [..., R, G].
            recurrent: Products of the hidden state [..., R, G]; overwritten. None: `gates` includes them, and is
                overwritten instead.
            state: The state before [..., R, H].
        """


class RecurrentUnit:
    """One layer in one direction."""

    def __init__(
        self, inputs: MatrixProduct, recurrent: MatrixProduct, joint: MatrixProduct | None, activation: Activation
    ) -> None:
        """Take the products. Those that are not used take no memory.

        Args:
            inputs: Of the inputs, with the bias.
            recurrent: Of the hidden state.
            joint: Of inputs and hidden state together. None: the activation needs them apart.
            activation: Computes the state.
        """
        self.inputs = inputs
        self.recurrent = recurrent
        self.activation = activation
        self._joint = joint

    def step(self, inputs: list[Array], state: UnitState) -> UnitState:
        """Return the state after `inputs` [R, I'] each, which are concatenated."""
        if self._joint is not None:
            return self.activation(self._joint(*inputs, state.hidden), None, state)
        return self.activation(self.inputs(*inputs), self.recurrent(state.hidden), state)


class TanhActivation:
    """h' = tanh(W x + b + U h + d)."""

    def __call__(self, gates: Array, recurrent: Array | None, state: UnitState) -> UnitState:
        xp = namespace(gates)
        summed = gates + recurrent if recurrent is not None else gates
        return UnitState(xp.tanh(summed, out=summed), state.cell)


class GRUActivation:
    """The GRU of torch, with the reset gate after the product. Gates are in the order reset, update, new."""

    def __call__(self, gates: Array, recurrent: Array | None, state: UnitState) -> UnitState:
        assert recurrent is not None
        xp = namespace(gates)
        size = state.hidden.shape[-1]
        sigmoids, new = recurrent[..., : 2 * size], recurrent[..., 2 * size :]  # [R, 2 H], [R, H]
        sigmoids += gates[..., : 2 * size]
        xp.tanh(sigmoids, out=sigmoids)  # 2 sigmoid - 1
        sigmoids += 1
        sigmoids *= 0.5
        new *= sigmoids[..., :size]
        new += gates[..., 2 * size :]
        xp.tanh(new, out=new)
        # (1 - z) * n + z * h with one multiplication less.
        hidden = state.hidden - new  # [R, H]
        hidden *= sigmoids[..., size:]
        hidden += new
        return UnitState(hidden, state.cell)


class LSTMActivation:
    """The LSTM. Gates are in the order input, forget, output, new; the first three are halved."""

    def __call__(self, gates: Array, recurrent: Array | None, state: UnitState) -> UnitState:
        xp = namespace(gates)
        if recurrent is not None:
            recurrent += gates
            gates = recurrent
        return _lstm(xp, xp.tanh(gates, out=gates), state, None)


class LayerNormActivation:
    """The LSTM with normalization of each gate and of the memory cell. Gates are ordered as in `LSTMActivation`."""

    def __init__(self, gate_gain: Array, gate_bias: Array, cell_gain: Array, cell_bias: Array) -> None:
        """Take gains and biases [4 H] and [H], or of several directions [D, 1, 4 H] and [D, 1, H]."""
        self.vectors = (gate_gain, gate_bias, cell_gain, cell_bias)

    def __call__(self, gates: Array, recurrent: Array | None, state: UnitState) -> UnitState:
        xp = namespace(gates)
        if recurrent is not None:
            recurrent += gates
            gates = recurrent
        gate_gain, gate_bias, cell_gain, cell_bias = self.vectors
        by_gate = xp.reshape(gates, (*gates.shape[:-1], 4, state.hidden.shape[-1]))  # [R, 4, H]
        gates = xp.reshape(_normalize(xp, by_gate), gates.shape)  # [R, 4 H]
        gates *= gate_gain
        gates += gate_bias
        return _lstm(xp, xp.tanh(gates, out=gates), state, (cell_gain, cell_bias))


def _lstm(xp: object, gates: Array, state: UnitState, normalization: tuple[Array, Array] | None) -> UnitState:
    """Return the state from tanh of the gates [..., R, 4 H]; overwrites them."""
    assert state.cell is not None
    tanh = xp.tanh  # type: ignore[attr-defined]
    size = state.hidden.shape[-1]
    sigmoids = gates[..., : 3 * size]
    sigmoids += 1  # twice the gates
    into, new = gates[..., :size], gates[..., 3 * size :]
    cell = gates[..., size : 2 * size] * state.cell  # [R, H]
    into *= new
    cell += into
    cell *= 0.5
    if normalization is None:
        hidden = tanh(cell)  # [R, H]
    else:
        hidden = _normalize(xp, cell)
        hidden *= normalization[0]
        hidden += normalization[1]
        tanh(hidden, out=hidden)
    hidden *= gates[..., 2 * size : 3 * size]
    hidden *= 0.5
    return UnitState(hidden, cell)


def _normalize(xp: object, values: Array) -> Array:
    """Return (v - mean) / sqrt(variance + epsilon) over the last axis."""
    centered = values - xp.mean(values, axis=-1, keepdims=True)  # type: ignore[attr-defined]
    variance = xp.mean(centered * centered, axis=-1, keepdims=True)  # type: ignore[attr-defined]
    centered *= 1 / (variance + EPSILON) ** 0.5
    return centered


def make_unit(
    weights: Weights, prefix: str, *, kind: str, input_size: int, hidden_size: int, reads_all: bool = False
) -> RecurrentUnit:
    """Make a unit with the parameters of a cell.

    Args:
        weights: All parameters.
        prefix: The name of the cell with a dot at the end.
        kind: "rnn", "gru", "lstm" or "layer_norm_lstm".
        input_size: I.
        hidden_size: H.
        reads_all: Whether it multiplies the inputs of all positions at once.
    """
    size = hidden_size * {"rnn": 1, "gru": 3, "lstm": 4, "layer_norm_lstm": 4}[kind]  # G
    suffix = "" if kind == "layer_norm_lstm" else "_l0"
    of_inputs = weights.reader(f"{prefix}weight_ih{suffix}", size, input_size)  # [G, I]
    of_hidden = weights.reader(f"{prefix}weight_hh{suffix}", size, hidden_size)  # [G, H]
    names = () if kind == "layer_norm_lstm" else ("ih", "hh")
    biases = [weights.reader(f"{prefix}bias_{name}_l0", size) for name in names]  # [G] each

    def total() -> Array:
        return biases[0]() + biases[1]()

    def product(*matrices: Reader, bias: Callable[[], Array] | None, once: bool = False) -> MatrixProduct:
        return MatrixProduct(weights, *matrices, outputs=size, bias=bias, order=order, once=once)

    order: tuple[RowBlock, ...] = ()
    activation: Activation
    if kind == "gru":
        order = (RowBlock(0, 2 * hidden_size, 0.5), RowBlock(2 * hidden_size, size))
        inputs = product(of_inputs, bias=biases[0], once=reads_all)
        return RecurrentUnit(inputs, product(of_hidden, bias=biases[1]), None, GRUActivation())
    if kind == "layer_norm_lstm":
        order, halved = _lstm_order(hidden_size, factor=1.0), _lstm_order(hidden_size, factor=0.5)
        gate = [arrange_rows(weights.take(f"{prefix}gate_{name}", size), halved) for name in ("gain", "bias")]
        cell = [weights.take(f"{prefix}cell_{name}", hidden_size) for name in ("gain", "bias")]
        activation = LayerNormActivation(*gate, *cell)
    elif kind == "lstm":
        order, activation = _lstm_order(hidden_size, factor=0.5), LSTMActivation()
    else:
        activation = TanhActivation()
    bias = total if biases else None
    return RecurrentUnit(
        product(of_inputs, bias=bias, once=reads_all),
        product(of_hidden, bias=None),
        product(of_inputs, of_hidden, bias=bias),
        activation,
    )


def _lstm_order(size: int, *, factor: float) -> tuple[RowBlock, ...]:
    """Return the order of `LSTMActivation` for gates [4 H] in the order input, forget, new, output.

    Args:
        size: H.
        factor: What the gates but the new one are multiplied with.
    """
    return (
        RowBlock(0, 2 * size, factor),
        RowBlock(3 * size, 4 * size, factor),
        RowBlock(2 * size, 3 * size),
    )


def joint_activation(units: list[RecurrentUnit]) -> Activation:
    """Return one activation for units of the same kind and size, whose arrays are stacked: [D, R, ...]."""
    activations = [unit.activation for unit in units]
    vectors = [each.vectors for each in activations if isinstance(each, LayerNormActivation)]
    if not vectors:
        return activations[0]
    xp = namespace(vectors[0][0])
    stacked = [xp.expand_dims(xp.stack(each), axis=1) for each in zip(*vectors, strict=True)]  # [D, 1, ...]
    return LayerNormActivation(*stacked)
