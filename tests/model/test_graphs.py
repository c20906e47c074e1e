"""A decoder that trains with graphs of one position has the losses and gradients of one without."""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from covering import Row
from imitated_graphs import ComputedAgain, Recorder
from model_options import LENGTHS, SOURCE, TARGET, make_row, rows
from nmt.config.conflicts.training import warnings
from nmt.config.schema import TrainingConfig
from nmt.data.batching import make_batch
from nmt.model import Seq2Seq
from nmt.model.graphs import PositionGraphs, leaves, rebuild
from nmt.training.learner import Learner
from tiny_translator import tiny_config

ONE_BY_ONE = [
    row
    for row in rows()
    if (row["attention.input_feeding"] or row["attention.placement"] == "conditional") and row["dropout"] != "attention"
]


def name_of(row: Row) -> str:
    return f"{row['decoder.cell']}-{row['attention.score']}-{row['attention.scope']}-{row['dropout']}"


def gradients(model: Seq2Seq, sentences: list[int], width: int, *, seed: int = 5) -> dict[str, Tensor]:
    """The gradients of a loss over outputs, weights and the last state, with dropout."""
    model.train()
    model.zero_grad()
    torch.manual_seed(seed)
    chosen = torch.tensor(sentences)
    source, lengths = SOURCE[chosen, : int(LENGTHS[chosen].max())], LENGTHS[chosen]
    memory = model.encode(source, lengths)
    found = model.attentional_states(TARGET[chosen, :width], model.init_state(memory), memory)
    loss = torch.zeros(())
    for number, values in enumerate(leaves(found), 1):
        if values.is_floating_point():
            loss = loss + (values * torch.linspace(-number, number, values.shape[-1])).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    grads = {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}
    return {"loss": loss.detach(), "random numbers": torch.rand(3), **grads}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("row", ONE_BY_ONE[::2], ids=name_of)
def test_gradients_are_those_without_graphs(row: Row) -> None:
    model = make_row(row, dtype=torch.float64, spread=0.3)
    recorder = Recorder()
    batches: list[tuple[list[int], int]] = [([0, 1, 2, 3], 5), ([2, 1], 3), ([0, 1, 2, 3], 2), ([3], 1), ([1, 2], 5)]
    expected = [gradients(model, *batch) for batch in batches]
    model.decoder.graphs = PositionGraphs(recorder, eager_batches=0)
    for _ in range(2):
        for batch, each in zip(batches, expected, strict=True):
            assert_close(gradients(model, *batch), each)
    assert len(recorder.recordings) == 6  # forward and backward, for one, two and four sentences
    assert recorder.replays


