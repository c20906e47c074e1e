"""The model file: one safetensors file with everything that is needed to translate raw text.

It has the weights (a tensor that several layers share is stored once), and in the metadata, as strings:

    format_version     "1"
    config             JSON: the resolved configuration, with names of files but no folders
    source_tokenizer   base64: the SentencePiece model of the source
    target_tokenizer   base64: the SentencePiece model of the target; left out if both sides share one
    provenance         JSON: how the model was made
    header_crc32       checksum of the header, see `nmt.data.tensor_file`
    data_crc32         checksum of the tensors

A shortlist table, if there is one, is stored as the tensors shortlist.translations and shortlist.frequent (int32).

There is no pickle, so loading a file never runs code from it. Equal content is written as equal bytes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from nmt.config.conflicts import conflicts
from nmt.config.file_names import provenance_without_folders, without_folders
from nmt.config.problems import dotted, shorten
from nmt.config.schema import Config, CorpusConfig, DataConfig, DecodingConfig, InitializationConfig, PairConfig
from nmt.config.yaml_document import CoreLoader
from nmt.data.atomic_file import replace_file
from nmt.data.shortlist_table import ShortlistTable
from nmt.data.tensor_file import DATA_CHECKSUM, HEADER_CHECKSUM, Checked, RawTensor, check_tensors, write_tensors
from nmt.data.tokenizer import SubwordModel, Tokenizers
from nmt.errors import CheckpointError, DataError
from nmt.inference.find_model import MODEL_NAME, RUN_CONFIG, STATE_NAME, find_models, is_checkpoint, run_of_checkpoint
from nmt.model import Seq2Seq, build_model
from nmt.small_files import JSONError, parse_json, read_small_file, special_kind

FORMAT_VERSION = 1
SHOWN_NAMES = 8
METADATA = (
    *("format_version", "config", "source_tokenizer", "target_tokenizer", "provenance"),
    *(HEADER_CHECKSUM, DATA_CHECKSUM),
)
"""The keys of the metadata of this version."""
TRAINING_TEXT = "training_text"
"""The key of the provenance with facts about the training text, see `nmt.data.familiarity`."""
PREFIX, SHORTLIST = "shortlist.", ("translations", "frequent")


@dataclass(frozen=True)
class ModelFile:
    """The content of a model file."""

    path: Path
    """Where it was read from, for messages."""
    config: Config
    """The configuration of the training. Its paths are names of files without folders, see `without_folders`."""
    tokenizers: Tokenizers
    weights: dict[str, Tensor]
    """By parameter name; a shared parameter has only its first name."""
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

    def network(self, device: torch.device) -> Seq2Seq:
        """Return the network with these weights on `device`, in evaluation mode.

        Raises:
            CheckpointError: The weights do not fit the network that the configuration describes.
        """
        with torch.device("meta"), _NoInitialization():
            model = build_model(
                self.config.model,
                source_size=self.tokenizers.source.size,
                target_size=self.tokenizers.target.size,
            )
        _check_weights(model, self.weights)
        loaded = {
            id(parameter): nn.Parameter(self.weights[name].to(device, copy=True))
            for name, parameter in model.named_parameters()
        }
        every = model.named_parameters(remove_duplicate=False)
        model.load_state_dict({name: loaded[id(parameter)] for name, parameter in every}, assign=True)
        return model.eval()


def save_model(
    path: Path,
    *,
    weights: Mapping[str, Tensor],
    config: Config,
    tokenizers: Tokenizers,
    provenance: Mapping[str, Any],
    shortlist: ShortlistTable | None = None,
) -> None:
    """Write a model file atomically: it appears under its name when it is complete and on the disk.

    Args:
        path: The file; an existing one is replaced.
        weights: The network's parameters by name.
        config: The resolved configuration. Its paths are stored without folders.
        tokenizers: The subword models.
        provenance: How the model was made; must be serializable as JSON. Its paths are stored without folders.
        shortlist: The shortlist table. None: the file has none.

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
    tensors = _without_copies(weights)
    if shortlist is not None:
        for name in SHORTLIST:
            tensors[PREFIX + name] = torch.from_numpy(getattr(shortlist, name))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as stream:
            write_tensors(stream, raw_tensors(tensors), metadata)
    except OSError as error:
        raise CheckpointError(f"{path}: the model cannot be written: {error.strerror or error}.") from error


