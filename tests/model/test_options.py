"""All options of the model, each against its paper's equation, and together over a covering array."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from covering import Row
from model_options import LENGTHS, PIECES, SOURCE, TARGET, make_model, make_row, model_options, problems_of, rows
from naive_model import NaiveModel
from nmt.config.schema import TrainingConfig
from nmt.data.batch import make_batch
from nmt.device import bf16_kernels
from nmt.model import Seq2Seq
from nmt.search import beam_search, make_length_normalization
from nmt.training.learner import Learner

BASE: Row = {
    "encoder.layers": 2,
    "encoder.directions": "both",
    "decoder.layers": 2,
    "attention.score": "additive",
    "tying": "none",
}

ONE_BY_ONE: dict[str, Row] = {
    "all defaults": {},
    **{f"encoder {cell}": {"encoder.cell": cell} for cell in ("rnn", "gru", "layer_norm_lstm")},
    **{f"decoder {cell}": {"decoder.cell": cell} for cell in ("rnn", "gru", "layer_norm_lstm")},
    "one direction": {"encoder.directions": "one"},
    "first layer both ways": {"encoder.directions": "first", "encoder.layers": 3},
    "alternating": {"encoder.directions": "alternating", "encoder.layers": 3},
    "first both ways, then alternating": {"encoder.directions": "first, alternating", "encoder.layers": 3},
    "reversed": {"encoder.directions": "one", "encoder.reversed": True},
    "reversed, alternating": {"encoder.directions": "alternating", "encoder.reversed": True},
    "encoder residuals": {"encoder.residual_from": 1, "encoder.layers": 3},
    "encoder residuals above": {"encoder.residual_from": 3, "encoder.layers": 3, "encoder.directions": "first"},
    "decoder residuals": {"decoder.residual_from": 1},
    "decoder residuals above": {"decoder.residual_from": 2, "attention.placement": "bottom"},
    **{
        f"bridge {bridge}": {"decoder.bridge": bridge, "decoder.layers": layers}
        for bridge, layers in (
            ("zero", 2),
            ("last", 2),
            ("last_with_cells", 2),
            ("mean", 3),
            ("learned_last", 3),
            ("learned_mean", 1),
        )
    },
    "bridge over alternating layers": {"decoder.bridge": "last", "encoder.directions": "alternating"},
    "cells over alternating layers": {"decoder.bridge": "last_with_cells", "encoder.directions": "alternating"},
    "cells, reversed": {
        "decoder.bridge": "last_with_cells",
        "encoder.directions": "one",
        "encoder.reversed": True,
        "attention.score": "none",
    },
    "cells, layer norm": {"decoder.bridge": "last_with_cells", "encoder.cell": "layer_norm_lstm"},
    "cells to layer norm": {"decoder.bridge": "last_with_cells", "decoder.cell": "layer_norm_lstm"},
    **{f"score {s}": {"attention.score": s} for s in ("none", "dot", "scaled_dot", "general", "concat")},
    **{f"coverage, {p}": {"attention.coverage": True, "attention.placement": p} for p in ("top", "bottom")},
    "coverage, conditional": {"attention.coverage": True, "attention.placement": "conditional"},
    "bottom": {"attention.placement": "bottom", "decoder.layers": 3},
    **{
        f"conditional {cell}": {"attention.placement": "conditional", "decoder.cell": cell}
        for cell in ("rnn", "gru", "lstm", "layer_norm_lstm")
    },
    **{
        f"input feeding {cell}": {"attention.input_feeding": True, "decoder.cell": cell}
        for cell in ("rnn", "gru", "lstm", "layer_norm_lstm")
    },
    "input feeding, bottom": {"attention.input_feeding": True, "attention.placement": "bottom"},
    "input feeding, conditional": {"attention.input_feeding": True, "attention.placement": "conditional"},
    "input feeding, residuals": {"attention.input_feeding": True, "decoder.residual_from": 1},
    "input feeding, linear": {"attention.input_feeding": True, "decoder.output": "linear"},
    "deep output": {"decoder.output": "deep"},
    "deep output without attention": {"decoder.output": "deep", "attention.score": "none"},
    "linear output": {"decoder.output": "linear"},
    "context gate": {"attention.context_gate": True},
    "context gate, deep": {"attention.context_gate": True, "decoder.output": "deep"},
    "context gate, linear": {"attention.context_gate": True, "decoder.output": "linear"},
    "context gate, feeding": {"attention.context_gate": True, "attention.input_feeding": True},
    "lexical model": {"lexical_model": True},
    "lexical model, tied": {"lexical_model": True, "tying": "three_way", "attention.input_feeding": True},
}


def target_lengths() -> list[int]:
    return [int((row != 0).sum()) for row in TARGET]


def real(values: Tensor) -> Tensor:
    """`values` [B, T, ...] at the real target positions, one after the other."""
    return torch.cat([row[:length] for row, length in zip(values, target_lengths(), strict=True)])


def close(found: Tensor, expected: Tensor) -> None:
    # Softmaxes are float32 in a float64 network too.
    torch.testing.assert_close(found.double(), expected.double(), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("options", ONE_BY_ONE.values(), ids=ONE_BY_ONE.keys())
def test_values_and_gradients_are_the_papers_equations(options: Row) -> None:
    chosen = model_options({**BASE, **options})
    assert problems_of(chosen) == []
    model = make_model(chosen)
    naive = NaiveModel(model, chosen)
    expected, expected_weights = [], []
    for row, length in enumerate(target_lengths()):
        source = SOURCE[row, : LENGTHS[row]].tolist()
        log_probs, weights = naive.translate(source, TARGET[row, :length].tolist())
        expected.append(log_probs)
        expected_weights.append(weights)
    log_probs, weights = model(SOURCE, LENGTHS, TARGET)
    close(real(log_probs), torch.cat(expected))
    for row, alone in enumerate(expected_weights):
        if alone is None:
            assert weights is None
        else:
            close(weights[row, : len(alone), : LENGTHS[row]], alone)
    parameters = list(model.parameters())
    some = torch.randn(len(real(log_probs)), PIECES, dtype=torch.float64)
    found = torch.autograd.grad((real(log_probs) * some).sum(), parameters, allow_unused=True)
    wanted = torch.autograd.grad((torch.cat(expected) * some).sum(), parameters, allow_unused=True)
    for (name, _), ours, theirs in zip(model.named_parameters(), found, wanted, strict=True):
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4 * float(theirs.abs().max()) + 1e-5, msg=name)


def name_of(row: Row) -> str:
    return f"{row['encoder.cell']}-{row['decoder.cell']}-{row['attention.score']}-{row['attention.placement']}"


every_row = pytest.mark.parametrize("row", rows(), ids=name_of)


@every_row
@torch.no_grad()
def test_forward_equals_repeated_steps(row: Row) -> None:
    model = make_row(row)
    log_probs, weights = model(SOURCE, LENGTHS, TARGET)
    memory = model.encode(SOURCE, LENGTHS)
    state = model.init_state(memory)
    for position in range(TARGET.shape[1]):
        output = model.step(TARGET[:, position], state, memory)
        state = output.state
        close(output.log_probs, log_probs[:, position])
        assert (output.weights is None) == (weights is None)
        if output.weights is not None:
            close(output.weights, weights[:, position])


@every_row
@torch.no_grad()
def test_a_sentence_is_the_same_alone_and_among_others(row: Row) -> None:
    model = make_row(row)
    together, weights = model(SOURCE, LENGTHS, TARGET)
    for index, (length, target_length) in enumerate(zip(LENGTHS.tolist(), target_lengths(), strict=True)):
        source = SOURCE[index : index + 1, :length]
        alone, seen = model(source, LENGTHS[index : index + 1], TARGET[index : index + 1, :target_length])
        close(together[index, :target_length], alone[0])
        if weights is not None:
            close(weights[index, :target_length, :length], seen[0])
            assert bool((weights[index, :, length:] == 0).all())


@every_row
@torch.no_grad()
def test_rows_can_be_picked_and_share_the_memory_of_their_sentence(row: Row) -> None:
    model = make_row(row)
    memory = model.encode(SOURCE, LENGTHS)
    state = model.step(TARGET[:, 0], model.init_state(memory), memory).state
    picked = torch.tensor([0, 0, 2, 2, 3, 3])
    sentences = memory.select(torch.tensor([0, 2, 3]))
    ids = torch.tensor([4, 5, 6, 7, 8, 9])
    shared = model.step(ids, state.select(picked), sentences)
    for index, sentence in enumerate(picked.tolist()):
        only = torch.tensor([sentence])
        alone = model.step(ids[index : index + 1], state.select(only), memory.select(only))
        close(shared.log_probs[index], alone.log_probs[0])
        for ours, theirs in zip(shared.state.cells, alone.state.cells, strict=True):
            close(ours.hidden[index], theirs.hidden[0])
            close(ours.cell[index], theirs.cell[0])
        attention, expected = shared.state.attention, alone.state.attention
        for ours, theirs in zip(attention, expected, strict=True):
            assert (ours is None) == (theirs is None)
        if attention.coverage is not None:
            close(attention.coverage[index], expected.coverage[0])
        if attention.position is not None:
            assert attention.position.tolist() == [2] * 6
        if attention.feed is not None:
            close(attention.feed[index], expected.feed[0])


def make_learner(model: Seq2Seq, dtype: torch.dtype = torch.float32) -> Learner:
    options = TrainingConfig.model_validate({"optimizer": {"learning_rate": 0.01}, "averaging": {"kind": "none"}})
    return Learner(model=model, options=options, total_updates=100, device=torch.device("cpu"), dtype=dtype)


BATCH = make_batch([[5, 9, 7, 4], [8], [6, 4, 12]], [[7, 8, 9, 5], [6], [4, 4, 5]])


# Half of the rows have every value of an option too.
@pytest.mark.parametrize(
    ("row", "dtype"),
    [*((row, torch.float32) for row in rows()), *((row, torch.bfloat16) for row in rows()[::2])],
    ids=lambda value: name_of(value) if isinstance(value, dict) else str(value).removeprefix("torch."),
)
def test_training_learns_with_every_part(row: Row, dtype: torch.dtype) -> None:
    if dtype == torch.bfloat16 and not bf16_kernels():
        pytest.skip("this processor has no kernels for bf16")
    model = make_row(row, dtype=torch.float32, spread=0.2)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    learner = make_learner(model, dtype)
    losses = []
    for number in range(1, 3):
        learned = learner.update([BATCH], number)
        assert learned.applied
        losses.append(learned.negative_log_likelihood)
    assert all(loss > 0 for loss in losses)
    still = [name for name, parameter in model.named_parameters() if torch.equal(parameter, before[name])]
    assert still == []


@every_row
def test_beam_search_is_the_same_for_one_sentence_and_for_many(row: Row) -> None:
    model = make_row(row, dtype=torch.float32)
    options: Any = {"beam_size": 3, "n_best": 2, "normalization": make_length_normalization("average", alpha=None)}
    limits = torch.tensor([4, 3, 4, 2])
    together = beam_search(model, SOURCE, LENGTHS, max_lengths=limits, **options)
    for index, length in enumerate(LENGTHS.tolist()):
        one = slice(index, index + 1)
        alone = beam_search(model, SOURCE[one, :length], LENGTHS[one], max_lengths=limits[one], **options)
        assert [found.ids for found in alone[0]] == [found.ids for found in together[index]]


def test_the_covering_array_covers() -> None:
    values = {(name, value) for row in rows() for name, value in row.items()}
    assert len(rows()) < 80
    for pair in [
        (("attention.input_feeding", True), ("attention.coverage", True)),
        (("attention.placement", "conditional"), ("decoder.cell", "gru")),
        (("lexical_model", True), ("tying", "three_way")),
        (("encoder.directions", "first, alternating"), ("encoder.cell", "layer_norm_lstm")),
    ]:
        assert any(all(row[name] == value for name, value in pair) for row in rows()), pair
    from model_options import VALUES

    assert values == {(name, value) for name, choices in VALUES.items() for value in choices}
    assert values == {(name, value) for row in rows()[::2] for name, value in row.items()}