@pytest.mark.parametrize("row", ONE_BY_ONE[::7], ids=name_of)
def test_a_position_reads_nothing_on_the_host(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor on the device "meta" has no values: to read one, or to mix it with a tensor of the host, is an error."""
    model = make_row(row, dtype=torch.float32)
    with torch.no_grad():
        memory = model.encode(SOURCE, LENGTHS)
        state = model.init_state(memory)
    memory, state = (rebuild(each, (values.to("meta") for values in leaves(each))) for each in (memory, state))
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)  # "meta" has no autocast
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr("nmt.model.graphs.are_close", lambda *_: True)  # this one reads values, outside of a recording
    decoder = model.decoder.to("meta")
    for values in leaves(memory):
        values.requires_grad_(values.is_floating_point())
    recorder = Recorder()
    decoder.graphs = PositionGraphs(recorder, eager_batches=0)
    states, _, weights = decoder(TARGET.to("meta"), state, memory)
    (states.sum() + weights.sum()).backward()
    assert recorder.recordings[1].replays == 1 + TARGET.shape[1]
    assert all(parameter.grad.is_meta for parameter in decoder.layers.parameters())


FED = {"attention.input_feeding": True, "attention.coverage": True, "dropout": "plain", "decoder.layers": 2}


def make_fed(dtype: torch.dtype = torch.float32, **changes: Any) -> Seq2Seq:
    return make_row({**rows()[0], **FED, **changes}, dtype=dtype, spread=0.3)


def test_forward_passes_may_come_before_the_backward_passes() -> None:
    """A graph of the forward pass alone would have overwritten what the first backward pass needs."""
    model = make_fed(torch.float64)
    model.train()
    found = []
    for graphs in (None, PositionGraphs(Recorder(), eager_batches=0)):
        model.decoder.graphs = graphs
        model.zero_grad()
        torch.manual_seed(2)
        losses = [
            model(SOURCE[first : first + 2], LENGTHS[first : first + 2], TARGET[first : first + 2])[0].square().sum()
            for first in (0, 1, 2)
        ]
        for loss in losses:
            loss.backward()
        found.append({name: each.grad for name, each in model.named_parameters() if each.grad is not None})
    assert_close(found[1], found[0])


@pytest.mark.parametrize("max_graphs", [1, 2])
def test_graphs_that_were_dropped_are_recorded_again(max_graphs: int) -> None:
    model = make_fed(torch.float64)
    batches: list[tuple[list[int], int]] = [([0, 1], 4), ([1, 2, 3], 3), ([0], 5)] * 2
    expected = [gradients(model, *batch) for batch in batches]
    recorder = Recorder()
    model.decoder.graphs = PositionGraphs(recorder, max_graphs=max_graphs, eager_batches=0)
    for batch, each in zip(batches, expected, strict=True):
        assert_close(gradients(model, *batch), each)
    assert len(recorder.recordings) > 6


def test_frozen_parameters_have_no_gradients() -> None:
    model = make_fed(torch.float64)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("layers.1" not in name and not name.startswith("encoder"))
    expected = gradients(model, [0, 1, 2], 4)
    model.decoder.graphs = PositionGraphs(Recorder(), eager_batches=0)
    assert_close(gradients(model, [0, 1, 2], 4), expected)


def test_gradients_in_bf16_are_close() -> None:
    model = make_fed()
    found = []
    for graphs in (None, PositionGraphs(Recorder(), eager_batches=0)):
        model.decoder.graphs = graphs
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found.append(gradients(model, [0, 1, 2], 4))
    for name, values in found[0].items():
        assert (found[1][name] - values).norm() <= 0.05 * values.norm() + 1e-3, name


@pytest.mark.parametrize("healthy", [0, 1, 2, 3])
def test_a_failed_recording_turns_graphs_off(healthy: int, caplog: pytest.LogCaptureFixture) -> None:
    model = make_fed(torch.float64)
    batches: list[tuple[list[int], int]] = [([0, 1], 4), ([1, 2, 3], 3), ([0, 1], 4)]
    expected = [gradients(model, *batch) for batch in batches]
    model.decoder.graphs = PositionGraphs(Recorder(healthy), eager_batches=0)
    with caplog.at_level(logging.WARNING):
        for batch, each in zip(batches, expected, strict=True):
            assert_close(gradients(model, *batch), each)
    assert len([record for record in caplog.records if "not permitted" in record.getMessage()]) == 1


@pytest.mark.parametrize("wrong", [0, 1])
def test_a_replay_that_differs_turns_graphs_off(wrong: int, caplog: pytest.LogCaptureFixture) -> None:
    class WrongRecorder(Recorder):
        def __call__(self, compute: Callable[[], Any]) -> ComputedAgain:
            place = len(self.recordings)
            shifted = rebuild(compute(), (values + 1 for values in leaves(compute())))
            return super().__call__((lambda: shifted) if place == wrong else compute)

    model = make_fed(torch.float64)
    expected = gradients(model, [0, 1], 4)
    model.decoder.graphs = PositionGraphs(WrongRecorder(), eager_batches=0)
    with caplog.at_level(logging.WARNING):
        assert_close(gradients(model, [0, 1], 4), expected)
    assert "the replayed position differs from the computed one" in caplog.text


def test_a_copy_of_the_model_has_graphs_of_its_own() -> None:
    model = make_fed(torch.float64)
    model.decoder.graphs = PositionGraphs(Recorder(), eager_batches=0)
    gradients(model, [0, 1], 4)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.8)
    found = gradients(other, [0, 1], 4)
    other.decoder.graphs = None
    assert_close(found, gradients(other, [0, 1], 4))


def test_attention_dropout_is_computed_without_graphs() -> None:
    recorder = Recorder()
    model = make_fed(torch.float64, dropout="attention")
    model.decoder.graphs = PositionGraphs(recorder, eager_batches=0)
    gradients(model, [0, 1], 4)
    assert not recorder.recordings


def test_single_shapes_and_inference_are_not_recorded() -> None:
    recorder = Recorder()
    model = make_fed()
    model.decoder.graphs = PositionGraphs(recorder, eager_batches=1)
    gradients(model, [0, 1], 4)
    gradients(model, [0, 1, 2], 4)
    with torch.no_grad():
        for _ in range(3):
            model(SOURCE, LENGTHS, TARGET)
    assert not recorder.recordings
    gradients(model, [1, 2], 3)
    assert len(recorder.recordings) == 2


BATCHES = [
    make_batch([[5, 9, 7, 4], [8], [6, 4, 12]], [[7, 8, 9, 5], [6], [4, 4, 5]]),
    make_batch([[5, 4], [8, 8, 11]], [[7], [6, 10]]),
]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"r_drop": 5.0},
        {"scheduled_sampling": {"probability": 0.5}, "coverage_loss": 0.5},
        {"optimizer": {"learning_rate": 0.01}, "label_smoothing": 0.2},
    ],
    ids=str,
)
def test_updates_are_those_without_graphs(options: dict[str, Any]) -> None:
    weights, recorder = [], Recorder()
    for graphs in (None, PositionGraphs(recorder)):
        model = make_fed()
        learner = Learner(
            model=model,
            options=TrainingConfig.model_validate(options),
            total_updates=9,
            device=torch.device("cpu"),
            dtype=torch.float32,
        )
        model.decoder.graphs = graphs
        for number in range(1, 5):
            assert learner.update(BATCHES, number).applied
        weights.append(dict(learner.weights))
    assert recorder.replays
    assert_close(weights[1], weights[0])


def test_gradients_are_summed_over_processes_with_graphs() -> None:
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        found = []
        for graphs in (None, PositionGraphs(Recorder(), eager_batches=0)):
            model = make_fed(torch.float64)
            model.decoder.graphs = graphs
            parallel = DistributedDataParallel(model.train())
            torch.manual_seed(1)
            parallel(SOURCE, LENGTHS, TARGET)[0].square().sum().backward()
            found.append({name: each.grad for name, each in model.named_parameters() if each.grad is not None})
        assert_close(found[1], found[0])
    finally:
        distributed.destroy_process_group()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({}, ["no effect: the decoder computes all positions at once"]),
        ({"attention": {"input_feeding": True}}, []),
        ({"attention": {"placement": "conditional"}, "dropout": {"attention": 0.1}}, ["model.dropout.attention"]),
    ],
    ids=str,
)
def test_an_option_without_effect_causes_a_warning(model: dict[str, Any], expected: list[str]) -> None:
    config = tiny_config(**model)
    assert [*warnings(config)] == []
    training = config.training.model_copy(update={"cuda_graphs": True})
    found = [*warnings(config.model_copy(update={"training": training}))]
    assert len(found) == len(expected)
    assert all(part in text for part, text in zip(expected, found, strict=True))
