"""Reads the ONNX graphs beside a model file: the folder that `nmt export onnx` writes is a model.

Its file `best.safetensors` has the metadata of a model file and the constants of the graphs. So every command that
finds, checks and describes models treats the folder as another model, and the network alone is made in another way.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from nmt.data.tensor_file import RawTensor, as_array
from nmt.engine.onnx_runtime import OUTPUT_LAYER, OnnxNetwork
from nmt.errors import CheckpointError, DataError, UsageError
from nmt.inference.find_model import GRAPH_SUFFIX, GRAPHS, NO_WEIGHTS
from nmt.inference.hardware import Hardware, TorchHardware
from nmt.inference.networks import TranslationNetwork
from nmt.small_files import parse_json, read_small_file


class ModelGraphs(NamedTuple):
    """The ONNX graphs of a model."""

    paths: dict[str, Path]
    precision: str
    """fp32 or int8."""
    num_parameters: int
    output_layer: dict[str, NDArray[Any]]
    """The arrays of the output layer."""


class NoWeights(Mapping[str, RawTensor]):
    """The weights of a model of ONNX graphs, which has none. Commands that need weights thus explain what is wrong."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getitem__(self, name: str) -> RawTensor:
        raise self._error()

    def __iter__(self) -> Iterator[str]:
        raise self._error()

    def __len__(self) -> int:
        raise self._error()

    def _error(self) -> UsageError:
        return UsageError(NO_WEIGHTS.format(self._path.parent))


def read_graphs(path: Path, text: str, tensors: Mapping[str, RawTensor]) -> ModelGraphs:
    """Return the graphs beside a model file, whose checksums are checked.

    Raises:
        CheckpointError: A graph is missing or another one than the file says.
        ValueError: The facts in the metadata are damaged.
    """
    facts = parse_json(text, strict=False)
    try:
        checksums = {name: str(facts["crc32"][name]) for name in GRAPHS}
        precision, parameters = str(facts["precision"]), int(facts["parameters"])
    except (LookupError, TypeError) as error:
        raise ValueError("the description of its graphs is incomplete") from error
    paths = {name: path.with_name(f"{name}{GRAPH_SUFFIX}") for name in GRAPHS}
    for name, graph in paths.items():
        try:
            checksum = zlib.crc32(read_small_file(graph))
        except (OSError, DataError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(
                f"{graph}: the graph of the model cannot be read: {reason}. Copy the whole folder, or export the model "
                "again."
            ) from error
        if checksums[name] != f"{checksum:08x}":
            raise CheckpointError(
                f"{graph}: the graph is damaged or belongs to another model. Copy the whole folder, or export the "
                "model again."
            )
    prefix = len(OUTPUT_LAYER)
    layer = {name[prefix:]: as_array(raw) for name, raw in tensors.items() if name.startswith(OUTPUT_LAYER)}
    return ModelGraphs(paths, precision, parameters, layer)


def graph_network(graphs: ModelGraphs, hardware: Hardware, size: int) -> TranslationNetwork:
    """Return the network of graphs, for a vocabulary of `size` target pieces.

    Raises:
        UsageError: The hardware is not a processor, or ONNX Runtime is not installed.
        CheckpointError: The graphs cannot be loaded.
    """
    if isinstance(hardware, TorchHardware):
        raise UsageError("device: ONNX graphs run on a processor. Use --device cpu, or the model file.")
    return OnnxNetwork(graphs.paths, graphs.output_layer, size=size)
