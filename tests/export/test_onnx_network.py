"""The graphs of ONNX compute what the networks for inference compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from covering import Row
from model_options import LENGTHS, PIECES, SOURCE, make_model, make_row, model_options, rows
from nmt.config.load import load_config
from nmt.config.schema import ModelConfig
from nmt.engine import InferenceNetwork
from nmt.model import Seq2Seq

onnxruntime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
pytest.importorskip("onnx", reason="onnx is not installed")

ROOT = Path(__file__).parents[2]
PAPERS = sorted((ROOT / "configs/papers").glob("*.yaml"))
RECIPES = sorted((ROOT / "configs/recipes").glob("*.yaml"))
BEAM = 3


def check(model: Seq2Seq, options: dict[str, Any], *, int8: bool = True) -> None:
    """Hold the graphs against the engine for some steps of a beam, in 8 bits too."""
    from nmt.export.onnx_network import build_graphs

    tensors = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    config = ModelConfig.model_validate(options)
    engine = InferenceNetwork(config, tensors, source_size=PIECES, target_size=PIECES)
    network = load(build_graphs(config, tensors.__getitem__))
    if int8:
        check_8_bits(load(build_graphs(config, tensors.__getitem__, int8=True)), engine)
    source, lengths = SOURCE.numpy(), LENGTHS.numpy()
    memory, found_memory = engine.encode(source, lengths), network.encode(source, lengths)
    kept = np.array([0, 2, 3])
    three = np.arange(3).repeat(BEAM)
    state = engine.init_state(memory.select(kept)).select(three)
    found_state = network.init_state(found_memory.select(kept)).select(three)
    memory, found_memory = memory.select(kept), found_memory.select(kept)
    ids = (np.arange(len(three)) * 5) % PIECES
    totals = -np.arange(9, dtype=np.float32).reshape(3, BEAM) / 10
    for step in range(4):
        expected = engine.step(ids, state, memory)
        found = network.step(ids, found_state, found_memory)
        np.testing.assert_allclose(found.log_probs, expected.log_probs, rtol=1e-4, atol=1e-4)
        if expected.weights is not None:
            np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-4, atol=1e-4)
        best = engine.step_top_k(ids, state, memory, totals, 4).continuations
        found_best = network.step_top_k(ids, found_state, found_memory, totals, 4)
        continuations = found_best.continuations
        np.testing.assert_allclose(continuations.log_probs, best.log_probs, rtol=1e-4, atol=1e-4)
        check_blockwise(network, ids, found_state, found_memory, totals)
        own = expected.log_probs.reshape(3, BEAM, PIECES)
        index = np.arange(3)[:, None]
        of_choice = own[index, continuations.rows, continuations.pieces]
        np.testing.assert_allclose(of_choice, continuations.log_probs, rtol=1e-4, atol=1e-4)
        assert (continuations.pieces >= 3).all()
        np.testing.assert_allclose(found_best.eos, expected.log_probs[:, 3], rtol=1e-4, atol=1e-4)
        selected = (np.arange(len(three)) // BEAM) * BEAM + (np.arange(len(three)) * 2 + step) % BEAM
        state, found_state = expected.state.select(selected), found.state.select(selected)
        ids = (ids * 3 + 4) % PIECES


def load(graphs: Any) -> Any:
    from nmt.engine.onnx_runtime import OnnxNetwork

    contents = {graph.name: graph.model("test").SerializeToString() for graph in graphs[:3]}
    return OnnxNetwork(contents, graphs.output_layer, size=PIECES)


def check_8_bits(network: Any, engine: InferenceNetwork) -> None:
    """Two steps in 8 bits are near those in 32 bits, and the numbers of a sentence do not depend on the others."""
    source, lengths, ids = SOURCE.numpy(), LENGTHS.numpy(), np.full(4, 2)
    memory, exact = network.encode(source, lengths), engine.encode(source, lengths)
    state, exact_state = network.init_state(memory), engine.init_state(exact)
    for step in range(2):
        found, expected = network.step(ids, state, memory), engine.step(ids, exact_state, exact)
        assert np.abs(np.exp(found.log_probs) - np.exp(expected.log_probs)).mean() < 0.02
        state, exact_state, ids = found.state, expected.state, ids * 0 + 5 + step
    alone = network.encode(source[2:3], lengths[2:3])
    before = network.step(np.array([2]), network.init_state(alone), alone).state
    log_probs = network.step(np.array([5]), before, alone).log_probs
    np.testing.assert_allclose(log_probs[0], found.log_probs[2], rtol=1e-4, atol=1e-4)


def check_blockwise(network: Any, ids: Any, state: Any, memory: Any, totals: Any) -> None:
    """With many rows, the continuations are those of few rows."""
    rows, sentences = np.arange(2 * len(ids)) % len(ids), np.arange(6) % 3
    few = network.step_top_k(ids, state, memory, totals, 4).continuations
    many = network.step_top_k(
        ids[rows], state.select(rows), memory.select(sentences), np.concatenate([totals, totals]), 4
    ).continuations
    for found, expected in zip(many[:3], few[:3], strict=True):
        np.testing.assert_allclose(found, np.concatenate([expected, expected]), rtol=1e-5, atol=1e-5)


def name_of(row: Row) -> str:
    return f"{row['encoder.cell']}-{row['decoder.cell']}-{row['attention.score']}-{row['attention.placement']}"


@pytest.mark.parametrize("row", rows(), ids=name_of)
def test_every_option_gives_the_numbers_of_the_engine(row: Row) -> None:
    every_third = rows().index(row) % 3 == 0  # to save time
    check(make_row(row, dtype=torch.float32, spread=0.3), model_options(row), int8=every_third)


@pytest.mark.parametrize("path", [*PAPERS, *RECIPES], ids=lambda path: path.stem)
def test_the_models_of_papers_and_recipes(path: Path) -> None:
    text = ["data.source_language=en", "data.target_language=de", "data.train=[{source: a, target: b}]"]
    config = load_config(path, [*text, "data.valid={source: c, target: d}"], check_files=False)
    options = config.model.model_dump()
    factor = 32 if options["encoder"]["hidden_size"] % 32 == 0 else 10
    options["embedding_size"] //= factor
    for section in ("encoder", "decoder"):
        options[section]["hidden_size"] //= factor
    if options["attention"]["size"]:
        options["attention"]["size"] //= factor
    check(make_model(options, dtype=torch.float32, spread=0.3), options)
