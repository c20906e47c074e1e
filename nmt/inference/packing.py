"""Packs the weights of networks for searches on a CPU, in the layout of its kernels and in a given number format.

R rows, B sentences, K rows per sentence, C continuations, I input size, O output size, H hidden size, V vocabulary.

A training step multiplies a weight matrix with thousands of rows, so laying the matrix out for each product costs
little. A search multiplies it with a few hundred rows, many times. So each matrix is laid out once, in one of three
number formats:

    fp32    as trained
    bf16    weights and inputs rounded to 8 significant bits, sums in fp32
    int8    weights in 8-bit integers with a scale for each output, inputs likewise with one scale for all rows (in 7
            bits on processors whose sums of products would overflow)

Everything between the products (gates, softmax, attention) stays in fp32. In fp32 and bf16 a row's result does not
depend on the number of rows. In int8 it does a little, because of the common scale.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.data.special_tokens import EOS
from nmt.device import bf16_kernels, choose_precision, exact_int8
from nmt.errors import UsageError
from nmt.model import Seq2Seq
from nmt.model.cells import LSTM, Cell
from nmt.model.decoder import DecoderOutput
from nmt.model.layers import AttentionalLayer, OutputLayer
from nmt.model.memory import CellState, DecoderState, DecoderStepOutput, Memory
from nmt.search.interface import Continuations, TopKOutput
from nmt.search.top_k import top_k_continuations

ModuleT = TypeVar("ModuleT", bound=nn.Module)

Product = Callable[[Tensor], Tensor]
"""From inputs [..., I] to W x + b [..., O], both float32."""

EXTRA_CONTINUATIONS = 5
"""Continuations beyond the best C whose logits are computed again in float32."""

_TYPICAL_ROWS = 256
"""The layout is optimized for this number of rows; it is correct for any."""


def ready_to_search(network: Seq2Seq, setting: str, device: torch.device) -> Seq2Seq | PackedNetwork:
    """Return the form of a network that is fastest to search.

    Args:
        network: In evaluation mode on `device`; it does not change.
        setting: The value of decoding.precision.
        device: On a CPU the products are packed. On other devices the network itself is returned.

    Raises:
        UsageError: The precision is int8, and there are no kernels for it.
    """
    precision = choose_precision(setting, device)
    return PackedNetwork(network, precision) if device.type == "cpu" else network


class PackedNetwork:
    """A network for searches with packed products; everything else is computed in float32."""

    def __init__(self, network: Seq2Seq, precision: str) -> None:
        """Pack the decoder and the output layer of `network`, which does not change.

        Args:
            network: In evaluation mode, on the CPU.
            precision: "fp32", "bf16" or "int8".

        Raises:
            UsageError: This build of torch has no 8-bit kernels.
        """
        self._output = PackedOutput(network.output, precision)
        # Rounding errors of states accumulate over positions: a decoder in bf16 changed one translation in sixty. The
        # output layer alone, which is most of the work, changed one in a thousand.
        decoder = _packed(network.decoder, "int8" if precision == "int8" else "fp32")
        self._network = _with_children(network, decoder=decoder, output=self._output)

    def encode(self, source: Tensor, lengths: Tensor) -> Memory:
        """Encode `source` [B, S] of `lengths` [B]."""
        return self._network.encode(source, lengths)

    def init_state(self, memory: Memory) -> DecoderState:
        """Return the decoder's initial state."""
        return self._network.init_state(memory)

    def step(self, ids: Tensor, state: DecoderState, memory: Memory) -> DecoderStepOutput:
        """Feed one piece to each row: ids [R]."""
        return self._network.step(ids, state, memory)

    def step_top_k(
        self, ids: Tensor, state: DecoderState, memory: Memory, totals: Tensor, count: int
    ) -> TopKOutput[DecoderState]:
        """Feed one piece to each row, and return the best continuations of each sentence."""
        states, state, _ = self.attentional_states(ids.unsqueeze(1), state, memory)
        return self._output.step_top_k(states.squeeze(1), state, totals, count)

    def attentional_states(self, inputs: Tensor, state: DecoderState, memory: Memory) -> DecoderOutput:
        """Run the decoder on `inputs` [R, 1]; see `Seq2Seq.attentional_states`."""
        return self._network.attentional_states(inputs, state, memory)


