"""Inputs of an ONNX graph become constants: the same numbers, and damaged files end with an error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from model_options import make_model
from nmt.config.schema import ModelConfig
from nmt.engine import onnx_runtime
from nmt.engine.onnx_constants import with_constants
from nmt.engine.onnx_runtime import OnnxNetwork, OnnxOutputLayer

pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
onnx = pytest.importorskip("onnx", reason="onnx is not installed")

SIZE, PIECES = 24, 300


def output_layer(*, int8: bool) -> tuple[bytes, dict[str, Any], OnnxNetwork]:
    """Return the graph of an output layer, its arrays, and the network."""
    from nmt.export.onnx_network import build_graphs

    options = {"embedding_size": SIZE, "encoder": {"hidden_size": 12}, "decoder": {"hidden_size": SIZE}}
    model = make_model(options, dtype=torch.float32)
    tensors = {name: parameter.detach().numpy() for name, parameter in model.named_parameters()}
    graphs = build_graphs(ModelConfig.model_validate(options), tensors.__getitem__, int8=int8)
    contents = {graph.name: graph.model("test").SerializeToString() for graph in graphs[:3]}
    return (
        contents["output"],
        graphs.output_layer,
        OnnxNetwork(contents, graphs.output_layer, size=len(model.output.bias)),
    )


@pytest.mark.parametrize("int8", [False, True])
def test_the_graph_has_the_constants_and_the_other_inputs(int8: bool) -> None:
    content, arrays, _ = output_layer(int8=int8)
    before, after = onnx.load_from_string(content), onnx.load_from_string(with_constants(content, arrays))
    onnx.checker.check_model(after)
    assert {each.name for each in after.graph.input} == {each.name for each in before.graph.input} - set(arrays)
    constants = {each.name: onnx.numpy_helper.to_array(each) for each in after.graph.initializer}
    for name, array in arrays.items():
        np.testing.assert_array_equal(constants[name], array)
    for part in ("node", "output"):
        assert getattr(after.graph, part) == getattr(before.graph, part)
    assert onnx.load_from_string(with_constants(content, {})) == before
    for length in (1, len(content) // 2, len(content) - 1):
        with pytest.raises(ValueError, match=r"cut off|unknown"):
            with_constants(content[:length], arrays)


def test_many_rows_give_the_numbers_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, network = output_layer(int8=True)
    random = np.random.default_rng(1)
    outputs = np.tanh(random.normal(size=(12, SIZE))).astype(np.float32)
    columns = random.integers(0, 9, (12, 5))
    ids = np.array([0, 1, 2, 3, 5, 6, 9, 10, 11])

    def results(output: OnnxOutputLayer) -> list[Any]:
        return [output(outputs), output.own_logits(outputs, columns), output.log_probs(outputs)]

    expected = results(network.restricted_output(ids))
    every = network.log_probs(outputs)
    monkeypatch.setattr(onnx_runtime, "MANY_ROWS", 1)
    monkeypatch.setattr(onnx_runtime, "WORTH_ROWS", 12)
    output = network.restricted_output(ids)
    for _ in range(3):
        for found, wanted in zip(results(output), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    assert expected[0].shape == (12, len(ids))
    np.testing.assert_array_equal(network.log_probs(outputs), every)
