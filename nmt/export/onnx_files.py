"""Writes a model as a folder of ONNX graphs, SentencePiece models, options and a README with a search.

The graphs have their large constants in `best.safetensors`. That file is the model file of the folder for nmt: it has
the metadata of a model file, and the checksums of the graphs.
"""

from __future__ import annotations

import functools
import json
import re
import zlib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt import __version__
from nmt.config.file_names import provenance_without_folders
from nmt.data.atomic_folder import atomic_folder, require_own_folder
from nmt.data.folder_lock import lock_folder
from nmt.data.special_tokens import BOS, EOS, PAD, UNK
from nmt.data.tensor_file import as_array, as_raw, map_tensors
from nmt.data.text_form import IGNORABLE, LINE_SPACES
from nmt.data.tokenizer import SubwordModel
from nmt.engine.onnx_runtime import MEMORY, OUTPUT_LAYER
from nmt.errors import CheckpointError
from nmt.export.onnx_graph import Location
from nmt.export.onnx_network import NetworkGraphs, build_graphs
from nmt.inference.batch_search import DEFAULT_MAX_LENGTH_RATIO
from nmt.inference.find_model import GRAPH_SUFFIX, GRAPHS, MODEL_NAME
from nmt.inference.hardware import Processor
from nmt.inference.model_file import ModelFile, load_model, save_model
from nmt.inference.networks import TranslationNetwork
from nmt.inference.segmentation import max_segment_pieces, sentence_separator
from nmt.search import make_length_normalization

OPTIONS_NAME = "translation.json"
FILES = (
    *(f"{name}{GRAPH_SUFFIX}" for name in GRAPHS),
    *(MODEL_NAME, "source.spm", "target.spm", OPTIONS_NAME, "README.md"),
)
FORMAT_VERSION = 1
SMALL_BYTES = 1024
"""Constants up to this size are stored in the graphs."""
TOLERANCE = 1e-3
"""Greatest difference of a log-probability between the graphs in float32 and the engine."""
MAX_LENGTH = 2**31 - 1
CHECK_SENTENCES, CHECK_BEAM, CHECK_STEPS = 4, 3, 5


def export_onnx(model: ModelFile, folder: Path, *, int8: bool = False, overwrite: bool = False) -> dict[str, float]:
    """Write a model as a folder, which appears when it is complete, and compare it with the engine.

    Args:
        model: The model.
        folder: A folder that does not exist, or an empty one.
        int8: Whether the weights of matrix products are stored and multiplied in 8 bits.
        overwrite: Whether an earlier export in the folder may be replaced.

    Returns:
        The greatest and the mean difference of log-probabilities on random pieces; see `compare`.

    Raises:
        UsageError: The folder has other files, or another process writes it.
        CheckpointError: The weights do not fit the configuration, or the graphs compute something else than the engine.
    """
    require_own_folder(folder, FILES, OPTIONS_NAME, overwrite=overwrite)
    network = model.network(Processor(1))  # which checks the weights

    @functools.cache
    def parameters(name: str) -> NDArray[np.float32]:
        return as_array(model.tensors[name]).astype(np.float32, copy=False)

    graphs = build_graphs(model.config.model, parameters, int8=int8)
    with lock_folder(folder), atomic_folder(folder.resolve()) as temporary:
        _write_graphs(temporary, graphs, model, int8=int8)
        for side in ("source", "target"):
            (temporary / f"{side}.spm").write_bytes(getattr(model.tokenizers, side).model_bytes)
        with files("nmt.export").joinpath("onnx_readme.md").open("rb") as stream:
            (temporary / "README.md").write_bytes(stream.read())
        differences = compare(network, load_model(temporary / MODEL_NAME).network(Processor(1)), model)
        if not int8 and not differences["max"] <= TOLERANCE:
            raise CheckpointError(
                f"{model.path}: the exported graphs differ from the model by {differences['max']:.2g} in a "
                "log-probability. Nothing was written. This is a bug. Please report it."
            )
        encoder, step = graphs.encoder, graphs.step
        options = _options(model, int8=int8) | {
            "difference": differences,
            "memory": [name for name in encoder.outputs if name in MEMORY],
            "state": [name for name in encoder.outputs if name not in MEMORY],
            "graphs": {
                graph.name: {
                    side: {name: {"type": kind, "shape": shape} for name, (kind, shape) in values.items()}
                    for side, values in (("inputs", graph.inputs), ("outputs", graph.outputs))
                }
                for graph in (encoder, step)
            },
        }
        text = json.dumps(options, indent=2, ensure_ascii=False, allow_nan=False)
        (temporary / OPTIONS_NAME).write_text(f"{text}\n", encoding="utf-8")
    return differences


