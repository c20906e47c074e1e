"""The networks of a site compute what the networks of `nmt.engine` compute."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covering import Row
from javascript import run_javascript
from model_options import PIECES, make_row, model_options, rows
from nmt.config.schema import ModelConfig
from nmt.data.tensor_file import as_raw, write_tensors
from nmt.engine import InferenceNetwork
from nmt.web.export import SITE
from nmt.web.model_data import quantize_rows

SOURCES = ([5, 9, 7, 4, 3], [8, 3], [6, 4, 12, 5, 9, 11, 3], [3])
TARGET = [2, 7, 8, 9, 5]

CODE = """
const { read } = await import("./files.js");
const { InferenceNetwork } = await import("./network.js");
const { Weights } = await import("./weights.js");
const kernel = await WebAssembly.compile(await read("kernel.wasm"));
const { models, sources, target, pieces } = JSON.parse(new TextDecoder().decode(await read("cases.json")));
const files = await Promise.all(models.map(read));
return files.map(({ buffer }, index) => {
  const weights = new Weights(buffer, index % 2 ? kernel : null);
  const network = new InferenceNetwork(weights, JSON.parse(weights.metadata.model), pieces, pieces);
  return sources.map((source) => {
    const memory = network.encode(source);
    let state = network.initState(memory).select([0, 0]);
    return target.map((id) => {
      const output = network.step([id, (id * 3 + 4) % pieces], state, memory);
      state = output.state.select([1, 0]);
      return { log_probs: [...output.logProbs.data], weights: output.weights && [...output.weights.data] };
    });
  });
});
"""


def walk(engine: InferenceNetwork, source: list[int]) -> list[tuple[Any, Any]]:
    memory = engine.encode(np.array([source]), np.array([len(source)]))
    state, found = engine.init_state(memory).select(np.array([0, 0])), []
    for piece in TARGET:
        output = engine.step(np.array([piece, (piece * 3 + 4) % PIECES]), state, memory)
        state = output.state.select(np.array([1, 0]))
        found.append((output.log_probs, output.weights))
    return found


def test_every_option_gives_the_numbers_of_the_engine(tmp_path: Path) -> None:
    shutil.copytree(SITE, tmp_path, dirs_exist_ok=True)
    cases: list[Row] = list(rows())
    engines = []
    for number, row in enumerate(cases):
        options, model = model_options(row), make_row(row, spread=0.3)
        tensors = {name: parameter.detach().numpy().astype(np.float32) for name, parameter in model.named_parameters()}
        config = ModelConfig.model_validate(options)
        engines.append(InferenceNetwork(config, tensors, source_size=PIECES, target_size=PIECES))
        stream = io.BytesIO()
        raw = {name: as_raw(value) for name, value in tensors.items()}
        write_tensors(stream, raw, {"model": json.dumps(config.model_dump(mode="json"))})
        (tmp_path / f"{number}.model").write_bytes(stream.getvalue())
    names = [f"{number}.model" for number in range(len(cases))]
    content = {"models": names, "sources": SOURCES, "target": TARGET, "pieces": PIECES}
    (tmp_path / "cases.json").write_text(json.dumps(content))
    for row, engine, found in zip(cases, engines, run_javascript(tmp_path, CODE), strict=True):
        for source, steps in zip(SOURCES, found, strict=True):
            for (log_probs, weights), step in zip(walk(engine, source), steps, strict=True):
                np.testing.assert_allclose(
                    step["log_probs"], log_probs.reshape(-1), atol=1e-4, rtol=0, err_msg=str(row)
                )
                assert (weights is None) == (step["weights"] is None)
                if weights is not None:
                    np.testing.assert_allclose(step["weights"], weights.reshape(-1), atol=1e-4, rtol=0)


PRODUCTS = """
const { read } = await import("./files.js");
const { JavaScriptKernel, WasmKernel } = await import("./products.js");
const module = await WebAssembly.compile(await read("kernel.wasm"));
const cases = [];
for (const rows of [1, 3, 4, 5, 32, 33, 70]) for (const size of [1, 4, 7, 12]) for (const outputs of [1, 5, 64]) {
  const fast = new WasmKernel(module, { sizes: { count: size * outputs, largest: Math.max(size, outputs) } });
  const plain = new JavaScriptKernel();
  const weight = Float32Array.from({ length: size * outputs }, (_, index) => Math.sin(index));
  const inputs = Float32Array.from({ length: rows * size }, (_, index) => Math.cos(3 * index));
  const found = [fast, plain].map((kernel) => {
    const space = kernel.allocate(weight.length);
    space.set(weight);
    const products = new Float32Array(rows * outputs);
    kernel.multiply(inputs, rows, space, products);
    return products;
  });
  cases.push(Math.max(...found[0].map((value, index) => Math.abs(value - found[1][index]))));
}
return cases;
"""


def test_the_compiled_products_are_the_plain_ones(tmp_path: Path) -> None:
    shutil.copytree(SITE, tmp_path, dirs_exist_ok=True)
    assert max(run_javascript(tmp_path, PRODUCTS)) < 1e-5


def test_the_compiled_kernel_is_made_from_its_source() -> None:
    wasmtime = pytest.importorskip("wasmtime")
    assert bytes(wasmtime.wat2wasm((SITE.parent / "kernel.wat").read_text())) == (SITE / "kernel.wasm").read_bytes()


@pytest.mark.parametrize("spread", [1e-6, 1.0, 50.0])
def test_eight_bits_are_within_half_a_level(spread: float) -> None:
    values = np.random.default_rng(1).standard_normal((7, 33), dtype=np.float32) * spread
    values[3] = 0
    levels, scales = quantize_rows(values)
    assert (np.abs(levels * scales[:, None] - values) <= scales[:, None] * 0.5001).all()
