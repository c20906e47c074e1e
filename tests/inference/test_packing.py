"""Networks packed for translation find what the plain ones find."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from covering import Row
from model_options import LENGTHS, PIECES, SOURCE, make_model, make_row, rows
from nmt.device import choose_dtype, exact_int8
from nmt.inference.packing import PackedNetwork, pack
from nmt.model import Seq2Seq
from nmt.search.top_k import as_top_k_model

LARGER = {"embedding_size": 64, "encoder": {"hidden_size": 32}, "decoder": {"hidden_size": 64, "layers": 2}}
BEAM = 3


def walk(model: Seq2Seq | PackedNetwork, steps: int = 4) -> list[Tensor]:
    """The log-probabilities of some steps of three hypotheses for each sentence."""
    with torch.inference_mode():
        memory = model.encode(SOURCE, LENGTHS)
        three = torch.arange(len(SOURCE)).repeat_interleave(BEAM)
        state = model.init_state(memory).select(three)
        ids = (torch.arange(len(three)) * 5) % PIECES
        found = []
        for _ in range(steps):
            output = model.step(ids, state, memory)
            found.append(output.log_probs)
            state, ids = output.state, (ids * 3 + 4) % PIECES
    return found


@pytest.mark.parametrize("row", rows(), ids=lambda row: "")
def test_every_network_can_be_packed(row: Row) -> None:
    model = make_row(row, dtype=torch.float32, spread=0.2)
    for plain, packed in zip(walk(model), walk(PackedNetwork(model, "fp32")), strict=True):
        torch.testing.assert_close(packed, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("row", rows()[::7], ids=lambda row: "")
def test_rounded_networks_are_close(row: Row, precision: str) -> None:
    model = make_row(row, dtype=torch.float32, spread=0.2)
    for plain, packed in zip(walk(model), walk(PackedNetwork(model, precision)), strict=True):
        assert (packed - plain).abs().max() < 0.1


def test_the_network_itself_does_not_change() -> None:
    model = make_model(LARGER, dtype=torch.float32, spread=0.2)
    before = walk(model)
    names = [name for name, _ in model.named_modules()]
    PackedNetwork(model, "int8")
    assert [name for name, _ in model.named_modules()] == names
    assert all(torch.equal(one, other) for one, other in zip(before, walk(model), strict=True))


@pytest.mark.parametrize(("precision", "atol"), [("bf16", 3e-3), ("int8", 2e-2)])
def test_the_best_continuations_are_computed_again_in_float32(precision: str, atol: float) -> None:
    """What rounding did to them is gone; what it did to all others is left in the sum that they are divided by."""
    torch.manual_seed(1)
    model = make_model(LARGER, dtype=torch.float32, spread=0.3)
    packed = PackedNetwork(model, precision)
    states = torch.randn(4 * BEAM, model.output.weight.shape[1]) * 0.5
    totals = -torch.rand(4, BEAM)
    with torch.inference_mode():
        exact = model.output(states).view(4, BEAM, -1)
        memory = model.encode(SOURCE, LENGTHS)
        output = packed._output.step_top_k(states, model.init_state(memory), totals, 5)
    sums = (exact + totals.unsqueeze(2))[:, :, 3:].flatten(1)
    best = output.continuations
    for index in range(4):
        found = best.log_probs[index] + totals[index][best.rows[index]]
        torch.testing.assert_close(found, sums[index].topk(5).values, rtol=0, atol=atol)
        assert found.tolist() == sorted(found.tolist(), reverse=True)
        own = exact[index][best.rows[index], best.pieces[index]]
        torch.testing.assert_close(best.log_probs[index], own, rtol=0, atol=atol)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_row_does_not_depend_on_the_number_of_rows(precision: str) -> None:
    torch.manual_seed(1)
    weight, bias, inputs = torch.randn(301, 72), torch.randn(301), torch.randn(97, 72)
    product = pack(weight, bias, precision)
    every = product(inputs)
    torch.testing.assert_close(
        every, F.linear(inputs, weight, bias), rtol=0.02, atol=0.2 if precision == "bf16" else 1e-4
    )
    for count in (1, 2, 5, 31, 64):
        assert torch.equal(product(inputs[:count]), every[:count])


@pytest.mark.parametrize("exact", [True, False])
def test_no_sum_of_8_bit_products_overflows(exact: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greatest values on both sides are where a processor that adds in 16 bits would go wrong."""
    if exact and not exact_int8():
        pytest.skip("this processor adds up pairs of products in 16 bits")
    monkeypatch.setattr("nmt.inference.packing.exact_int8", lambda: exact)
    weight, inputs = torch.ones(8, 64), torch.ones(4, 64)
    torch.testing.assert_close(pack(weight, None, "int8")(inputs), torch.full((4, 8), 64.0), rtol=0.01, atol=0)


def test_without_bf16_kernels_products_are_rounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nmt.inference.packing.bf16_kernels", lambda: False)
    torch.manual_seed(1)
    weight, bias, inputs = torch.randn(31, 72), torch.randn(31), torch.randn(9, 72)
    rounded = F.linear(inputs.bfloat16().double(), weight.bfloat16().double(), bias.double())
    torch.testing.assert_close(pack(weight, bias, "bf16")(inputs).double(), rounded, rtol=1e-5, atol=1e-5)


def test_without_bf16_kernels_training_computes_in_fp32(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("nmt.device.bf16_kernels", lambda: False)
    assert choose_dtype("bf16", torch.device("cpu")) == torch.float32
    assert "Computing in fp32" in caplog.text


def test_a_search_of_a_packed_network_computes_the_top_k_alone() -> None:
    model = make_model(LARGER, dtype=torch.float32, spread=0.3)
    ids, totals = torch.full((4,), 2), torch.zeros(4, 1)
    with torch.inference_mode():
        found = []
        for one in (model, PackedNetwork(model, "fp32")):
            memory = one.encode(SOURCE, LENGTHS)
            found.append(as_top_k_model(one).step_top_k(ids, one.init_state(memory), memory, totals, 4))
    plain, packed = (output.continuations for output in found)
    assert torch.equal(plain.pieces, packed.pieces)
    torch.testing.assert_close(plain.log_probs, packed.log_probs, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[0].eos, found[1].eos, rtol=1e-4, atol=1e-4)