class PackedLinear(nn.Module):
    """W x + b with W packed."""

    def __init__(self, weight: Tensor, bias: Tensor | None, precision: str) -> None:
        super().__init__()
        self._product = pack(weight, bias, precision)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return W x + b [..., O], float32, of `inputs` [..., I]."""
        return self._product(inputs)


class PackedLSTM(Cell):
    """One step of an LSTM as one product: all gates of [x; h], with the three sigmoid gates next to each other."""

    # If x is a concatenation of several inputs, each is padded to the width of all, so that they can be added.

    def __init__(self, layer: LSTM, precision: str) -> None:
        super().__init__()
        self.hidden_size = layer.hidden_size
        self._input_size = layer.input_size
        order = torch.cat([torch.arange(self.hidden_size) + gate * self.hidden_size for gate in (0, 1, 3, 2)])  # [4H]
        weight = torch.cat([layer.weight_ih_l0, layer.weight_hh_l0], dim=1)[order]  # [4H, I + H]
        self._gates = pack(weight, (layer.bias_ih_l0 + layer.bias_hh_l0)[order], precision)

    def input_gates(self, inputs: Tensor, *, start: int = 0) -> Tensor:
        """Return the inputs in their columns; they are multiplied together with the hidden state."""
        rest = self._input_size - start - inputs.shape[-1]
        return inputs if rest == start == 0 else F.pad(inputs, (start, rest))

    def step(self, gates: Tensor, state: CellState, recurrent_mask: Tensor | None) -> CellState:
        gates = self._gates(torch.cat([gates, state.hidden], dim=1))
        sigmoids = torch.sigmoid(gates[:, : 3 * self.hidden_size])
        into, forget, out = sigmoids.chunk(3, dim=1)
        cell = torch.addcmul(forget * state.cell, into, torch.tanh(gates[:, 3 * self.hidden_size :]))
        return CellState(out * torch.tanh(cell), cell)


class PackedAttentionalLayer(nn.Module):
    """The product that makes the attentional state, packed."""

    def __init__(self, layer: AttentionalLayer, precision: str) -> None:
        super().__init__()
        self._kind = layer.kind
        self._product = pack(layer.weight, layer.bias, precision)

    def forward(self, context: Tensor | None, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Return the attentional states [..., O]; see `AttentionalLayer`."""
        parts = [hidden, embedded] if self._kind == "deep" else [hidden]
        combined = self._product(torch.cat(parts if context is None else [context, *parts], dim=-1))  # [..., O]
        return combined if self._kind == "linear" else torch.tanh(combined)


class PackedOutput(nn.Module):
    """The output layer with its matrix packed."""

    def __init__(self, layer: OutputLayer, precision: str) -> None:
        super().__init__()
        self._weight, self._bias = layer.joint_weight().detach(), layer.bias.detach()
        self._product = pack(self._weight, self._bias, precision)
        self._rounded = precision != "fp32"

    def forward(self, states: Tensor) -> Tensor:
        """Return the log-probabilities [..., V], float32, of `states` [..., O]."""
        return torch.log_softmax(self._product(states), dim=-1)

    def step_top_k(self, states: Tensor, state: DecoderState, totals: Tensor, count: int) -> TopKOutput[DecoderState]:
        """Return the best continuations of each sentence from the attentional states [R, O] of its rows.

        With rounded products, the logits of a few more continuations than C are computed again in float32, so that
        rounding does not decide between pieces of similar probability.
        """
        logits = self._product(states)  # [R, V]
        log_probs = torch.log_softmax(logits, dim=-1)  # [R, V]
        if not self._rounded:
            return TopKOutput(top_k_continuations(log_probs, totals, count), log_probs[:, EOS], state)
        approximate = top_k_continuations(log_probs, totals, count + EXTRA_CONTINUATIONS)
        row = approximate.rows + torch.arange(len(totals)).unsqueeze(1) * totals.shape[1]  # [B, C + 5]
        exact = (self._weight[approximate.pieces] * states[row]).sum(-1) + self._bias[approximate.pieces]  # [B, C + 5]
        error = exact - logits[row, approximate.pieces]  # [B, C + 5]
        # The growth [R] of the softmax denominator with the exact logits.
        growth = torch.zeros(len(states)).index_add_(
            0, row.flatten(), (approximate.log_probs.exp() * torch.expm1(error)).flatten()
        )
        normalizer = torch.log1p(growth.clamp_min(-0.999))  # [R]
        log_prob = approximate.log_probs + error - normalizer[row]  # [B, C + 5]
        order = (log_prob + totals.gather(1, approximate.rows)).argsort(dim=1, descending=True)[:, :count]  # [B, C]
        best = Continuations(*(each.gather(1, order) for each in (log_prob, approximate.rows, approximate.pieces)))
        return TopKOutput(best, log_probs[:, EOS] - normalizer, state)


