"""Opens the model that a command works with."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmt.cli.options import Utilities
    from nmt.inference.ensemble import EnsembleMember
    from nmt.inference.mbr import ConsensusTranslator
    from nmt.inference.model_file import ModelFile
    from nmt.inference.translator import Translator


def open_model(model: Path | None) -> ModelFile:
    """Load the model that is meant: a file, the folder of a run, or (None) what `find_model` finds.

    Raises:
        UsageError: there is no model.
        CheckpointError: the file is not a model file, or is damaged.
    """
    from nmt.inference.find_model import find_model

    path = find_model(model)  # before the slow import, so that a wrong path is told at once
    from nmt.inference.model_file import load_model

    return load_model(path)


def open_models(models: Sequence[Path] | None) -> list[EnsembleMember]:
    """Load the models that are meant, one or several; none given: what `find_model` finds.

    Raises:
        UsageError: there is no model.
        CheckpointError: a file is not a model file, or is damaged.
    """
    from nmt.inference.find_model import find_model

    paths = [find_model(model) for model in models] if models else [find_model(None)]
    from nmt.inference.ensemble import EnsembleMember
    from nmt.inference.model_file import load_model

    return [EnsembleMember(str(path), load_model(path)) for path in paths]


def choosing_translator(
    members: Sequence[EnsembleMember],
    weights: Sequence[float] | None,
    mbr: Utilities | None,
    *,
    alignments: bool = False,
    **decoding: Any,
) -> Translator | ConsensusTranslator:
    """Make a translator with decoding options as they come from the command line; see the function that it calls."""
    from nmt.evaluation import choosing

    return choosing.choosing_translator(
        members,
        weights=weights or None,
        mbr=None if mbr is None else mbr.value,
        decoding=decoding_options(**decoding),
        alignments=alignments,
    )


def make_translator(model: ModelFile, *, alignments: bool = False, **decoding: Any) -> Translator:
    """Make a translator, with decoding options as they come from the command line (None is the model's own).

    Raises:
        UsageError: the options cannot be used.
        CheckpointError: the model's weights do not fit its configuration.
    """
    from nmt.inference.translator import Translator

    return Translator.from_model_file(model, decoding=decoding_options(**decoding), alignments=alignments)


def decoding_options(**decoding: Any) -> dict[str, Any]:
    """Return decoding options as they come from the command line in the form of the configuration."""
    return {name: value.value if isinstance(value, Enum) else value for name, value in decoding.items()}
