"""The model file: one safetensors file with everything that is needed to translate raw text.

It has the weights (a tensor that several layers share is stored once), and in the metadata, as strings:

    format_version     "1"
    config             JSON: the resolved configuration, with names of files but no folders
    source_tokenizer   base64: the SentencePiece model of the source
    target_tokenizer   base64: the SentencePiece model of the target; left out if both sides share one
    provenance         JSON: how the model was made
    graphs             JSON: for a folder of ONNX graphs, the precision, the number of parameters, and the checksum of
                       each graph; the tensors are the constants of the graphs
    header_crc32       checksum of the header, see `nmt.data.tensor_file`
    data_crc32         checksum of the tensors

A shortlist table, if there is one, is stored as the tensors shortlist.translations and shortlist.frequent (int32).

There is no pickle, so loading a file never runs code from it. Equal content is written as equal bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from nmt.config.conflicts import conflicts
from nmt.config.file_names import provenance_without_folders, without_folders
from nmt.config.problems import dotted, shorten
from nmt.config.schema import (
    MAX_CHARACTERS,
    Config,
    CorpusConfig,
    DataConfig,
    DecodingConfig,
    InitializationConfig,
    PairConfig,
)
from nmt.data.atomic_file import replace_file
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.tensor_file import (
    DATA_CHECKSUM,
    HEADER_CHECKSUM,
    RawTensor,
    as_array,
    as_raw,
    check_tensors,
    map_tensors,
    write_tensors,
)
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.engine import InferenceNetwork
from nmt.engine.weights import SHOWN_NAMES, some_names
from nmt.errors import CheckpointError, DataError, NMTError
from nmt.inference.find_model import MODEL_NAME, RUN_CONFIG, STATE_NAME, find_models, is_checkpoint, run_of_checkpoint
from nmt.inference.hardware import Hardware, TorchHardware
from nmt.inference.networks import TranslationNetwork
from nmt.small_files import JSONError, parse_json, read_small_file

if TYPE_CHECKING:
    from torch import Tensor

    from nmt.inference.graph_files import ModelGraphs

FORMAT_VERSION = 1
METADATA = (
    *("format_version", "config", "source_tokenizer", "target_tokenizer", "provenance", "graphs"),
    *(HEADER_CHECKSUM, DATA_CHECKSUM),
)
"""The keys of the metadata of this version."""
TRAINING_TEXT = "training_text"
"""The key of the provenance with facts about the training text, see `nmt.data.familiarity`."""
VALIDATION, VALIDATION_SIGNATURES = "validation", "validation_signatures"
"""The keys of the provenance with the scores of the validation set, and with the signatures of sacreBLEU."""
WEIGHT_TYPES = ("F32", "F16", "BF16", "F64")
"""Types of stored weights. Networks compute in float32."""
PREFIX, SHORTLIST = "shortlist.", ("translations", "frequent")


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file."""

    path: Path
    """Where it was read from, for messages."""
    config: Config
    """The configuration of the training. Its paths are names of files without folders, see `without_folders`."""
    tokenizers: Tokenizers
    tensors: Mapping[str, RawTensor]
    """The weights by parameter name; a shared parameter has only its first name."""
    provenance: dict[str, Any]
    format_version: int
    shortlist: ShortlistTable | None = None
    """Which pieces a translation may use, with `decoding.shortlist`."""
    identity: str = ""
    """16 digits that depend on every byte of the file."""
    has_checksums: bool = False
    """Whether the file has checksums, which are right if it could be loaded."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """All metadata as they are stored."""
    release: Callable[[], None] | None = None
    """Frees the memory of the weights that have been read."""
    graphs: ModelGraphs | None = None
    """The ONNX graphs that compute the network. `tensors` then raises a UsageError."""

    @property
    def num_parameters(self) -> int:
        """The number of weights."""
        if self.graphs is not None:
            return self.graphs.num_parameters
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def weights(self) -> dict[str, Tensor]:
        """The weights as tensors of torch, which share the memory of the file."""
        from nmt.inference.torch_tensors import torch_tensors

        return torch_tensors(self.tensors)

    def stored_config(self) -> Config:
        """Return the configuration as it is stored, with the folders that older files have in paths.

        A checkpoint without a model file has the configuration of its run, without folders.

        Raises:
            CheckpointError: The configuration is not valid.
        """
        return _read_config(self.path, self.metadata["config"]) if self.metadata else self.config

    def with_decoding(self, decoding: DecodingConfig) -> ModelFile:
        """Return the model with other decoding options."""
        return replace(self, config=self.config.model_copy(update={"decoding": decoding}))

    def network(self, hardware: Hardware) -> TranslationNetwork:
        """Return the network with these weights for `hardware`.

        Raises:
            CheckpointError: The weights do not fit the network that the configuration describes, or are not finite.
        """
        try:
            if self.graphs is not None:
                from nmt.inference.graph_files import graph_network  # most models have no graphs

                return graph_network(self.graphs, hardware, self.tokenizers.target.size)
            if not self.has_checksums:  # an intact file of nmt has finite weights
                _check_finite(self.tensors)
            return self._network(hardware)
        except CheckpointError as error:
            raise CheckpointError(f"{self.path}: {error}") from error
        except (ValueError, RuntimeError) as error:
            reason = shorten(str(error).partition("\n")[0])
            raise CheckpointError(f"{self.path}: its network cannot be built: {reason}.") from error

    def _network(self, hardware: Hardware) -> TranslationNetwork:
        sizes = {"source_size": self.tokenizers.source.size, "target_size": self.tokenizers.target.size}
        if isinstance(hardware, TorchHardware):
            from nmt.inference.torch_network import TorchNetwork
            from nmt.inference.torch_tensors import load_network

            network = load_network(self.config.model, self.weights, device=hardware.device, **sizes)
            return TorchNetwork(network, hardware.graphs)
        arrays = {name: as_array(raw) for name, raw in self.tensors.items()}
        return InferenceNetwork(self.config.model, arrays, release=self.release, **sizes)


def save_model(
    path: Path,
    *,
    weights: Mapping[str, Tensor] | Mapping[str, RawTensor],
    config: Config,
    tokenizers: Tokenizers,
    provenance: Mapping[str, Any],
    shortlist: ShortlistTable | None = None,
    graphs: Mapping[str, Any] | None = None,
) -> None:
    """Write a model file atomically: it appears under its name when it is complete and on the disk.

    Args:
        path: The file; an existing one is replaced.
        weights: The network's parameters by name.
        config: The resolved configuration. Its paths are stored without folders.
        tokenizers: The subword models.
        provenance: How the model was made; must be serializable as JSON. Its paths are stored without folders.
        shortlist: The shortlist table. None: the file has none.
        graphs: Facts about the ONNX graphs whose constants the weights are; see `nmt.export.onnx_files`. None: the
            weights are those of a network.

    Raises:
        CheckpointError: The file cannot be written.
    """
    metadata = {
        "format_version": str(FORMAT_VERSION),
        "config": json.dumps(without_folders(config).model_dump(mode="json"), ensure_ascii=False),
        "source_tokenizer": base64.b64encode(tokenizers.source.model_bytes).decode("ascii"),
        "provenance": json.dumps(provenance_without_folders(provenance), ensure_ascii=False),
    }
    if tokenizers.target.model_bytes != tokenizers.source.model_bytes:
        metadata["target_tokenizer"] = base64.b64encode(tokenizers.target.model_bytes).decode("ascii")
    if graphs is not None:
        metadata["graphs"] = json.dumps(graphs)
    tensors = _raw(weights)
    if shortlist is not None:
        for name in SHORTLIST:
            tensors[PREFIX + name] = as_raw(getattr(shortlist, name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as stream:
            write_tensors(stream, tensors, metadata)
    except OSError as error:
        raise CheckpointError(f"{path}: the model cannot be written: {error.strerror or error}.") from error


def _raw(weights: Mapping[str, Any]) -> dict[str, RawTensor]:
    """Return weights as bytes: tensors of torch, or weights of a model file."""
    if all(isinstance(value, RawTensor) for value in weights.values()):
        return dict(weights)
    from nmt.inference.torch_tensors import raw_tensors, without_copies

    return raw_tensors(without_copies(weights))


def model_identity(path: Path) -> str:
    """Return the identity of a model file or of the weights of a checkpoint; see `ModelFile.identity`.

    Raises:
        CheckpointError: The file is missing, damaged, incomplete or of another kind.
    """
    return check_tensors(path).identity


def load_models(paths: Sequence[Path | str] | None) -> list[ModelFile]:
    """Load models, each a model file or the folder of a run; None: the one that `find_models` finds.

    Raises:
        UsageError: A path does not exist, or no model is named.
        CheckpointError: A file is not a model file, or it is damaged.
    """
    return [load_model(path) for path in find_models(paths)]


def load_model(path: Path) -> ModelFile:
    """Read a model file, or the weights of a checkpoint with what its run has beside them.

    The file may come from a stranger: its configuration passes the checks of a written one, and its paths lose their
    folders, so that no command reads or writes where the file says.

    Raises:
        CheckpointError: The file is missing, damaged, not a model file, or has another format version.
    """
    if is_checkpoint(path):
        return _load_checkpoint(path)
    content = map_tensors(path)
    metadata, tensors = content.metadata, content.tensors
    _check_version(path, metadata)
    try:
        source = SubwordModel(base64.b64decode(metadata["source_tokenizer"], validate=True))
        target = source
        if "target_tokenizer" in metadata:
            target = SubwordModel(base64.b64decode(metadata["target_tokenizer"], validate=True))
        config = without_folders(_read_config(path, metadata["config"]))
        tokenizers = Tokenizers(source, target).with_direction(right_to_left=config.data.right_to_left)
        shortlist = _take_shortlist(tensors, tokenizers)
        graphs = None
        weights: Mapping[str, RawTensor] = tensors
        if "graphs" in metadata:
            from nmt.inference.graph_files import NoWeights, read_graphs

            graphs, weights = read_graphs(path, metadata["graphs"], tensors), NoWeights(path)
            config = _for_graphs(config)
        else:
            _check_types(tensors)
        return ModelFile(
            path=path,
            config=config,
            tokenizers=tokenizers,
            tensors=weights,
            graphs=graphs,
            provenance=_read_provenance(metadata["provenance"]),
            format_version=int(metadata["format_version"]),
            shortlist=shortlist,
            identity=content.checked.identity,
            has_checksums=content.checked.has_checksums,
            metadata=metadata,
            release=content.release,
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: the model file is damaged: it has no {error.args[0]}.") from error
    except (ValueError, DataError, binascii.Error) as error:
        raise CheckpointError(f"{path}: the model file is damaged: {str(error).rstrip('.')}.") from error


def _read_config(path: Path, text: str) -> Config:
    """Return the configuration in the metadata, checked as a written one is.

    Options without effect are accepted, because a later version may know more of them.

    Raises:
        CheckpointError: An option is unknown or has a wrong value, options contradict each other, or a name cannot be
            the name of a file.
    """
    if len(text) > MAX_CHARACTERS:
        raise CheckpointError(f"{path}: the model's configuration is longer than {MAX_CHARACTERS:,} characters.")
    try:
        config = Config.model_validate_json(text, strict=True)
    except ValidationError as error:
        options = [dotted(problem["loc"]) for problem in error.errors() if problem["loc"]]
        if not options:
            raise CheckpointError(f"{path}: the model file is damaged: its configuration is not JSON.") from error
        raise CheckpointError(
            f"{path}: the model's configuration has options that this version of nmt cannot use: {some_names(options)}."
        ) from error
    found = [conflict for conflict in conflicts(config) if not conflict.ignored]
    if found:
        listed = ". ".join(f"{dotted(conflict.paths[0])}: {conflict.text}" for conflict in found[:SHOWN_NAMES])
        raise CheckpointError(f"{path}: the model's configuration is not valid. {listed}.")
    return config


def _for_graphs(config: Config) -> Config:
    """Return a configuration whose options of computation are those of the graphs, which run on a processor."""
    decoding = config.decoding.model_copy(update={"device": "cpu", "precision": "fp32"})
    return config.model_copy(update={"decoding": decoding})


def _read_provenance(text: str) -> dict[str, Any]:
    """Return the provenance in the metadata.

    Raises:
        ValueError: It is not a JSON object.
    """
    value = parse_json(text, strict=False)
    if not isinstance(value, dict):
        raise ValueError("its provenance is not an object")
    return value


def without_provenance(model: ModelFile) -> ModelFile:
    """Return a model with only what translation needs: no name, no origin, no names of texts, no training options.

    The scripts of the training text stay, because the quality flags of translations depend on them.
    """
    config = model.config
    data = DataConfig(
        source_language=config.data.source_language,
        target_language=config.data.target_language,
        train=[CorpusConfig(source="source", target="target")],
        valid=PairConfig(source="source", target="target"),
        filters=config.data.filters,
        right_to_left=config.data.right_to_left,
        shortlist=config.data.shortlist,
    )
    kept = Config(
        license=config.license,
        data=data,
        tokenizer=config.tokenizer,
        model=config.model.model_copy(update={"initialization": InitializationConfig()}),
        decoding=config.decoding,
        evaluation=config.evaluation,
    )
    provenance = {key: model.provenance[key] for key in (TRAINING_TEXT,) if key in model.provenance}
    return replace(model, config=kept, provenance=provenance)


def write_model(model: ModelFile, path: Path) -> None:
    """Write a model to another file.

    Raises:
        CheckpointError: The file cannot be written.
    """
    save_model(
        path,
        weights=model.tensors,
        config=model.config,
        tokenizers=model.tokenizers,
        provenance=model.provenance,
        shortlist=model.shortlist,
    )


def _load_checkpoint(path: Path) -> ModelFile:
    """Return the model of a checkpoint: the moving average of the weights, or the weights of a run without one.

    Configuration, subword models and shortlist are those of the best model of the run, or of the run if no model was
    saved yet.

    Raises:
        CheckpointError: A file is missing or damaged.
    """
    run = run_of_checkpoint(path)
    best = run / MODEL_NAME
    content = map_tensors(path)
    average = map_tensors(path.with_name("average.safetensors"))
    try:
        base = load_model(best) if best.is_file() else _model_of_run(run)
        state = parse_json(read_small_file(path.with_name(STATE_NAME)), strict=False)
        provenance = dict(base.provenance)
        for name in (VALIDATION, VALIDATION_SIGNATURES, "tuned"):
            provenance.pop(name, None)
        facts = {"update": int(state["train_state"]["update"]), "data_fingerprint": str(state["data_fingerprint"])}
    except (OSError, JSONError, NMTError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.parent}: the checkpoint cannot be used as a model: {error}") from error
    if base.config.training.averaging.kind == "ema" and average.tensors:
        content = average
    return replace(
        base,
        path=path,
        tensors=content.tensors,
        provenance=provenance | facts,
        identity=content.checked.identity,
        release=content.release,
    )


def _model_of_run(run: Path) -> ModelFile:
    """Return a model without weights from the files with which a run was started."""
    from nmt.config.yaml_document import read_values  # slow, and rarely needed
    from nmt.data.preprocess.preprocess import read_models

    options = read_values(run / RUN_CONFIG)
    config = without_folders(_read_config(run, json.dumps(options)))
    tokenizers = read_models(run).with_direction(right_to_left=config.data.right_to_left)
    return ModelFile(
        path=run, config=config, tokenizers=tokenizers, tensors={}, provenance={}, format_version=FORMAT_VERSION
    )


def _take_shortlist(tensors: dict[str, RawTensor], tokenizers: Tokenizers) -> ShortlistTable | None:
    """Take the shortlist table out of a file's tensors.

    Raises:
        KeyError: One of its tensors is missing.
        DataError: The table does not fit the subword models.
    """
    if not any(name.startswith(PREFIX) for name in tensors):
        return None
    arrays = [tensors.pop(PREFIX + name) for name in SHORTLIST]
    if any(array.dtype != "I32" for array in arrays):
        raise DataError("the shortlist table is damaged: its arrays have wrong types")
    table = ShortlistTable(*map(as_array, arrays))
    table.check(tokenizers)
    return table


def _check_types(tensors: Mapping[str, RawTensor]) -> None:
    """Check the types of the weights.

    Raises:
        ValueError: One is not a type of weights. The message names it.
    """
    for name, value in tensors.items():
        if value.dtype not in WEIGHT_TYPES:
            raise ValueError(f"the tensor {shorten(name)} has the type {value.dtype}, expected F32")


def _check_finite(tensors: Mapping[str, RawTensor]) -> None:
    """Check that all weights are numbers.

    Raises:
        CheckpointError: One has infinite or undefined values.
    """
    for name, raw in tensors.items():
        if not np.isfinite(as_array(raw)).all():
            raise CheckpointError(f"the tensor {shorten(name)} has infinite or undefined values. Use another file.")


def _check_version(path: Path, metadata: Mapping[str, str]) -> None:
    if "format_version" not in metadata:
        raise CheckpointError(f"{path}: this is a safetensors file, but not a model file of nmt.")
    version = metadata["format_version"]
    if version == str(FORMAT_VERSION):
        return
    newer = version.isdigit() and int(version) > FORMAT_VERSION
    hint = "Update nmt" if newer else "The file cannot be converted"
    raise CheckpointError(
        f"{path}: the model file has format version {version}, but this nmt reads version {FORMAT_VERSION}. {hint}."
    )