def _write_graphs(folder: Path, graphs: NetworkGraphs, model: ModelFile, *, int8: bool) -> None:
    """Write the graphs, and the model file with their constants, which it locates for them."""
    constants = {f"{OUTPUT_LAYER}{name}": array for name, array in graphs.output_layer.items()}
    named = {id(array) for array in constants.values()}
    for graph in (graphs.encoder, graphs.step, graphs.output):
        for name, array in graph.constants.items():
            if id(array) not in named and array.nbytes > SMALL_BYTES:
                constants[f"{graph.name}.{name}"] = array
                named.add(id(array))
    tensors = {name: as_raw(array) for name, array in constants.items()}

    def save(checksums: Mapping[str, str]) -> None:
        facts = {"precision": "int8" if int8 else "fp32", "parameters": model.num_parameters, "crc32": checksums}
        save_model(
            folder / MODEL_NAME,
            weights=tensors,
            config=model.config,
            tokenizers=model.tokenizers,
            provenance=model.provenance,
            shortlist=model.shortlist,
            graphs=facts,
        )

    save(dict.fromkeys(GRAPHS, "0" * 8))  # the header has its final length
    offsets = map_tensors(folder / MODEL_NAME).offsets
    locations = {id(array): Location(MODEL_NAME, offsets[name]) for name, array in constants.items()}
    checksums = {}
    for name in GRAPHS:
        content = getattr(graphs, name).model(f"nmt {__version__}", locations).SerializeToString()
        (folder / f"{name}{GRAPH_SUFFIX}").write_bytes(content)
        checksums[name] = f"{zlib.crc32(content):08x}"
    save(checksums)


def compare(network: TranslationNetwork, exported: TranslationNetwork, model: ModelFile) -> dict[str, float]:
    """Compare graphs with the engine on random source pieces, for some steps of a beam of its best pieces.

    Returns:
        The greatest ("max") and the mean ("mean") absolute difference of the log-probabilities above -20.
    """
    random = np.random.default_rng(1)
    sizes = model.tokenizers.source.size, model.tokenizers.target.size
    lengths = np.arange(CHECK_SENTENCES) * 3 + 1  # [B]
    source = random.integers(min(EOS + 1, sizes[0] - 1), sizes[0], (CHECK_SENTENCES, int(lengths.max())))  # [B, S]
    positions = np.arange(source.shape[1])
    source = np.where(positions < lengths[:, None] - 1, source, np.where(positions < lengths[:, None], EOS, PAD))
    rows = np.arange(CHECK_SENTENCES).repeat(CHECK_BEAM)  # [R]
    memory, found_memory = network.encode(source, lengths), exported.encode(source, lengths)
    state = network.init_state(memory).select(rows)
    found_state = exported.init_state(found_memory).select(rows)
    ids = np.full(len(rows), BOS)
    differences: list[NDArray[np.float32]] = []
    for _ in range(CHECK_STEPS):
        expected, found = network.step(ids, state, memory), exported.step(ids, found_state, found_memory)
        likely = expected.log_probs > -20
        differences.append(np.abs(found.log_probs - expected.log_probs)[likely])
        best = np.argsort(-expected.log_probs[:, EOS:], axis=1)[:, :CHECK_BEAM] + EOS  # [R, K]
        ids = best[np.arange(len(rows)), np.minimum(np.arange(len(rows)) % CHECK_BEAM, best.shape[1] - 1)]
        state, found_state = expected.state, found.state
    every = np.concatenate(differences)
    return {"max": float(every.max()), "mean": float(every.mean())}


def _options(model: ModelFile, *, int8: bool) -> dict[str, Any]:
    """Return what a search needs besides the graphs."""
    config, decoding = model.config, model.config.decoding
    normalization = make_length_normalization(decoding.length_normalization, decoding.alpha)
    source, target = model.tokenizers.source, model.tokenizers.target
    ratio = decoding.max_length_ratio
    return {
        "format": "nmt-onnx",
        "format_version": FORMAT_VERSION,
        "nmt_version": __version__,
        "source_language": config.data.source_language,
        "target_language": config.data.target_language,
        "precision": "int8" if int8 else "fp32",
        "special_pieces": {"pad": PAD, "unk": UNK, "bos": BOS, "eos": EOS},
        "search": {
            "beam_size": decoding.beam_size,
            "length_normalization": normalization.kind,
            "alpha": normalization.alpha,
            "stopping": decoding.stopping,
            "max_length_ratio": DEFAULT_MAX_LENGTH_RATIO if ratio is None else ratio,
            "max_length_constant": decoding.max_length_constant,
            "max_length": MAX_LENGTH if decoding.max_length is None else decoding.max_length,
            "max_source_pieces": max_segment_pieces([config], {}),
        },
        "text": {
            "normalization": config.tokenizer.normalization,
            "form": None if target.form is None else target.form.form,
            "spelling": {} if target.form is None else dict(target.form.spelling),
            **_patterns(source),
            "right_to_left": target.right_to_left,
            "separator": sentence_separator(config.data.target_language, target),
            "user_symbols": config.tokenizer.user_symbols,
        },
        "model": {
            "name": config.name,
            "identity": model.identity,
            "provenance": provenance_without_folders(model.provenance),
        },
    }


def _patterns(source: SubwordModel) -> dict[str, str]:
    """Return the characters that are read as a space, and those that are removed, as character classes.

    White space and invisible characters that the vocabulary has are kept.
    """
    foreign = source.foreign_characters()
    spaces = "".join(chr(number) for number, text in foreign.items() if text == " ")
    removed = "".join(chr(number) for number, text in foreign.items() if text == "")
    known = "".join(source.pieces(range(source.size)))
    kept = "".join(sorted(set(re.findall(f"[{IGNORABLE}]", known))))
    unless = f"(?![{kept}])" if kept else ""
    return {"spaces": f"[{LINE_SPACES}{spaces}]", "removed": f"{unless}[{IGNORABLE}{removed}]"}
