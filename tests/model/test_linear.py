"""Products of many positions, in few shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from nmt.device import plans_shapes_slowly
from nmt.model.layers import Linear, fill, linear, round_up
from nmt.training.fused_loss import chunk_rows, fused_loss
from nmt.training.fused_r_drop import r_drop_loss
from nmt.training.log_probs import target_log_probs

PROCESSOR = torch.device("cpu")


def test_counts_are_rounded_up_to_eight_steps_between_powers_of_two() -> None:
    assert [round_up(count) for count in (0, 1, 7, 15, 16, 17, 31, 33, 78, 1000, 2184, 4096)] == [
        0, 1, 7, 15, 16, 18, 32, 36, 80, 1024, 2304, 4096,
    ]  # fmt: skip
    for count in range(1, 5000):
        assert count <= round_up(count) <= count * 9 / 8
    assert len({round_up(count) for count in range(1024, 2048)}) == 9


@pytest.fixture
def amx(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that says it has AMX."""
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: True)


@pytest.mark.usefixtures("amx")
def test_only_bf16_on_processors_with_amx_is_rounded(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plans_shapes_slowly(PROCESSOR, torch.bfloat16)
    assert not plans_shapes_slowly(PROCESSOR, torch.float32)
    assert not plans_shapes_slowly(torch.device("cuda"), torch.bfloat16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert not plans_shapes_slowly(PROCESSOR, torch.bfloat16)


def test_filling_adds_zeros_behind() -> None:
    values = torch.ones(2, 3, 4)
    assert fill(values, 3) is values
    filled = fill(values, 5)
    assert filled.shape == (2, 5, 4)
    torch.testing.assert_close(filled[:, :3], values)
    assert not filled[:, 3:].any()


@pytest.mark.usefixtures("amx")
@pytest.mark.parametrize("shape", [(7, 5), (3, 11, 5), (1, 1, 5), (0, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_products_and_gradients_are_those_of_torch(shape: tuple[int, ...], bias: bool) -> None:
    torch.manual_seed(0)
    ours = Linear(5, 6, bias=bias)
    theirs = nn.Linear(5, 6, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    for autocast in (False, True):
        found, expected = [], []
        for module, values in ((ours, found), (theirs, expected)):
            inputs = torch.randn(*shape, generator=torch.manual_seed(1)).requires_grad_()
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                outputs = module(inputs)
            values += [outputs, *torch.autograd.grad(outputs.float().pow(2).sum(), [inputs, *module.parameters()])]
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == other.dtype
            torch.testing.assert_close(one, other, rtol=2e-2 if autocast else 1e-6, atol=1e-2 if autocast else 1e-6)


@pytest.mark.usefixtures("amx")
def test_products_in_bf16_have_rounded_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def product(inputs: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        seen.append(len(inputs))
        return inputs @ weight.t()

    monkeypatch.setattr(F, "linear", product)
    weight = torch.randn(3, 4, dtype=torch.bfloat16)
    assert linear(torch.randn(5, 13, 4, dtype=torch.bfloat16), weight).shape == (5, 13, 3)
    assert seen == [72]


@pytest.mark.usefixtures("amx")
def test_chunks_are_even_and_rounded_where_shapes_matter() -> None:
    assert chunk_rows(2146, limit=1000, device=PROCESSOR, dtype=torch.float32) == 716
    assert chunk_rows(2146, limit=1000, device=PROCESSOR, dtype=torch.bfloat16) == 768
    assert chunk_rows(999, limit=1000, device=PROCESSOR, dtype=torch.float32) == 999
    assert chunk_rows(5, limit=0, device=PROCESSOR, dtype=torch.float32) == 1
    assert chunk_rows(0, limit=1000, device=PROCESSOR, dtype=torch.bfloat16) == 1


@pytest.mark.parametrize("positions", [0, 1, 100, 101, 150])
@pytest.mark.parametrize("loss", ["fused", "r_drop", "log_probs"])
def test_rows_that_fill_a_chunk_change_no_loss(positions: int, loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of 8, the last one filled, and in one chunk that nothing is added to."""
    torch.manual_seed(0)
    states = torch.randn(2 if loss == "r_drop" else 1, positions, 16)
    weight, bias = torch.randn(37, 16) / 4, torch.randn(37)
    targets = torch.randint(0, 37, (positions,))

    def run(rows: int) -> list[torch.Tensor]:
        module = {"fused": "fused_loss", "r_drop": "fused_r_drop"}.get(loss, loss)
        monkeypatch.setattr(f"nmt.training.{module}.chunk_rows", lambda count, **_: rows)
        leaves = [tensor.clone().requires_grad_() for tensor in (states, weight, bias)]
        if loss == "fused":
            sums = fused_loss(leaves[0][0], *leaves[1:], targets, smoothing=0.1, dtype=torch.float32)
            value, others = sums.loss, [sums.negative_log_likelihood]
        elif loss == "r_drop":
            parts = r_drop_loss(leaves[0], *leaves[1:], targets, smoothing=0.1, alpha=3.0, dtype=torch.float32)
            value, others = parts.loss, [parts.negative_log_likelihood, parts.divergence]
        else:
            each = target_log_probs(leaves[0][0], *leaves[1:], targets, dtype=torch.float32)
            value, others = (each * torch.arange(positions)).sum(), [each]
        return [value, *others, *torch.autograd.grad(value, leaves)]

    for found, expected in zip(run(8), run(max(1, positions)), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
