"""Dropout at its places, the two ways of running a cell, and the weights before training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from model_options import CELLS, LENGTHS, SOURCE, TARGET, make_model, model_options
from naive_model import Moment, transition
from nmt.config.schema import ModelConfig
from nmt.inference.model_file import load_model
from nmt.model import build_model
from nmt.model.cells import Cell, CellState, LayerNormLSTM, make_cell
from nmt.model.layers import Dropout
from tiny_translator import load_training_network, save_tiny_model


def random_cell(kind: str) -> Cell:
    torch.manual_seed(2)
    cell = make_cell(kind, input_size=5, hidden_size=4).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_()
    return cell


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_read_a_sequence_as_their_equations_say(kind: str, dropout: bool) -> None:
    cell = random_cell(kind)
    inputs = torch.randn(3, 6, 5, dtype=torch.float64, requires_grad=True)
    start = torch.randn(2, 3, 4, dtype=torch.float64)
    kept = torch.tensor([[0, 2, 2, 0], [2, 0, 2, 2], [0, 0, 0, 2]], dtype=torch.float64) if dropout else None
    outputs, after = cell.forward_sequence(inputs, CellState(start[0], start[1]), kept)
    for row in range(3):
        moment = Moment(start[0, row], start[1, row])
        for position in range(6):
            mask = None if kept is None else kept[row]
            moment = transition(kind, cell, inputs[row, position], moment, mask)
            torch.testing.assert_close(outputs[row, position], moment.hidden)
        torch.testing.assert_close(after.hidden[row], moment.hidden)
        torch.testing.assert_close(after.cell[row], moment.cell)


@pytest.mark.parametrize("kind", CELLS)
def test_a_cell_gives_the_same_in_one_call_and_position_by_position(kind: str) -> None:
    cell = random_cell(kind)
    inputs = torch.randn(3, 6, 5, dtype=torch.float64)
    start = CellState(*torch.randn(2, 3, 4, dtype=torch.float64))
    together, last = cell.forward_sequence(inputs, start, None)
    now, outputs = start, []
    for vectors in inputs.unbind(1):
        gates = cell.input_gates(vectors[:, :2]) + cell.input_gates(vectors[:, 2:], start=2)
        now = cell.step(gates, now, None)
        outputs.append(now.hidden)
    torch.testing.assert_close(torch.stack(outputs, 1), together)
    torch.testing.assert_close(now, last)
    some = torch.randn_like(together)
    found = torch.autograd.grad((torch.stack(outputs, 1) * some).sum(), list(cell.parameters()))
    for ours, theirs in zip(found, torch.autograd.grad((together * some).sum(), list(cell.parameters())), strict=True):
        torch.testing.assert_close(ours, theirs)


Read = Callable[[Any, Tensor, Tensor], tuple[Tensor, Tensor]]
READ: dict[str, tuple[str, Read]] = {
    "fused": ("lstm", lambda cell, inputs, lengths: cell.forward_padded(inputs, lengths, None)),
    "packed": ("lstm", lambda cell, inputs, lengths: cell.forward_packed(inputs, lengths)),
    "by position": (
        "lstm",
        lambda cell, inputs, lengths: cell.forward_padded(inputs, lengths, torch.ones(4, 4).double()),
    ),
    "layer norm": ("layer_norm_lstm", lambda cell, inputs, lengths: cell.forward_padded(inputs, lengths, None)),
}


@pytest.mark.parametrize(("kind", "read"), READ.values(), ids=READ.keys())
def test_padded_rows_end_with_the_memory_cells_that_they_have_alone(kind: str, read: Read) -> None:
    cell = random_cell(kind)
    inputs = 30 * torch.randn(4, 6, 5, dtype=torch.float64)
    lengths, zeros = torch.tensor([2, 6, 1, 4]), torch.zeros(1, 4, dtype=torch.float64)
    outputs, cells = read(cell, inputs, lengths)
    wanted = torch.zeros((), dtype=torch.float64)
    for row, length in enumerate(lengths.tolist()):
        alone, after = cell.forward_sequence(inputs[row : row + 1, :length], CellState(zeros, zeros), None)
        torch.testing.assert_close(outputs[row, :length], alone[0])
        torch.testing.assert_close(cells[row], after.cell[0])
        wanted = wanted + (row + 1) * after.cell.sum()
    found = (cells.sum(1) * torch.arange(1, 5)).sum()
    weights = list(cell.parameters())
    expected = torch.autograd.grad(wanted, weights, allow_unused=True)
    for ours, theirs in zip(torch.autograd.grad(found, weights, allow_unused=True), expected, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)


def test_variational_dropout_drops_the_same_features_at_every_position() -> None:
    torch.manual_seed(1)
    values = Dropout(0.5, variational=True)(torch.ones(50, 7, 40))
    assert torch.equal(values, values[:, :1].expand(-1, 7, -1))
    assert set(values.unique().tolist()) == {0.0, 2.0}
    assert abs(float((values == 0).double().mean()) - 0.5) < 0.05
    assert not torch.equal(values[0], values[1])


@pytest.mark.parametrize("options", [{}, {"attention.input_feeding": True}, {"attention.placement": "conditional"}])
@pytest.mark.parametrize("kind", CELLS)
def test_recurrent_dropout_keeps_one_mask_for_a_sentence(kind: str, options: dict[str, Any]) -> None:
    """A state that is dropped once is dropped at every position: its column of U never gets a gradient."""
    row = {"encoder.cell": kind, "decoder.cell": kind, "encoder.directions": "one", "dropout": "none", **options}
    model = make_model({**model_options(row), "dropout": {"embedding": 0, "layers": 0, "output": 0, "recurrent": 0.5}})
    one = slice(0, 1)
    plain, _ = model(SOURCE[one], LENGTHS[one], TARGET[one])
    model.train()
    dropped, _ = model(SOURCE[one], LENGTHS[one], TARGET[one])
    assert not torch.allclose(plain, dropped)
    dropped.sum().backward()
    for layer in (model.encoder.layers[0].forward_cell, model.decoder.layers[0]):
        weight = layer.weight_hh if isinstance(layer, LayerNormLSTM) else layer.weight_hh_l0
        unseen = (weight.grad == 0).all(0)
        assert 0 < int(unseen.sum()) < len(unseen), "of 8 units some are dropped and some are not"


def test_every_dropout_is_off_when_the_model_translates() -> None:
    share = dict.fromkeys(("embedding", "layers", "output", "recurrent", "attention", "source_words"), 0.4)
    model = make_model({**model_options({"encoder.directions": "both"}), "dropout": {**share, "variational": True}})
    first, _ = model(SOURCE, LENGTHS, TARGET)
    second, _ = model(SOURCE, LENGTHS, TARGET)
    assert torch.equal(first, second)


@pytest.mark.parametrize("kind", ["uniform", "normal", "xavier"])
@pytest.mark.parametrize("cell", CELLS)
def test_cells_start_with_sensible_weights(cell: str, kind: str) -> None:
    torch.manual_seed(0)
    options = {
        "encoder": {"cell": cell, "hidden_size": 16},
        "decoder": {"cell": cell, "hidden_size": 32},
        "attention": {"placement": "conditional"},
        "initialization": {"kind": kind, "scale": 0.05, "forget_bias": 2.0},
    }
    model = build_model(ModelConfig.model_validate(options), source_size=20, target_size=20)
    cells = [module for module in model.modules() if isinstance(module, Cell)]
    assert len(cells) == 4
    for module in cells:
        size = module.hidden_size
        for name, parameter in module.named_parameters():
            if name.endswith("_gain"):
                assert torch.equal(parameter, torch.ones_like(parameter))
            elif parameter.dim() == 1:
                forgets = name == "gate_bias" or (name == "bias_ih_l0" and cell == "lstm")
                expected = torch.zeros_like(parameter)
                expected[size : 2 * size] = 2.0 if forgets else 0.0
                assert torch.equal(parameter, expected), name
            elif kind != "xavier":
                assert 0.04 < float(parameter.detach().abs().max()) < 0.3
            elif name.startswith("weight_hh"):
                for gate in parameter.split(size):
                    torch.testing.assert_close(gate @ gate.t(), torch.eye(size), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        {"encoder": {"cell": "gru", "hidden_size": 12}, "attention": {"placement": "conditional"}},
        {"decoder": {"cell": "layer_norm_lstm", "hidden_size": 24, "output": "deep"}, "lexical_model": True},
        {"attention": {"input_feeding": True, "context_gate": True, "score": "additive", "coverage": True}},
        {
            "encoder": {"layers": 3, "bidirectional_layers": 1, "residual_from": 3, "hidden_size": 24},
            "attention": {"heads": 2, "scope": "local_p", "score": "general"},
        },
    ],
)
def test_a_model_file_gives_the_same_model_back(tmp_path: Path, options: dict[str, Any]) -> None:
    saved = save_tiny_model(tmp_path / "model.safetensors", **options)
    loaded = load_training_network(load_model(tmp_path / "model.safetensors"))
    with torch.no_grad():
        ours, theirs = (model(SOURCE, LENGTHS, TARGET)[0] for model in (saved, loaded))
    assert torch.equal(ours, theirs)
