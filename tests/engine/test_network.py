"""The networks for inference compute what the networks of training compute, in numpy and in torch."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from covering import Row
from model_options import (
    LENGTHS,
    PIECES,
    SOURCE,
    TARGET,
    VALUES,
    make_model,
    make_row,
    model_options,
    problems_of,
    rows,
)
from nmt.config.load import load_config
from nmt.config.schema import ModelConfig
from nmt.data.special_tokens import EOS
from nmt.engine import InferenceNetwork, products
from nmt.engine.products import RowBlock, arrange_rows, linear
from nmt.engine.weights import Weights
from nmt.errors import CheckpointError
from nmt.model import Seq2Seq
from nmt.search import beam_search, make_length_normalization
from nmt.search.top_k import top_k_continuations

ROOT = Path(__file__).parents[2]
PAPERS = sorted((ROOT / "configs/papers").glob("*.yaml"))
BEAM = 3


def in_numpy(values: torch.Tensor) -> Any:
    return values.numpy()


def in_torch(values: torch.Tensor) -> Any:
    return values


def engine_of(model: Seq2Seq, options: dict[str, Any], convert: Any = in_numpy) -> InferenceNetwork:
    tensors = {name: convert(parameter.detach()) for name, parameter in model.named_parameters()}
    size = len(model.output.bias)
    config = ModelConfig.model_validate(options)
    return InferenceNetwork(config, tensors, source_size=len(model.encoder.embeddings.table.weight), target_size=size)


def close(found: Any, expected: torch.Tensor, tolerance: float = 1e-4) -> None:
    np.testing.assert_allclose(np.asarray(found), expected.numpy(), rtol=tolerance, atol=tolerance)


def check_all(model: Seq2Seq, options: dict[str, Any], convert: Any = in_numpy, tolerance: float = 1e-4) -> None:
    """Hold encoder, steps of a beam and forced decoding against the network of training."""
    engine = engine_of(model, options, convert)
    with torch.inference_mode():
        memory, found_memory = model.encode(SOURCE, LENGTHS), engine.encode(convert(SOURCE), convert(LENGTHS))
        real = memory.mask.unsqueeze(-1)
        close(np.asarray(found_memory.states) * real.numpy(), memory.states * real, tolerance)
        expected, expected_weights = model(SOURCE, LENGTHS, TARGET)
        outputs, _, weights = engine.forced(convert(TARGET), engine.init_state(found_memory), found_memory)
        flat = engine.log_probs(outputs.reshape(-1, outputs.shape[-1]))
        close(flat.reshape(expected.shape), expected, tolerance)
        assert (weights is None) == (expected_weights is None)
        if expected_weights is not None:
            close(weights, expected_weights, tolerance)
            padding = ~memory.mask.unsqueeze(1).expand_as(expected_weights).numpy()
            assert (np.asarray(weights)[padding] == 0).all()
        walk(model, engine, memory, found_memory, convert, tolerance)


def walk(
    model: Seq2Seq, engine: InferenceNetwork, memory: Any, found_memory: Any, convert: Any, tolerance: float
) -> None:
    """Compare some steps of three hypotheses for each of three sentences, which are selected as a search does."""
    kept = torch.tensor([0, 2, 3])
    memory, found_memory = memory.select(kept), found_memory.select(convert(kept))
    three = torch.arange(3).repeat_interleave(BEAM)
    state, found_state = model.init_state(memory).select(three), engine.init_state(found_memory).select(convert(three))
    ids = (torch.arange(len(three)) * 5) % PIECES
    for step in range(4):
        output, found = model.step(ids, state, memory), engine.step(convert(ids), found_state, found_memory)
        close(found.log_probs, output.log_probs, tolerance)
        if output.weights is not None:
            close(found.weights, output.weights, tolerance)
        rows = (torch.arange(len(three)) // BEAM) * BEAM + (torch.arange(len(three)) * 2 + step) % BEAM
        state, found_state = output.state.select(rows), found.state.select(convert(rows))
        ids = (ids * 3 + 4) % PIECES


def options_of(**changes: Any) -> dict[str, Any]:
    """The section `model` of the first values of all options, with changes; `__` stands for a dot."""
    base = {name: values[0] for name, values in VALUES.items()}
    return model_options({**base, **{name.replace("__", "."): value for name, value in changes.items()}})


def name_of(row: Row) -> str:
    return f"{row['encoder.cell']}-{row['decoder.cell']}-{row['attention.score']}-{row['attention.placement']}"


@pytest.mark.parametrize("row", rows(), ids=name_of)
def test_every_option_gives_the_numbers_of_the_network_of_training(row: Row) -> None:
    check_all(make_row(row, dtype=torch.float32, spread=0.3), model_options(row))


@pytest.mark.parametrize("row", rows()[::3], ids=name_of)
def test_the_same_lines_run_in_torch(row: Row) -> None:
    check_all(make_row(row, dtype=torch.float32, spread=0.3), model_options(row), in_torch)


def random_rows(count: int) -> list[Row]:
    generator = random.Random(5)
    found: list[Row] = []
    while len(found) < count:
        row = {name: generator.choice(values) for name, values in VALUES.items()}
        if not problems_of(model_options(row)):
            found.append(row)
    return found


@pytest.mark.parametrize("row", random_rows(25), ids=name_of)
def test_random_networks_give_the_numbers_of_the_network_of_training(row: Row) -> None:
    check_all(make_row(row, dtype=torch.float32, spread=0.3), model_options(row))


@pytest.mark.parametrize("path", PAPERS, ids=lambda path: path.stem)
def test_the_networks_of_the_papers_give_the_numbers_of_the_network_of_training(path: Path) -> None:
    """With their own depth and options, and small layers."""
    options = load_config(path, check_files=False).model.model_dump(mode="json")
    shrink(options)
    check_all(make_model(options, dtype=torch.float32, spread=0.2), options)


def shrink(section: dict[str, Any]) -> None:
    for name, value in section.items():
        if isinstance(value, dict):
            shrink(value)
        elif name in ("hidden_size", "embedding_size", "size") and value is not None:
            section[name] = value // 8


@pytest.mark.parametrize("row", rows()[::5], ids=name_of)
def test_a_sentence_is_the_same_alone_and_among_others(row: Row) -> None:
    engine = engine_of(make_row(row, dtype=torch.float32, spread=0.3), model_options(row))
    source, lengths, target = in_numpy(SOURCE), in_numpy(LENGTHS), in_numpy(TARGET)
    memory = engine.encode(source, lengths)
    together, _, weights = engine.forced(target, engine.init_state(memory), memory)
    for index, length in enumerate(lengths):
        one = slice(index, index + 1)
        memory = engine.encode(source[one, :length], lengths[one])
        alone, _, seen = engine.forced(target[one], engine.init_state(memory), memory)
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-5, atol=1e-5)
        if weights is not None:
            np.testing.assert_allclose(seen[0], weights[index, :, :length], rtol=1e-5, atol=1e-5)


def test_damaged_weights_are_named() -> None:
    options = options_of()
    model = make_model(options, dtype=torch.float32)
    tensors = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    del tensors["output.bias"]
    tensors["bridge.projection.bias"] = tensors["bridge.projection.bias"][:3]
    tensors["decoder.other"] = np.zeros(3, np.float32)
    with pytest.raises(CheckpointError) as error:
        InferenceNetwork(ModelConfig.model_validate(options), tensors, source_size=PIECES, target_size=PIECES)
    assert "Missing: output.bias." in str(error.value)
    assert "Unexpected: decoder.other." in str(error.value)
    assert "Of another shape: bridge.projection.bias [3] instead of [24]." in str(error.value)


def test_shared_parameters_may_be_stored_once_or_under_every_name() -> None:
    options = options_of(tying="three_way")
    model = make_model(options, dtype=torch.float32)
    every = {name: parameter.detach().numpy() for name, parameter in model.named_parameters(remove_duplicate=False)}
    config = ModelConfig.model_validate(options)
    engines = [engine_of(model, options), InferenceNetwork(config, every, source_size=PIECES, target_size=PIECES)]
    memories = [engine.encode(in_numpy(SOURCE), in_numpy(LENGTHS)) for engine in engines]
    np.testing.assert_array_equal(memories[0].states, memories[1].states)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_parameters_of_other_float_types_are_computed_in_float32(dtype: torch.dtype) -> None:
    options = options_of()
    model = make_model(options, dtype=torch.float32).to(dtype)
    engine = engine_of(model, options)
    memory = engine.encode(in_numpy(SOURCE), in_numpy(LENGTHS))
    found = engine.step(in_numpy(TARGET[:, 0]), engine.init_state(memory), memory)
    assert memory.states.dtype == found.log_probs.dtype == np.float32
    with torch.inference_mode():
        plain = model.float()
        close(memory.states[0], plain.encode(SOURCE, LENGTHS).states[0])


@pytest.mark.parametrize("rows_of_input", [1, 2, 5, 16, 17, 40])
@pytest.mark.parametrize("outputs", [1, 16, 301, 2900])
def test_a_product_in_blocks_is_the_product(rows_of_input: int, outputs: int) -> None:
    generator = np.random.default_rng(1)
    weight = generator.standard_normal((outputs, 300), dtype=np.float32)
    bias = generator.standard_normal(outputs, dtype=np.float32)
    inputs = generator.standard_normal((rows_of_input, 300), dtype=np.float32)
    product = linear(Weights({"a.weight": weight, "a.bias": bias}), "a", outputs, 300, bias=True)
    expected = inputs.astype(np.float64) @ weight.T + bias
    np.testing.assert_allclose(product(inputs[:, :100], inputs[:, 100:]), expected, rtol=1e-4, atol=1e-4)
    out = np.zeros((rows_of_input, outputs), np.float32)
    assert product(inputs, out=out) is out
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


def test_a_product_is_the_same_in_both_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while only the layout for another number of rows exists, and after both exist."""
    monkeypatch.setattr("nmt.engine.products.PATIENCE", 3)
    generator = np.random.default_rng(1)
    weight = generator.standard_normal((90, 30), dtype=np.float32)
    inputs = generator.standard_normal((40, 30), dtype=np.float32)
    for order in ([5, 40], [40, 5], [1, 40], [17, 1]):
        product = linear(Weights({"a.weight": weight}), "a", 90, 30)
        for rows_of_input in [rows_of_input for rows_of_input in order for _ in range(5)] + order:
            found = product(inputs[:rows_of_input])
            np.testing.assert_allclose(found, inputs[:rows_of_input] @ weight.T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows_of_input", [1, 5, 16])
@pytest.mark.parametrize("outputs", [16, 999, 1024])
def test_a_product_with_helpers_is_equal_to_the_bit(
    monkeypatch: pytest.MonkeyPatch, rows_of_input: int, outputs: int
) -> None:
    monkeypatch.setattr(products, "SMALL_PRODUCT", 20_000)
    monkeypatch.setattr(products, "SHARE", 1000)
    random = np.random.default_rng(outputs)
    tensors = {"w.weight": random.normal(size=(outputs, 60)).astype(np.float32)}
    product = linear(Weights(tensors), "w", outputs, 60)
    inputs = random.normal(size=(rows_of_input, 60)).astype(np.float32)
    alone = product(inputs)
    np.testing.assert_allclose(alone, inputs @ tensors["w.weight"].T, atol=1e-4)
    with ThreadPoolExecutor(3) as pool, products.helped_by(lambda: pool, 3):
        for _ in range(20):
            np.testing.assert_array_equal(product(inputs), alone)
    with ThreadPoolExecutor(1) as pool, products.helped_by(lambda: pool, 1):  # a helper that never gets to it
        blocked = threading.Event()
        pool.submit(blocked.wait)
        np.testing.assert_array_equal(product(inputs), alone)
        blocked.set()


@pytest.mark.parametrize("rows_of_input", [5, 40])
def test_a_product_of_a_single_batch_takes_no_memory(rows_of_input: int) -> None:
    """The matrix is kept from the second product on, and all products are the same."""
    generator = np.random.default_rng(1)
    weight = generator.standard_normal((1200, 600), dtype=np.float32)
    inputs = generator.standard_normal((rows_of_input, 600), dtype=np.float32)
    product = linear(Weights({"a.weight": weight, "a.bias": weight[:, 0]}), "a", 1200, 600, bias=True, once=True)
    held, found = [], []
    tracemalloc.start()
    try:
        for _ in range(3):
            found.append(product(inputs))
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert held[0] < weight.nbytes / 2 < weight.nbytes <= held[1]
    assert held[2] - held[1] < weight.nbytes / 2
    for each in found:
        np.testing.assert_array_equal(each, found[0])


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_rows_are_arranged_in_an_order(convert: Any) -> None:
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    order = (RowBlock(2, 6, 0.5), RowBlock(0, 2), RowBlock(6, 10, 2.0))
    expected = np.concatenate([values[2:6] / 2, values[:2], values[6:] * 2])
    for start in range(11):
        for stop in range(start + 1, 13):
            if start < 10:
                found = arrange_rows(convert(values), order, start, stop)
                np.testing.assert_array_equal(np.asarray(found), expected[start:stop])
    np.testing.assert_array_equal(np.asarray(arrange_rows(convert(values), ())), values)
    np.testing.assert_array_equal(np.asarray(arrange_rows(convert(values[:, 0]), order)), expected[:, 0])


def test_additive_scores_in_chunks_are_the_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    options = options_of(attention__coverage=True, attention__heads=2)
    model = make_model(options, dtype=torch.float32, spread=0.3)
    for size in (1, 50, 100):
        monkeypatch.setattr("nmt.engine.attention.CHUNK_ELEMENTS", size)
        check_all(model, options)


@pytest.mark.parametrize("row", rows()[::6], ids=name_of)
@pytest.mark.parametrize("convert", [in_numpy, in_torch])
def test_the_best_continuations_are_those_of_all_log_probabilities(row: Row, convert: Any) -> None:
    engine = engine_of(make_row(row, dtype=torch.float32, spread=0.3), model_options(row), convert)
    memory = engine.encode(convert(SOURCE), convert(LENGTHS))
    three = torch.arange(len(SOURCE)).repeat_interleave(BEAM)
    state, ids = engine.init_state(memory).select(convert(three)), convert((torch.arange(len(three)) * 5) % PIECES)
    totals = convert(-torch.arange(len(three)).reshape(len(SOURCE), BEAM) * 0.37)
    totals[1, 1:] = -np.inf
    output = engine.step(ids, state, memory)
    expected = top_k_continuations(output.log_probs, totals, 5)
    found = engine.step_top_k(ids, state, memory, totals, 5)
    np.testing.assert_array_equal(found.continuations.pieces, expected.pieces)
    np.testing.assert_array_equal(found.continuations.rows, expected.rows)
    close(found.continuations.log_probs, torch.as_tensor(expected.log_probs), 1e-5)
    close(found.eos, torch.as_tensor(output.log_probs[:, EOS]), 1e-5)


def test_a_search_finds_what_it_finds_with_the_network_of_training() -> None:
    options = options_of(encoder__layers=1, decoder__layers=2, attention__score="dot")
    model = make_model(options, dtype=torch.float32, spread=0.4)
    engine = engine_of(model, options)
    limits = np.array([9, 5, 7, 4])
    normalization = make_length_normalization("average", alpha=None)
    for size in (1, 4):
        search = {"beam_size": size, "n_best": size, "max_lengths": limits, "normalization": normalization}
        expected = beam_search(model, SOURCE, LENGTHS, **search)
        found = beam_search(engine, in_numpy(SOURCE), in_numpy(LENGTHS), **search)
        assert [[each.ids for each in row] for row in found] == [[each.ids for each in row] for row in expected]
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose([each.score for each in ours], [each.score for each in theirs], atol=1e-4)


WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None  # an import fails
import nmt.engine
"""


def test_the_engine_needs_no_torch() -> None:
    subprocess.run([sys.executable, "-c", WITHOUT_TORCH], check=True, cwd=ROOT)
