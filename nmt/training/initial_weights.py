"""The model that training starts with: random, with pretrained embeddings, or a parent's; and what of it is frozen."""

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
    """The model that a run starts from."""

    file: Path
    model: ModelFile
    new_vocabulary: bool
    """Whether the run learns subword models of its own."""

    @property
    def tokenizers(self) -> Tokenizers | None:
        """The subword models that the run takes over."""
        return None if self.new_vocabulary else self.model.tokenizers


class InitialModel(NamedTuple):
    """A model before its first update."""

    model: Seq2Seq
    notes: list[str]
    """What was done, for the log."""


def check_parent(config: Config, parent: ParentModel | None) -> None:
    """Check that a new run has the parent that its options need, and none where they do not go together.

    Raises:
        UsageError: It has not.
    """
    training, initialization = config.training, config.model.initialization
    if parent is None:
        if training.parent_l2 > 0:
            raise UsageError("training.parent_l2 keeps weights near those of a parent: name it with --init-from")
        if training.objective == "minimum_risk":
            raise UsageError(
                "training.objective minimum_risk improves a model that translates already: train one with the "
                "objective likelihood first, then name it with --init-from"
            )
    elif initialization.source_embeddings is not None or initialization.target_embeddings is not None:
        raise UsageError(
            "--init-from brings its own embeddings: leave out model.initialization.source_embeddings and "
            "target_embeddings"
        )


def make_initial(config: Config, tokenizers: Tokenizers, parent: ParentModel | None, *, resumed: bool) -> InitialModel:
    """Build the model, draw its weights, and put in what is known before training.

    Args:
        config: The experiment.
        tokenizers: Its subword models.
        parent: What it starts from.
        resumed: Leave the weights random: a checkpoint brings them.

    Raises:
        ConfigError: `training.frozen` names what is not there.
        DataError: A file of vectors cannot be used.
        CheckpointError: The parent is of another shape.
    """
    model = build_model(config.model, source_size=tokenizers.source.size, target_size=tokenizers.target.size)
    notes = []
    if parent is not None:
        counts = transfer_vocabulary(model, parent.model.weights, parent=parent.model.tokenizers, new=tokenizers)
        notes.append(f"starting from {parent.file}")
        if parent.new_vocabulary:
            notes += [
                f"  {side} vocabulary: {found.kept:,} pieces kept, {found.new:,} new (each starts as the mean of the "
                f"parent's pieces of its text), {found.dropped:,} dropped"
                for side, found in counts.items()
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
            found = load_vectors(file, tokenizer, embeddings.table.weight)
            notes.append(
                f"{file}: vectors for {found.matched:,} of {found.pieces:,} {side} pieces "
                f"({found.matched / max(found.pieces, 1):.0%}; {found.lowercased:,} in lower case), of mean length "
                f"{found.length:.2f}"
            )
    return notes


# ------------------------------------------------------------------------------------------- kept in the run's folder


def save_initial(file: Path, model: Seq2Seq, config: Config, tokenizers: Tokenizers, parent: ParentModel) -> None:
    """Keep what the run started from: a resumed run needs its subword models, and `parent_l2` its weights.

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
    """Return what `save_initial` kept; None if the run has no parent.

    Raises:
        CheckpointError: The file is damaged.
    """
    if not file.exists():
        return None
    model = load_model(file)
    return ParentModel(file, model, bool(model.provenance["new_vocabulary"]))


def parent_weights(file: Path) -> dict[str, Tensor]:
    """Return the weights that a run with a parent started with."""
    return load_model(file).weights


class FrozenWeights(NamedTuple):
    """What was frozen."""

    names: list[str]
    """Of the parameters, each once."""
    parameters: int
    """Numbers in them."""


def freeze(model: nn.Module, patterns: Sequence[str]) -> FrozenWeights:
    """Freeze the parameters whose names match one of `patterns` (`*` and `?` as in file names).

    A parameter that several layers share is frozen if any of its names matches.

    Raises:
        ConfigError: A pattern matches nothing, or nothing is left to train.
    """
    named = list(model.named_parameters(remove_duplicate=False))
    for pattern in patterns:
        matching = [parameter for name, parameter in named if fnmatchcase(name, pattern)]
        if not matching:
            raise ConfigError(f"training.frozen: no parameter is called {pattern!r}; {_hint(pattern, named)}")
        for parameter in matching:
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ConfigError("training.frozen: it names all parameters of the model, and leaves nothing to train")
    unique = [(name, parameter) for name, parameter in model.named_parameters() if not parameter.requires_grad]
    return FrozenWeights([name for name, _ in unique], sum(parameter.numel() for _, parameter in unique))


def _hint(pattern: str, named: Sequence[tuple[str, nn.Parameter]]) -> str:
    """The names nearest to `pattern`, and the groups of names that can be frozen."""
    names = [name for name, _ in named]
    parts = {".".join(name.split(".")[:depth]) + ".*" for name in names for depth in (1, 2)}
    near = difflib.get_close_matches(pattern, [*names, *sorted(parts)], n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    groups = sorted({name.split(".")[0] + ".*" for name in names})
    return f"write the name of a parameter, or a group such as {', '.join(groups)}"
