"""The initial weights of a run: random, with pretrained embeddings, or those of a parent; and frozen parameters."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from nmt.config.schema import Config
from nmt.data.tokenizer import Tokenizers
from nmt.errors import ConfigError, UsageError
from nmt.inference.model_file import ModelFile, load_model, save_model
from nmt.model import Seq2Seq, build_model
from nmt.training.pretrained_embeddings import load_vectors
from nmt.training.vocabulary_transfer import transfer_vocabulary


class ParentModel(NamedTuple):
    """The model of `--init-from`."""

    file: Path
    model: ModelFile
    new_vocabulary: bool
    """Train new tokenizers instead of using those of the parent."""

    @property
    def tokenizers(self) -> Tokenizers | None:
        """The tokenizers that the run takes from the parent; None with a new vocabulary."""
        return None if self.new_vocabulary else self.model.tokenizers


class InitialModel(NamedTuple):
    """A model before its first update."""

    model: Seq2Seq
    notes: list[str]
    """Log lines about the initial weights."""


def check_parent(config: Config, parent: ParentModel | None) -> None:
    """Check that a new run has a parent if its options require one.

    Raises:
        UsageError: An option requires a parent, or conflicts with it.
    """
    training, initialization = config.training, config.model.initialization
    if parent is None:
        if training.parent_l2 > 0:
            raise UsageError("training.parent_l2 requires a parent model: add --init-from MODEL")
        if training.objective == "minimum_risk":
            raise UsageError(
                "training.objective minimum_risk requires a trained model: train one with the objective likelihood, "
                "then add --init-from MODEL"
            )
    elif initialization.source_embeddings is not None or initialization.target_embeddings is not None:
        raise UsageError(
            "--init-from conflicts with pretrained embeddings: remove model.initialization.source_embeddings and "
            "target_embeddings"
        )


def make_initial(config: Config, tokenizers: Tokenizers, parent: ParentModel | None, *, resumed: bool) -> InitialModel:
    """Build the model, draw random weights, then load those of a parent or pretrained embeddings.

    Args:
        config: The configuration of the run.
        tokenizers: Its tokenizers.
        parent: The model of --init-from.
        resumed: Do not load embeddings: the weights come from a checkpoint.

    Raises:
        ConfigError: A pattern of `training.frozen` matches no parameter.
        DataError: A file of pretrained embeddings cannot be used.
        CheckpointError: The network of the parent does not fit the configuration.
    """
    model = build_model(config.model, source_size=tokenizers.source.size, target_size=tokenizers.target.size)
    notes = []
    if parent is not None:
        counts = transfer_vocabulary(model, parent.model.weights, parent=parent.model.tokenizers, new=tokenizers)
        notes.append(f"starting from {parent.file}")
        if parent.new_vocabulary:
            notes += [
                f"  {side} vocabulary: {count.kept:,} pieces kept, {count.new:,} new (each starts as the mean of the "
                f"parent's pieces of its text), {count.dropped:,} dropped"
                for side, count in counts.items()
            ]
    elif not resumed:
        notes += _load_embeddings(config, tokenizers, model)
    if config.training.frozen:
        frozen = freeze(model, config.training.frozen)
        total = sum(parameter.numel() for parameter in model.parameters())
        notes.append(f"frozen: {frozen.parameters:,} of {total:,} parameters ({', '.join(frozen.names)})")
    return InitialModel(model, notes)


def _load_embeddings(config: Config, tokenizers: Tokenizers, model: Seq2Seq) -> list[str]:
    options = config.model.initialization
    notes = []
    for side, file, tokenizer, embeddings in (
        ("source", options.source_embeddings, tokenizers.source, model.encoder.embeddings),
        ("target", options.target_embeddings, tokenizers.target, model.decoder.embeddings),
    ):
        if file is not None:
            coverage = load_vectors(file, tokenizer, embeddings.table.weight)
            notes.append(
                f"{file}: vectors for {coverage.matched:,} of {coverage.pieces:,} {side} pieces "
                f"({coverage.matched / max(coverage.pieces, 1):.0%}; {coverage.lowercased:,} in lower case), of mean "
                f"length {coverage.length:.2f}"
            )
    return notes


# -------------------------------------------------------------------------------------------- file in the run folder


def save_initial(file: Path, model: Seq2Seq, config: Config, tokenizers: Tokenizers, parent: ParentModel) -> None:
    """Save the initial model of a run. A resumed run needs its tokenizers, and `parent_l2` its weights.

    Raises:
        CheckpointError: The file cannot be written.
    """
    save_model(
        file,
        weights=dict(model.named_parameters()),
        config=config,
        tokenizers=tokenizers,
        provenance={
            "init_from": str(parent.file),
            "new_vocabulary": parent.new_vocabulary,
            "parent": parent.model.provenance,
        },
    )


def load_initial(file: Path) -> ParentModel | None:
    """Load the file of `save_initial`; None if the run has no parent.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not file.exists():
        return None
    model = load_model(file)
    return ParentModel(file, model, bool(model.provenance["new_vocabulary"]))


def parent_weights(file: Path) -> dict[str, Tensor]:
    """Return the initial weights of a run with a parent."""
    return load_model(file).weights


class FrozenWeights(NamedTuple):
    """The frozen parameters."""

    names: list[str]
    """Names of the parameters, each once."""
    parameters: int
    """Number of scalars in them."""


def freeze(model: nn.Module, patterns: Sequence[str]) -> FrozenWeights:
    """Freeze the parameters whose names match one of `patterns` (`*` and `?` as in file names).

    A parameter shared by several layers is frozen if any of its names matches.

    Raises:
        ConfigError: A pattern matches no parameter, or no parameter is left to train.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        matching = [parameter for name, parameter in named if fnmatchcase(name, pattern)]
        if not matching:
            raise ConfigError(f"training.frozen: no parameter matches {pattern!r}. {_hint(pattern, named)}")
        for parameter in matching:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("training.frozen: all parameters are frozen. Leave at least one parameter to train")
    unique = [(name, parameter) for name, parameter in model.named_parameters() if not parameter.requires_grad]
    return FrozenWeights([name for name, _ in unique], sum(parameter.numel() for _, parameter in unique))


def _hint(pattern: str, named: Sequence[tuple[str, nn.Parameter]]) -> str:
    """Suggest the names nearest to `pattern`, or the groups of parameters."""
    names = [name for name, _ in named]
    parts = {".".join(name.split(".")[:depth]) + ".*" for name in names for depth in (1, 2)}
    near = difflib.get_close_matches(pattern, [*names, *sorted(parts)], n=3, cutoff=0.5)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    groups = sorted({name.split(".")[0] + ".*" for name in names})
    return f"Use the name of a parameter, or a group such as {', '.join(groups)}"
