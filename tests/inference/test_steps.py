"""The arrays of `nmt attention --steps`, recomputed from the model file with plain numpy: no code of the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.cells import cell_len
from safetensors.numpy import load_file

from cli_tools import assert_explained, nmt
from model_options import model_options, rows
from nmt.config.schema import ModelConfig
from nmt.inference.model_file import load_model
from nmt.inference.steps import LineSteps, Step, StepRecorder, architecture_notes, equations
from tiny_translator import save_tiny_model

SOURCE, TARGET = "the red dog sleeps .", "a dog sees"
BOS, EOS = 2, 3
Vector = NDArray[np.float64]

PLACEMENTS: list[dict[str, Any]] = [
    {"attention": {}},
    {"attention": {"input_feeding": True}},
    {"attention": {"placement": "bottom"}, "decoder": {"layers": 2, "hidden_size": 24}},
    {"attention": {"placement": "bottom", "input_feeding": True}, "decoder": {"layers": 2, "hidden_size": 24}},
    {"attention": {"placement": "conditional"}},
    {"attention": {"placement": "conditional", "input_feeding": True}},
    {"attention": {}, "decoder": {"output": "deep", "hidden_size": 24}},
    {"attention": {"context_gate": True}, "decoder": {"output": "linear", "hidden_size": 24}},
]
SCORES = ("dot", "scaled_dot", "general", "concat", "additive")


def sigmoid(x: Vector) -> Vector:
    return np.asarray(1 / (1 + np.exp(-x)))


class ByHand:
    """An LSTM with attention of one global head. Vectors have one dimension, and sums are written out."""

    def __init__(self, path: Path, options: ModelConfig) -> None:
        self.w = {name: value.astype(np.float64) for name, value in load_file(path).items()}
        self.options = options

    def lstm(self, prefix: str, x: Vector, h: Vector, c: Vector) -> tuple[Vector, Vector]:
        w = self.w
        gates = w[f"{prefix}.weight_ih_l0"] @ x + w[f"{prefix}.bias_ih_l0"]
        gates = gates + w[f"{prefix}.weight_hh_l0"] @ h + w[f"{prefix}.bias_hh_l0"]
        i, f, g, o = np.split(gates, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c

    def encode(self, ids: list[int]) -> list[Vector]:
        embedded = [self.w["encoder.embeddings.table.weight"][piece] for piece in ids]
        sides = []
        for name, words in (("forward_cell", embedded), ("backward_cell", embedded[::-1])):
            h = c = np.zeros(self.options.encoder.hidden_size)
            states = []
            for x in words:
                h, c = self.lstm(f"encoder.layers.0.{name}", x, h, c)
                states.append(h)
            sides.append(states if name == "forward_cell" else states[::-1])
        return [np.concatenate(pair) for pair in zip(*sides, strict=True)]

    def score(self, q: Vector, h: Vector) -> float:
        kind, w, prefix = self.options.attention.score, self.w, "decoder.attention.score"
        if kind in ("dot", "scaled_dot"):
            return float(q @ h) / (len(q) ** 0.5 if kind == "scaled_dot" else 1.0)
        if kind == "general":
            return float(q @ (w[f"{prefix}.projection.weight"] @ h))
        hidden = w[f"{prefix}.query_projection.weight"] @ q + w[f"{prefix}.key_projection.weight"] @ h
        if kind == "additive":
            hidden = hidden + w[f"{prefix}.query_projection.bias"]
        return float(w[f"{prefix}.vector.weight"][0] @ np.tanh(hidden))

    def attend(self, found: dict[str, Vector], q: Vector, memory: list[Vector]) -> Vector:
        scores = np.array([self.score(q, h) for h in memory])
        weights = np.exp(scores) / np.exp(scores).sum()
        context = np.sum([a * h for a, h in zip(weights, memory, strict=True)], axis=0)
        found |= {"query": q, "scores": scores[None], "weights": weights[None], "context": context}
        return np.asarray(context)

    def steps(self, source: list[int], target: list[int]) -> list[dict[str, Vector]]:
        """The arrays of each step by the name of their stage."""
        options, w = self.options, self.w
        memory = self.encode(source)
        layers = options.decoder.layers
        start = np.tanh(w["bridge.projection.weight"] @ np.mean(memory, axis=0) + w["bridge.projection.bias"])
        states = [(h, np.zeros_like(h)) for h in np.split(start, layers)]
        feed = np.zeros(options.embedding_size)
        results = []
        for piece in [BOS, *target]:
            embedded = w["decoder.embeddings.table.weight"][piece]
            found: dict[str, Vector] = {"input": embedded}
            x = embedded
            if options.attention.input_feeding:
                found["feed"] = feed
                x = np.concatenate([embedded, feed])
            for level in range(layers):
                if level and options.attention.placement == "bottom":
                    x = np.concatenate([x, found["context"]])
                state = self.lstm(f"decoder.layers.{level}", x, *states[level])
                if level == 0 and options.attention.placement == "conditional":
                    context = self.attend(found, state[0], memory)
                    state = self.lstm("decoder.second_transition", context, *state)
                states[level] = state
                x = state[0]
                if level == 0 and options.attention.placement == "bottom":
                    self.attend(found, x, memory)
            if options.attention.placement == "top":
                self.attend(found, x, memory)
            else:
                found["state"] = x
            feed = self.finish(found, x, embedded)
            results.append(found)
        return results

    def finish(self, found: dict[str, Vector], state: Vector, embedded: Vector) -> Vector:
        options, w, context = self.options, self.w, found["context"]
        deep = options.decoder.output == "deep"
        found["concatenation"] = np.concatenate([context, state, embedded] if deep else [context, state])
        weight = w["decoder.attentional_layer.weight"]
        if options.attention.context_gate:
            every = np.concatenate([context, state, embedded])
            prefix = "decoder.attentional_layer.gate"
            z = found["gate"] = sigmoid(w[f"{prefix}.weight"] @ every + w[f"{prefix}.bias"])
            size = len(context)
            combined = z * (weight[:, :size] @ context) + (1 - z) * (weight[:, size:] @ state)
        else:
            combined = weight @ found["concatenation"]
            if deep:
                combined = combined + w["decoder.attentional_layer.bias"]
        found["combined"] = combined
        attentional = combined if options.decoder.output == "linear" else np.tanh(combined)
        found["attentional"] = attentional
        logits = w["decoder.embeddings.table.weight"] @ attentional + w["output.bias"]
        found["output"] = np.exp(logits) / np.exp(logits).sum()
        return np.asarray(attentional)


def recorded(path: Path, target: str | None = TARGET) -> LineSteps:
    recorder = StepRecorder(load_model(path), decoding={"device": "cpu"})
    (line,) = recorder.record([SOURCE], None if target is None else [target])
    assert line is not None
    return line


def arrays_of(step: Step) -> dict[str, Any]:
    return {stage.name: stage.values for stage in step.stages}


@pytest.mark.parametrize("placement", PLACEMENTS, ids=str)
@pytest.mark.parametrize("score", SCORES)
def test_every_number_follows_from_the_model_file(tmp_path: Path, score: str, placement: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    options = {**placement, "attention": {**placement["attention"], "score": score}}
    save_tiny_model(path, **options)
    file = load_model(path)
    source = [*file.tokenizers.source.encode([SOURCE])[0], EOS]
    target = file.tokenizers.target.encode([TARGET])[0]
    expected = ByHand(path, file.config.model).steps(source, target)
    (segment,) = recorded(path).segments
    assert len(segment.steps) == len(expected) == len(target) + 1
    for step, numbers, piece in zip(segment.steps, expected, [*target, EOS], strict=True):
        found = arrays_of(step)
        found.pop("projected_query", None)
        assert set(found) == set(numbers)
        for name, values in numbers.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-3, atol=1e-4, err_msg=name)
        order = np.argsort(-numbers["output"], kind="stable")[: len(step.best)]
        assert [one.probability for one in step.best] == pytest.approx(numbers["output"][order], abs=1e-4)
        assert step.probability == pytest.approx(numbers["output"][piece], abs=1e-4)


@pytest.mark.parametrize("row", rows()[::6], ids=lambda row: f"{row['attention.score']}-{row['attention.placement']}")
def test_every_architecture_has_steps_that_fit_a_terminal(tmp_path: Path, row: dict[str, Any]) -> None:
    path = tmp_path / "model.safetensors"
    save_tiny_model(path, **model_options(row))
    config = load_model(path).config.model
    (segment,) = recorded(path).segments
    for step in segment.steps:
        found = arrays_of(step)
        assert list(found) == list(equations(config))
        if config.attention.score != "none":
            weights, values = found["weights"], segment.values
            assert weights.shape == (config.attention.heads, len(segment.source))
            context = np.concatenate([a @ v for a, v in zip(weights, values, strict=True)])
            np.testing.assert_allclose(found["context"], context, rtol=1e-3, atol=1e-4)
    outcome = nmt("attention", "-m", str(path), "--device", "cpu", "--steps", SOURCE, "--target", TARGET)
    assert outcome.code == 0, outcome.stderr
    lines = outcome.stdout.splitlines()
    assert max(map(cell_len, lines[2 + len(architecture_notes(config)) :])) <= 80
    for note in architecture_notes(config):
        assert note in lines
    for equation in equations(config).values():
        assert outcome.stdout.count(f"{equation}  [") >= len(segment.steps)


def test_json_has_the_recorded_numbers_of_the_own_translation(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_tiny_model(path)
    printed = nmt("attention", "-m", str(path), "--device", "cpu", "--steps", "--format", "json", SOURCE)
    (row,) = json.loads(printed.stdout)
    line = recorded(path, None)
    assert (row["line"], row["source"], row["translation"]) == (1, SOURCE, line.translation)
    assert row["translation"] == nmt("translate", "-m", str(path), stdin=SOURCE.encode()).stdout.rstrip("\n")
    (segment,), (known,) = row["segments"], line.segments
    assert segment["source_pieces"] == known.source
    np.testing.assert_allclose(segment["keys"], known.keys, atol=1e-5)
    for found, step in zip(segment["steps"], known.steps, strict=True):
        assert [stage["name"] for stage in found["stages"]] == [stage.name for stage in step.stages]
        for stage, values in zip(found["stages"], step.stages, strict=True):
            assert stage["shape"] == list(values.values.shape)
            if stage["name"] == "output":
                assert stage["values"] is None
            else:
                np.testing.assert_allclose(stage["values"], values.values, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--level", "words"), "--level"),
        (("--format", "pharaoh"), "pharaoh"),
        (("-o", "a.png"), "png"),
        (("--gold", "gold.align"), "--steps"),
    ],
)
def test_options_that_do_not_fit_steps(tmp_path: Path, arguments: tuple[str, ...], part: str) -> None:
    save_tiny_model(tmp_path / "model.safetensors")
    outcome = nmt("attention", "-m", "model.safetensors", "--steps", *arguments, SOURCE, folder=tmp_path)
    assert_explained(outcome, part)
