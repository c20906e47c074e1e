"""Writes a model as a folder of ONNX graphs, SentencePiece models, options and a README with a search."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
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
from nmt.data.tensor_file import as_array
from nmt.data.text_form import IGNORABLE, LINE_SPACES
from nmt.data.tokenizer import SubwordModel
from nmt.errors import CheckpointError, UsageError
from nmt.export.onnx_network import MEMORY, build_graphs
from nmt.export.onnx_runtime import OnnxNetwork
from nmt.inference.batch_search import DEFAULT_MAX_LENGTH_RATIO
from nmt.inference.hardware import Processor
from nmt.inference.model_file import ModelFile
from nmt.inference.networks import TranslationNetwork
from nmt.inference.segmentation import max_segment_pieces, sentence_separator
from nmt.search import make_length_normalization

OPTIONS_NAME = "translation.json"
FILES = ("encoder.onnx", "step.onnx", "source.spm", "target.spm", OPTIONS_NAME, "README.md")
FORMAT_VERSION = 1
MAX_BYTES = 2**31 - 2**20
"""Size of a graph that a file of ONNX can hold."""
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
        UsageError: The folder has other files, another process writes it, or int8 requires a missing package.
        CheckpointError: The weights do not fit the configuration, are too large for a file, or the graphs compute
            something else than the engine.
    """
    require_own_folder(folder, FILES, OPTIONS_NAME, overwrite=overwrite)
    network = model.network(Processor(1))  # which checks the weights
    with lock_folder(folder), atomic_folder(folder.resolve()) as temporary:
        encoder, step = build_graphs(model.config.model, lambda name: as_array(model.tensors[name]).astype(np.float32))
        for graph in (encoder, step):
            if graph.num_bytes > MAX_BYTES:
                raise CheckpointError(
                    f"{model.path}: the model cannot be exported. Its {graph.name} is larger than 2 GiB, the limit of "
                    "an ONNX file."
                )
            path = temporary / f"{graph.name}.onnx"
            path.write_bytes(graph.model(f"nmt {__version__}").SerializeToString())
            if int8:
                _quantize(path)
        for side in ("source", "target"):
            (temporary / f"{side}.spm").write_bytes(getattr(model.tokenizers, side).model_bytes)
        with files("nmt.export").joinpath("onnx_readme.md").open("rb") as stream:
            (temporary / "README.md").write_bytes(stream.read())
        differences = compare(network, OnnxNetwork(temporary / "encoder.onnx", temporary / "step.onnx"), model)
        if not int8 and not differences["max"] <= TOLERANCE:
            raise CheckpointError(
                f"{model.path}: the exported graphs differ from the model by {differences['max']:.2g} in a "
                "log-probability. Nothing was written. This is a bug. Please report it."
            )
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


def compare(network: TranslationNetwork, exported: OnnxNetwork, model: ModelFile) -> dict[str, float]:
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


def _quantize(path: Path) -> None:
    """Store the matrices of a graph in 8 bits, with a scale for each column; inputs are quantized in each product."""
    if importlib.util.find_spec("onnxruntime") is None:
        raise UsageError('--int8 requires ONNX Runtime. Run: pip install "attention-nmt[onnx]"')
    import logging

    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = path.with_suffix(".fp32")
    shutil.move(path, whole)
    level, handlers = logging.root.level, logging.root.handlers[:]
    logging.root.setLevel(logging.ERROR)  # it recommends a step that these graphs do not need
    try:
        quantize_dynamic(
            whole, path, op_types_to_quantize=["MatMul", "LSTM"], per_channel=True, weight_type=QuantType.QInt8
        )
    finally:
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers  # its messages add one
    whole.unlink()


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
