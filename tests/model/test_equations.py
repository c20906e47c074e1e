"""The network against its equations, written out naively in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.config.schema import ModelConfig
from nmt.model import Seq2Seq, build_model

SOURCE = torch.tensor([[5, 9, 7, 3], [8, 3, 0, 0], [6, 4, 3, 0]])
LENGTHS = torch.tensor([4, 2, 3])
TARGET = torch.tensor([[2, 7, 8, 9, 5], [2, 6, 0, 0, 0], [2, 4, 4, 5, 0]])


def make_model(**options: Any) -> Seq2Seq:
    torch.manual_seed(3)
    defaults: dict[str, Any] = {
        "embedding_size": 6,
        "encoder": {"hidden_size": 4, "layers": 2},
        "decoder": {"hidden_size": 8, "layers": 2},
    }
    model = build_model(ModelConfig.model_validate(defaults | options), source_size=11, target_size=12)
    return model.double().eval()


def lstm_by_hand(
    layer: torch.nn.LSTM, inputs: list[Tensor], hidden: Tensor, cell: Tensor
) -> tuple[list[Tensor], Tensor]:
    """One sentence, one cell at a time: i, f, g, o; c = f c + i g; h = o tanh(c)."""
    outputs = []
    for vector in inputs:
        gates = layer.weight_ih_l0 @ vector + layer.bias_ih_l0 + layer.weight_hh_l0 @ hidden + layer.bias_hh_l0
        i, f, g, o = gates.chunk(4)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.tanh(cell)
        outputs.append(hidden)
    return outputs, cell


def encode_by_hand(model: Seq2Seq, ids: list[int]) -> list[Tensor]:
    states = [math.sqrt(6) * model.encoder.embeddings.table.weight[i] for i in ids]
    for layer in model.encoder.layers:
        zero = torch.zeros(layer.forward_cell.hidden_size, dtype=torch.float64)
        right, _ = lstm_by_hand(layer.forward_cell, states, zero, zero)
        left, _ = lstm_by_hand(layer.backward_cell, states[::-1], zero, zero)
        states = [torch.cat(pair) for pair in zip(right, left[::-1], strict=True)]
    return states


def score_by_hand(model: Seq2Seq, kind: str, query: Tensor, key: Tensor) -> Tensor:
    score = model.decoder.attention.score
    if kind == "dot":
        return query @ key
    if kind == "general":
        return query @ (score.projection.weight @ key)
    hidden = score.query_projection.weight @ query + score.query_projection.bias + score.key_projection.weight @ key
    return score.vector.weight[0] @ torch.tanh(hidden)


def attend_by_hand(model: Seq2Seq, kind: str, query: Tensor, states: list[Tensor]) -> tuple[Tensor, Tensor]:
    scores = [score_by_hand(model, kind, query, state) for state in states]
    total = sum(math.exp(value.item()) for value in scores)
    weights = [math.exp(value.item()) / total for value in scores]
    return sum(w * state for w, state in zip(weights, states, strict=True)), torch.tensor(weights, dtype=torch.float64)


def translate_by_hand(
    model: Seq2Seq, kind: str, placement: str, source: list[int], target: list[int]
) -> tuple[Tensor, Tensor]:
    """Log-probabilities [T, V] and weights [T, S] of one sentence."""
    states = encode_by_hand(model, source)
    mean = sum(states) / len(states)
    start = torch.tanh(model.bridge.projection.weight @ mean + model.bridge.projection.bias).chunk(2)
    zero = torch.zeros(8, dtype=torch.float64)
    below, _ = lstm_by_hand(
        model.decoder.layers[0],
        [math.sqrt(6) * model.decoder.embeddings.table.weight[i] for i in target],
        start[0],
        zero,
    )
    contexts, weights = [], []
    if placement == "bottom":
        for query in below:
            context, weight = attend_by_hand(model, kind, query, states)
            contexts.append(context)
            weights.append(weight)
        below = [torch.cat(pair) for pair in zip(below, contexts, strict=True)]
    top, _ = lstm_by_hand(model.decoder.layers[1], below, start[1], zero)
    if placement == "top":
        for query in top:
            context, weight = attend_by_hand(model, kind, query, states)
            contexts.append(context)
            weights.append(weight)
    rows = []
    for context, hidden in zip(contexts, top, strict=True):
        attentional = torch.tanh(model.decoder.attentional_layer.weight @ torch.cat([context, hidden]))
        logits = model.output.weight @ attentional + model.output.bias
        rows.append(logits - torch.logsumexp(logits, 0))
    return torch.stack(rows), torch.stack(weights)


@pytest.mark.parametrize("placement", ["top", "bottom"])
@pytest.mark.parametrize("score", ["dot", "general", "additive"])
def test_forward_is_the_papers_equations(score: str, placement: str) -> None:
    model = make_model(attention={"score": score, "placement": placement})
    log_probs, weights = model(SOURCE, LENGTHS, TARGET)
    for row in range(3):
        length = int((TARGET[row] != 0).sum())
        source = SOURCE[row, : LENGTHS[row]].tolist()
        expected, expected_weights = translate_by_hand(model, score, placement, source, TARGET[row, :length].tolist())
        torch.testing.assert_close(log_probs[row, :length].double(), expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            weights[row, :length, : LENGTHS[row]].double(), expected_weights, rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("score", ["dot", "general", "additive"])
def test_padding_gets_no_attention_at_all(score: str) -> None:
    model = make_model(attention={"score": score})
    _, weights = model(SOURCE, LENGTHS, TARGET)
    for row in range(3):
        assert weights[row, :, LENGTHS[row] :].abs().max() == 0 if LENGTHS[row] < 4 else True
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 5))


@pytest.mark.parametrize("kind", ["zero", "last", "mean", "learned_last", "learned_mean"])
def test_bridge(kind: str) -> None:
    model = make_model(decoder={"hidden_size": 8, "layers": 2, "bridge": kind})
    memory = model.encode(SOURCE, LENGTHS)
    hidden = torch.stack([cell.hidden for cell in model.init_state(memory).cells])
    for row in range(3):
        states = torch.stack(encode_by_hand(model, SOURCE[row, : LENGTHS[row]].tolist()))
        last = torch.cat([states[-1][:4], states[0][4:]])
        expected = {
            "zero": torch.zeros(16, dtype=torch.float64),
            "last": last,
            "mean": states.mean(0).repeat(2),
            "learned_last": last,
            "learned_mean": states.mean(0),
        }[kind]
        if kind.startswith("learned"):
            expected = torch.tanh(model.bridge.projection(expected))
        found = hidden[1, row] if kind == "last" else hidden[:, row].reshape(-1)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("tying", "tensors"), [("none", 3), ("two_way", 2), ("three_way", 1)])
def test_tying_shares_one_tensor(tying: str, tensors: int) -> None:
    model = build_model(
        ModelConfig.model_validate({"tying": tying, "embedding_size": 8}), source_size=12, target_size=12
    )
    tables = {model.encoder.embeddings.table.weight, model.decoder.embeddings.table.weight, model.output.weight}
    assert len(tables) == tensors


def test_dropout_zeroes_the_asked_share_and_keeps_the_mean() -> None:
    from nmt.model.layers import Dropout

    torch.manual_seed(1)
    dropout = Dropout(0.3)
    values = dropout(torch.ones(500, 400))
    assert abs(float((values == 0).double().mean()) - 0.3) < 0.005
    assert abs(float(values.double().mean()) - 1) < 0.005
    words = Dropout(0.25, per_row=True)(torch.ones(50, 400, 6))
    assert set(words.sum(-1).round(decimals=3).unique().tolist()) == {0.0, 8.0}
    dropout.eval()
    assert torch.equal(dropout(values), values)


@pytest.mark.parametrize("kind", ["uniform", "normal", "xavier"])
def test_initialization(kind: str) -> None:
    torch.manual_seed(0)
    options = {"initialization": {"kind": kind, "scale": 0.05, "forget_bias": 2.0}}
    model = build_model(ModelConfig.model_validate(options), source_size=50, target_size=50)
    for layer in model.modules():
        if isinstance(layer, torch.nn.LSTM):
            size = layer.hidden_size
            assert torch.equal(layer.bias_ih_l0[size : 2 * size], torch.full((size,), 2.0))
            assert layer.bias_ih_l0[:size].abs().sum() == 0
            assert layer.bias_hh_l0.abs().sum() == 0
    weight = model.decoder.attentional_layer.weight
    if kind == "uniform":
        assert 0.045 < weight.abs().max() <= 0.05
    if kind == "normal":
        assert abs(weight.std().item() - 0.05) < 0.005
