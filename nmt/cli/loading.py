"""Opens the model that a command works with. The slow imports happen here, after the check that the model exists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nmt.inference.find_model import find_model

if TYPE_CHECKING:
    from nmt.inference.ensemble import EnsembleMember
    from nmt.inference.mbr import ConsensusTranslator
    from nmt.inference.model_file import ModelFile
    from nmt.inference.translator import Translator


def open_model(model: Path | None) -> ModelFile:
    """Load a model file, the best model of a run folder, or with None the model that `find_model` finds.

    Raises:
        UsageError: there is no model.
        CheckpointError: the file is not a model file, or is damaged.
    """
    path = find_model(model)
    from nmt.inference.model_file import load_model

    return load_model(path)


def open_models(models: Sequence[Path] | None) -> list[EnsembleMember]:
    """Load the models of an ensemble. Without models, load the one that `find_model` finds.

    Raises:
        UsageError: there is no model.
        CheckpointError: a file is not a model file, or is damaged.
    """
    paths = [find_model(model) for model in models or (None,)]
    from nmt.inference.ensemble import EnsembleMember
    from nmt.inference.model_file import load_model

    return [EnsembleMember(str(path), load_model(path)) for path in paths]


def make_ensemble_translator(
    members: Sequence[EnsembleMember],
    weights: Sequence[float] | None,
    mbr: str | None,
    decoding: Mapping[str, Any],
    *,
    alignments: bool = False,
) -> Translator | ConsensusTranslator:
    """Make a translator from loaded models. Decoding options that are None have the values stored in the model.

    Raises:
        UsageError: the options conflict, or the models do not fit together.
        CheckpointError: the weights of a model do not fit its configuration.
    """
    from nmt.evaluation.choosing import choosing_translator

    return choosing_translator(members, weights=weights or None, mbr=mbr, decoding=decoding, alignments=alignments)


def make_translator(model: ModelFile, decoding: Mapping[str, Any]) -> Translator:
    """Make a translator from one model. Decoding options that are None have the values stored in the model.

    Raises:
        UsageError: the options conflict.
        CheckpointError: the weights do not fit the configuration.
    """
    from nmt.inference.translator import Translator

    return Translator.from_model_file(model, decoding=decoding)