class TensorFile(NamedTuple):
    """The content of a safetensors file."""

    tensors: dict[str, Tensor]
    """On the CPU, mapped from the file."""
    metadata: dict[str, str]
    checked: Checked


def read_tensors(path: Path) -> TensorFile:
    """Check and read a safetensors file.

    Raises:
        CheckpointError: The file is missing, damaged, incomplete or of another kind.
    """
    try:
        checked = check_tensors(path)
        with safe_open(path, framework="pt") as stream:
            tensors = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118 (not a dict)
            return TensorFile(tensors, stream.metadata() or {}, checked)
    except (SafetensorError, DataError, OSError) as error:
        raise CheckpointError(_why_unreadable(path, error)) from error


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
    content = read_tensors(path)
    metadata, weights = content.metadata, content.tensors
    _check_version(path, metadata)
    try:
        source = SubwordModel(base64.b64decode(metadata["source_tokenizer"], validate=True))
        target = source
        if "target_tokenizer" in metadata:
            target = SubwordModel(base64.b64decode(metadata["target_tokenizer"], validate=True))
        config = without_folders(_read_config(path, metadata["config"]))
        tokenizers = Tokenizers(source, target).with_direction(right_to_left=config.data.right_to_left)
        shortlist = _take_shortlist(weights, tokenizers)
        return ModelFile(
            path=path,
            config=config,
            tokenizers=tokenizers,
            weights=weights,
            provenance=json.loads(metadata["provenance"]),
            format_version=int(metadata["format_version"]),
            shortlist=shortlist,
            identity=content.checked.identity,
            has_checksums=content.checked.has_checksums,
            metadata=metadata,
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: the model file is damaged: it has no {error.args[0]}.") from error
    except (ValueError, DataError, binascii.Error) as error:
        raise CheckpointError(f"{path}: the model file is damaged: {error}") from error


def _read_config(path: Path, text: str) -> Config:
    """Return the configuration in the metadata, checked as a written one is.

    Options without effect are accepted, because a later version may know more of them.

    Raises:
        CheckpointError: An option is unknown or has a wrong value, options contradict each other, or a name cannot be
            the name of a file.
    """
    try:
        config = Config.model_validate_json(text, strict=True)
    except ValidationError as error:
        options = [dotted(problem["loc"]) for problem in error.errors() if problem["loc"]]
        if not options:
            raise CheckpointError(f"{path}: the model file is damaged: its configuration is not JSON.") from error
        raise CheckpointError(
            f"{path}: the model's configuration has options that this version of nmt cannot use: {_first(options)}."
        ) from error
    found = [conflict for conflict in conflicts(config) if not conflict.ignored]
    if found:
        listed = ". ".join(f"{dotted(conflict.paths[0])}: {conflict.text}" for conflict in found[:SHOWN_NAMES])
        raise CheckpointError(f"{path}: the model's configuration is not valid. {listed}.")
    return config


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
        weights=model.weights,
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
    content = read_tensors(path)
    average = read_tensors(path.with_name("average.safetensors"))
    try:
        base = load_model(best) if best.is_file() else _model_of_run(run)
        state = parse_json(read_small_file(path.with_name(STATE_NAME)), strict=False)
        provenance = {name: value for name, value in base.provenance.items() if name not in ("validation", "tuned")}
        facts = {"update": int(state["train_state"]["update"]), "data_fingerprint": str(state["data_fingerprint"])}
    except (OSError, JSONError, DataError, yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path.parent}: the checkpoint cannot be used as a model: {error}") from error
    if base.config.training.averaging.kind == "ema" and average.tensors:
        content = average
    return replace(
        base, path=path, weights=content.tensors, provenance=provenance | facts, identity=content.checked.identity
    )


def _model_of_run(run: Path) -> ModelFile:
    """Return a model without weights from the files with which a run was started."""
    from nmt.data.preprocess.preprocess import read_models  # slow, and rarely needed

    options = yaml.load(read_small_file(run / RUN_CONFIG), CoreLoader)
    config = without_folders(_read_config(run, json.dumps(options)))
    tokenizers = read_models(run).with_direction(right_to_left=config.data.right_to_left)
    return ModelFile(
        path=run, config=config, tokenizers=tokenizers, weights={}, provenance={}, format_version=FORMAT_VERSION
    )


def _take_shortlist(tensors: dict[str, Tensor], tokenizers: Tokenizers) -> ShortlistTable | None:
    """Take the shortlist table out of a file's tensors.

    Raises:
        KeyError: One of its tensors is missing.
        DataError: The table does not fit the subword models.
    """
    if not any(name.startswith(PREFIX) for name in tensors):
        return None
    table = ShortlistTable(*(tensors.pop(PREFIX + name).numpy() for name in SHORTLIST))
    table.check(tokenizers)
    return table


class _NoInitialization(TorchFunctionMode):
    """Skips the random initialization of new layers, whose weights come from the file.

    Initialization on the meta device imports torch._dynamo, which takes a second.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


def raw_tensors(tensors: Mapping[str, Tensor]) -> dict[str, RawTensor]:
    """Return tensors as bytes for `write_tensors`, without copying those that are contiguous and on the CPU."""
    raw = {}
    for name, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        data = value.reshape(-1).view(torch.uint8).numpy().data  # [bytes]
        raw[name] = RawTensor(_DTYPES[value.dtype], tuple(value.shape), data)
    return raw


def _without_copies(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return `weights` on the CPU, without tensors that share the memory of an earlier one."""
    seen: set[tuple[int, torch.Size, tuple[int, ...]]] = set()
    unique = {}
    for name, value in weights.items():
        key = (value.data_ptr(), value.shape, value.stride())
        if key not in seen or value.numel() == 0:
            unique[name] = value.detach().cpu().contiguous()
        seen.add(key)
    return unique


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


def _why_unreadable(path: Path, error: Exception) -> str:
    """Return a message for a file that is not a complete safetensors file."""
    try:
        kind = special_kind(path)
        if kind is not None:
            return f"{path}: expected a model file, found {kind}."
        with open(path, "rb") as stream:
            start = stream.read(16)
    except FileNotFoundError:
        return f"{path}: no such file."
    except OSError as reason:
        return f"{path}: the file cannot be read: {reason.strerror or reason}."
    if not start:
        return f"{path}: the file is empty."
    if start[8:9] != b"{" and start.startswith((b"PK\x03\x04", b"\x80")):
        return (
            f"{path}: this is a PyTorch or pickle file. It is not loaded, because loading could run code from it. "
            "Use a model file of nmt (best.safetensors)."
        )
    if start[8:9] == b"{":
        return f"{path}: the file is damaged or incomplete. Copy it again. ({error})"
    return f"{path}: this is not a model file. Use a model file of nmt (best.safetensors)."


def _check_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    expected = dict(model.named_parameters())
    known = dict(model.named_parameters(remove_duplicate=False))
    missing = [name for name in expected if name not in weights]
    unexpected = [name for name in weights if name not in known]
    reshaped = [
        f"{name} {list(weights[name].shape)} instead of {list(value.shape)}"
        for name, value in expected.items()
        if name in weights and weights[name].shape != value.shape
    ]
    problems = [
        f"{what}: {_first(names)}"
        for what, names in (("Missing", missing), ("Unexpected", unexpected), ("Of another shape", reshaped))
        if names
    ]
    if problems:
        raise CheckpointError(
            " ".join(["The weights do not fit the model's configuration.", *map("{}.".format, problems)])
        )


def _first(names: Sequence[str]) -> str:
    """Return a list of names as a message shows it."""
    more = f" and {len(names) - SHOWN_NAMES:,} more" if len(names) > SHOWN_NAMES else ""
    return ", ".join(shorten(name) for name in names[:SHOWN_NAMES]) + more