def pack(weight: Tensor, bias: Tensor | None, precision: str) -> Product:
    """Return the product with `weight` [O, I] and `bias` [O] in the number format `precision`.

    Raises:
        UsageError: int8, and this build of torch has no 8-bit kernels.
    """
    weight = weight.detach().float()
    bias = None if bias is None else bias.detach().float()
    if precision == "int8":
        return _eight_bit(weight, bias)
    if precision == "bf16" and bf16_kernels():
        offset = None if bias is None else bias.bfloat16()
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.bfloat16(), _TYPICAL_ROWS)
        linear = torch.ops.mkldnn._linear_pointwise
        return lambda inputs: linear(inputs.bfloat16(), packed, offset, "none", [], "").float()
    if precision == "bf16":  # without kernels: the same rounding, and products in float32
        product = _packed_fp32(weight.bfloat16().float(), bias)
        return lambda inputs: product(inputs.bfloat16().float())
    return _packed_fp32(weight, bias)


def _packed_fp32(weight: Tensor, bias: Tensor | None) -> Product:
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return lambda inputs: F.linear(inputs.float(), weight, bias)
    packed = torch.ops.mkldnn._reorder_linear_weight(weight, _TYPICAL_ROWS)
    linear = torch.ops.mkldnn._linear_pointwise
    return lambda inputs: linear(inputs.float(), packed, bias, "none", [], "")


def _eight_bit(weight: Tensor, bias: Tensor | None) -> Product:
    engines = torch.backends.quantized.supported_engines
    engine = next((name for name in ("x86", "fbgemm", "onednn", "qnnpack") if name in engines), None)
    if engine is None:
        raise UsageError("precision int8: this build of torch has no 8-bit kernels. Use bf16 or fp32.")
    torch.backends.quantized.engine = engine
    scales = weight.abs().amax(dim=1).clamp_min(1e-8).double() / 127
    zeros = torch.zeros(len(weight), dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch recommends another interface, which has no kernels.
        integers = torch.quantize_per_channel(weight, scales, zeros, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(integers, bias)
    seven_bits = not exact_int8()  # with 7-bit inputs no sum of two products overflows 16 bits
    return lambda inputs: torch.ops.quantized.linear_dynamic(inputs.float(), packed, seven_bits)


def _packed(module: nn.Module, precision: str) -> nn.Module:
    """Return a copy of `module` whose linear layers, LSTMs and attentional layers are packed."""
    if isinstance(module, LSTM):
        return PackedLSTM(module, precision)
    if isinstance(module, AttentionalLayer) and module.gate is None:
        return PackedAttentionalLayer(module, precision)
    if isinstance(module, nn.Linear) and module.out_features > 1:
        return PackedLinear(module.weight, module.bias, precision)
    return _with_children(module, **{name: _packed(child, precision) for name, child in module.named_children()})


def _with_children(module: ModuleT, **children: nn.Module) -> ModuleT:
    """Return a copy of `module` that shares its parameters, with `children` as its submodules of these names."""
    clone = copy.copy(module)
    clone._modules = {**module._modules, **children}
    return clone
